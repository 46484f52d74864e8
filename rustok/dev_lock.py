"""One `make dev` per data directory: who holds it, and where it answers."""

import contextlib
import fcntl
import json
import os
from collections.abc import Callable, Iterator
from typing import IO

from rustok.environment import Environment
from rustok.servers import files


class DevRuns(Exception):
    """A `make dev` holds the data directory; the message says where it answers and its pid."""


@contextlib.contextmanager
def hold(environment: Environment) -> Iterator[Callable[[str], None]]:
    """Hold the data directory; call what is given with the URL once it is known. Raises DevRuns."""
    files.claim(environment.data_dir)
    with (environment.data_dir / "dev.lock").open("a+") as lock:
        _take(lock, fcntl.LOCK_EX)

        def say_url(url: str) -> None:
            lock.truncate(0)
            lock.write(json.dumps({"url": url, "pid": os.getpid()}))
            lock.flush()

        yield say_url
        lock.truncate(0)


def check_free(environment: Environment) -> None:
    """Raises DevRuns while a `make dev` holds the data directory."""
    # Without the file nothing ever ran here.
    with contextlib.suppress(FileNotFoundError), (environment.data_dir / "dev.lock").open("r") as lock:
        _take(lock, fcntl.LOCK_SH)


def _take(lock: IO[str], kind: int) -> None:
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        told = json.loads(lock.read() or "{}")
        raise DevRuns(f"{told.get('url', 'still starting')} (pid {told.get('pid', '?')})") from None
