"""A flood of logins at a real server that may not take much memory: it answers all of them, and goes on."""

from __future__ import annotations

import json
import resource
import sys
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from django.contrib.auth.hashers import make_password
from django.db import connection

from apps.accounts import hashing, models
from rustok.servers import processes
from tests import factories, serving

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits the memory of another process")

LOGINS = 100
THREADS = 40
SLOTS = 2
MIB = 1024 * 1024
# What a server may take beyond what it has when it is warm: its hashes, and something for the requests themselves.
ALLOWED = SLOTS * hashing.SlottedArgon2Hasher.memory_cost * 1024 + 96 * MIB


@pytest.fixture
def emails(committed_db: None) -> list[str]:
    """Accounts with hashes of production; one for all of them, because it is slow to make."""
    encoded = make_password(factories.PASSWORD, hasher=hashing.SlottedArgon2Hasher())
    made = [models.User(email=f"user-{number}@example.test", password=encoded) for number in range(LOGINS)]
    models.User.objects.bulk_create(made)
    return [user.email for user in made]


@dataclass
class Server:
    """One web process that works on many requests at a time."""

    port: int
    main: psutil.Process
    patience_seconds: float

    @property
    def worker(self) -> psutil.Process:
        return max(self.main.children(), key=lambda child: child.memory_info().rss)

    def log_in(self, number: int, email: str) -> int:
        """As a client of its own: the lockout counts addresses."""
        headers = {"X-Forwarded-For": f"198.51.100.{number + 1}", "Content-Type": "application/json"}
        body = json.dumps({"email": email, "password": factories.PASSWORD}).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/api/v1/auth/token", body, headers)
        try:
            with urllib.request.urlopen(request, timeout=self.patience_seconds) as answer:  # noqa: S310 - our own address
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def flood(self, emails: list[str]) -> Counter[int]:
        with ThreadPoolExecutor(len(emails)) as clients:
            return Counter(clients.map(self.log_in, range(len(emails)), emails))

    def warm_up(self) -> None:
        """Have all threads and connections made that it will ever have."""
        with ThreadPoolExecutor(THREADS) as clients:
            found = clients.map(lambda _: serving.status_of(self.port, "/health/ready"), range(4 * THREADS))
            assert set(found) <= {200, 503}

    def limit_memory(self) -> None:
        status = Path(f"/proc/{self.worker.pid}/status").read_text()
        used = int(status.partition("VmData:")[2].split()[0]) * 1024
        resource.prlimit(self.worker.pid, resource.RLIMIT_DATA, (used + ALLOWED, used + ALLOWED))


@contextmanager
def serving_with(slots: int, folder: Path, *, patience_seconds: float = 120) -> Iterator[Server]:
    port = serving.free_port()
    command = serving.command_of("web", port=port, web_workers=1, web_threads=THREADS)
    variables = {
        "RUSTOK_PROCESS": "web",
        "RUSTOK_PROFILE": "development",  # hashes as in production
        "RUSTOK_DATABASE_POOL_SIZE": str(THREADS + 4),
        "RUSTOK_PASSWORD_HASH_SLOTS": str(slots),
        "RUSTOK_TRUSTED_PROXIES": "127.0.0.1",
        "DATABASE_URL": serving.database_url(connection.settings_dict["NAME"]),
    }
    log = folder / f"web-{slots}"
    with serving.running(command, log, **variables) as process:
        is_ready = processes.wait_until(lambda: serving.status_of(port, "/health/ready") == 200, timeout_seconds=180)
        assert is_ready, log.read_text()
        server = Server(port, psutil.Process(process.pid), patience_seconds)
        server.warm_up()
        server.limit_memory()
        yield server


def test_a_flood_of_logins_is_answered_within_the_memory_of_a_few_hashes(emails: list[str], tmp_path: Path) -> None:
    with serving_with(SLOTS, tmp_path) as server:
        worker = server.worker
        answers = server.flood(emails)
        answers_later = server.log_in(0, emails[0])

        assert set(answers) <= {200, 503}, answers
        assert answers[200] > 0
        assert answers_later == 200
        assert server.worker == worker, "nothing died"


def test_without_the_cap_the_same_flood_is_too_much(emails: list[str], tmp_path: Path) -> None:
    # What ran out of memory may never answer.
    with serving_with(LOGINS, tmp_path, patience_seconds=15) as server:
        worker = server.worker
        answers = server.flood(emails)

        assert answers[200] < LOGINS or server.worker != worker
        assert answers[401] == 0, "a hash without memory is no wrong password"
