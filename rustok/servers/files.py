"""Files and folders that only their owner may read."""

import contextlib
import os
import pwd
import stat
from pathlib import Path

from rustok.servers.errors import ServersError


def write_private(path: Path, text: str) -> None:
    """Write a file only its owner can read, from its first moment on."""
    partial = path.with_name(f"{path.name}.partial")
    partial.unlink(missing_ok=True)
    partial.touch(mode=0o600, exist_ok=False)
    partial.write_text(text)
    partial.replace(path)


def make_private(folder: Path, *, owner: int) -> None:
    """Make a folder only the user id `owner` can enter.

    Raises ServersError when somebody else has put something in its place, as anybody can below /tmp.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in (owner, os.geteuid()):
        raise ServersError(f"{folder} is not ours but belongs to {user_name(found.st_uid)}: remove it and try again.")
    if found.st_uid != owner:
        os.chown(folder, owner, -1)
    folder.chmod(0o700)


def remove_if_empty(folder: Path) -> None:
    """Leave no empty folder behind below /tmp."""
    # It holds files of somebody, or is gone already.
    with contextlib.suppress(OSError):
        folder.rmdir()


def claim(folder: Path) -> None:
    """Make the data directory. Raises ServersError when it belongs to another user or cannot be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        owner = folder.stat().st_uid
    except OSError as error:
        raise ServersError(
            f"{folder} cannot be made: {error.strerror}. Set RUSTOK_DATA_DIR to another place."
        ) from error
    if owner != os.geteuid():
        raise ServersError(
            f"The data directory {folder} belongs to {user_name(owner)}, and you are {user_name(os.geteuid())}. "
            "Work as that user, or set RUSTOK_DATA_DIR to a directory of your own."
        )


def user_name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"user {user}"
