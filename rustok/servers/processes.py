"""Start, recognise and stop a process that outlives the command which started it.

A pid alone proves nothing: it may have been given to somebody else since. A process is ours when pid and start
time match what was written down, or when it works in the data directory of the server.
"""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil

# psutil derives the start time from the boot time, which moves a little when the clock is corrected.
START_TIME_TOLERANCE_SECONDS = 2.0
GONE = (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess)


def launch(command: Sequence[str], *, cwd: Path, log: Path, options: dict[str, Any]) -> psutil.Process:
    """Start `command` in a session of its own, so that neither Ctrl-C nor the end of the terminal reaches it.

    `options` are further ones of `subprocess.Popen`.
    """
    with log.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603 - our own binaries, no shell
            command,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            **options,
        )
    # The process is meant to be left behind: without this, Popen warns about it when it is collected.
    process.returncode = 0
    return psutil.Process(process.pid)


def remember(process: psutil.Process, pid_file: Path) -> None:
    partial = pid_file.with_suffix(".partial")
    partial.write_text(f"{process.pid} {process.create_time()}\n")
    partial.replace(pid_file)


def recall(pid_file: Path) -> psutil.Process | None:
    """The living process written down in `pid_file`; None when it is gone or its pid belongs to another."""
    try:
        pid, started = pid_file.read_text().split()
        process = psutil.Process(int(pid))
        is_same = abs(process.create_time() - float(started)) <= START_TIME_TOLERANCE_SECONDS
    except (FileNotFoundError, ValueError, *GONE):
        return None
    return process if is_same and is_alive(process) else None


def is_alive(process: psutil.Process) -> bool:
    """Whether it runs. A dead child nobody has waited for is dead."""
    # Not our child: then somebody else waits for it.
    with contextlib.suppress(ChildProcessError):
        os.waitpid(process.pid, os.WNOHANG)
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except GONE:
        return False


def working_in(folder: Path, *, name: str) -> Iterator[psutil.Process]:
    """Processes called `name` whose working directory is `folder`, also when the folder was deleted under them."""
    real = folder.resolve()
    places = {str(real), f"{real} (deleted)"}
    for process in psutil.process_iter():
        try:
            if process.name() == name and process.cwd() in places:
                yield process
        except GONE:  # noqa: S112 - ended while we looked, so it is none of them
            continue


def stop(process: psutil.Process, *, signals: Sequence[tuple[signal.Signals, float]]) -> None:
    """Send each signal in turn and give it its seconds, until the process is gone."""
    for signal_number, patience_seconds in signals:
        try:
            process.send_signal(signal_number)
        except psutil.NoSuchProcess:
            return
        if wait_until(lambda: not is_alive(process), timeout_seconds=patience_seconds):
            return


def wait_until(condition: Callable[[], bool], *, timeout_seconds: float, interval_seconds: float = 0.02) -> bool:
    """Whether `condition` became true in time."""
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(interval_seconds)
    return True


def last_lines(log: Path, *, count: int = 12) -> str:
    """The end of a log, for an error message."""
    # Its server may have died before it wrote a word.
    with contextlib.suppress(FileNotFoundError):
        return "\n".join(log.read_text(errors="replace").splitlines()[-count:])
    return ""


def trim(log: Path, *, largest_bytes: int = 5_000_000) -> None:
    """Start a log anew when it has grown large; called only while its server is down."""
    # Without a log there is nothing to trim.
    with contextlib.suppress(FileNotFoundError):
        if log.stat().st_size > largest_bytes:
            log.replace(log.with_suffix(".old.log"))
