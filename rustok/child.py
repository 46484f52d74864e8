"""Run a program that dies with the process which started it: `python -m rustok.child SIGKILL PROGRAM ARGUMENTS…`.

A killed parent cannot clean up, so the kernel does it. Only Linux can; elsewhere the program simply runs.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def die_with_parent(signal_number: signal.Signals = signal.SIGKILL) -> None:
    """Ask the kernel to send `signal_number` to this process when its parent ends. Survives exec, not fork."""
    if sys.platform != "linux":
        return
    parent = os.getppid()
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal_number.value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent:
        # The parent ended in between, and its death is no longer signalled.
        os.kill(os.getpid(), signal_number)


if __name__ == "__main__":
    die_with_parent(signal.Signals[sys.argv[1]])
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606 - the caller's own command
