"""Where the embedded servers keep what. Pure: nothing here touches the disk."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

# Fixed and short on purpose: a socket path holds at most 107 bytes, and every process must arrive at the same
# one, whatever its TMPDIR or login session.
SOCKETS_ROOT = Path("/tmp")  # noqa: S108 - the folders in it are private, and their owner is checked before use


@dataclass(frozen=True)
class Places:
    """The paths of one data directory. Two data directories never share a socket."""

    data_dir: Path

    @property
    def key(self) -> str:
        return hashlib.sha256(str(self.data_dir.resolve()).encode()).hexdigest()[:12]

    @property
    def postgres_data(self) -> Path:
        return self.data_dir / "postgres"

    @property
    def postgres_sockets(self) -> Path:
        return SOCKETS_ROOT / f"rustok-{self.key}-pg"

    @property
    def passwords(self) -> Path:
        """In libpq's password file format, so that psql and psycopg read it by themselves."""
        return self.data_dir / "pgpass"

    @property
    def valkey_data(self) -> Path:
        return self.data_dir / "valkey"

    @property
    def valkey_sockets(self) -> Path:
        return SOCKETS_ROOT / f"rustok-{self.key}-vk"

    @property
    def valkey_socket(self) -> Path:
        return self.valkey_sockets / "valkey.sock"

    @property
    def nats_data(self) -> Path:
        return self.data_dir / "nats"

    @property
    def nats_address(self) -> Path:
        """The URL of the running server, with its token, in one line."""
        return self.data_dir / "nats.url"

    @property
    def logs(self) -> Path:
        return self.data_dir / "logs"

    @property
    def run_as(self) -> Path:
        """Remembers how PostgreSQL is run when the caller is root; see `run_as.py`."""
        return self.data_dir / "postgres-runs-as"

    @property
    def lock(self) -> Path:
        """Held by whoever starts or stops servers."""
        return self.data_dir / "servers.lock"

    def pid_file(self, name: str) -> Path:
        return self.data_dir / f"{name}.pid"
