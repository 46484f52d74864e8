"""Run a program that dies with the process which started it: `python -m rustok.child SIGKILL PROGRAM ARGUMENTS…`.

A killed parent cannot clean up, so the kernel does it. Only Linux can; elsewhere the program simply runs.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
# What a program learns of itself, and hands down to the processes it starts.
PROGRAM_PID = "SUPERVISED_PROGRAM_PID"


def die_with_parent(signal_number: signal.Signals = signal.SIGKILL) -> None:
    """Ask the kernel to send `signal_number` to this process when its parent ends. Survives exec, not fork."""
    _die_with(os.getppid(), signal_number)


def die_with_program() -> None:
    """For what the program itself starts: die when it ends, or now when it has ended already."""
    _die_with(int(os.environ.get(PROGRAM_PID) or os.getppid()), signal.SIGKILL)


def _die_with(parent: int, signal_number: signal.Signals) -> None:
    if sys.platform != "linux":
        return
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal_number.value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent:
        # The parent has ended before that, and its death is not signalled.
        os.kill(os.getpid(), signal_number)


if __name__ == "__main__":
    die_with_parent(signal.Signals[sys.argv[1]])
    os.environ[PROGRAM_PID] = str(os.getpid())
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606 - the caller's own command
