"""The API keeps to its description, whoever asks whatever; `make fuzz-api` asks for longer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import connection

from apps.kernel import cache
from rustok.servers import processes
from rustok.testing.plugin import Superuser, empty_database, empty_valkey
from tests import serving
from tests.contracts.fuzzing import callers, fuzzer
from tests.sweep import mirrored

# Which holds a transaction in this thread only.
pytestmark = pytest.mark.usefixtures("db")

SEED = 20261126
OTHERS = [name for name in callers.names() if name != "owner"]


@dataclass(frozen=True)
class Asked:
    """A server, and a tenant full of things, committed."""

    url: str
    side: mirrored.Side

    def fuzz(self, name: str, budget: fuzzer.Budget) -> fuzzer.Report:
        return fuzzer.fuzz(callers.make_caller(name, self.side), budget, url=self.url)


@pytest.fixture(scope="module")
def asked(
    django_db_setup: None, django_db_blocker: Any, _superuser: Superuser, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Asked]:
    port, log = serving.free_port(), tmp_path_factory.mktemp("web") / "log"
    command = serving.command_of("web", port=port, web_workers=1)
    with django_db_blocker.unblock():
        url = serving.database_url(connection.settings_dict["NAME"])
        try:
            with serving.running(command, log, RUSTOK_PROCESS="web", DATABASE_URL=url):
                side = mirrored.make_side("qk")
                is_up = processes.wait_until(
                    lambda: serving.status_of(port, "/health/ready") == 200, timeout_seconds=180
                )
                assert is_up, log.read_text()
                yield Asked(f"http://127.0.0.1:{port}", side)
        finally:
            empty_database(_superuser)
            empty_valkey()
            cache.forget_process()


def test_every_operation_keeps_its_contract_with_the_owner(asked: Asked) -> None:
    budget = fuzzer.Budget(seed=SEED, examples=1, phases=("fuzzing", "stateful"))

    report = asked.fuzz("owner", budget)

    assert report.told() == []
    assert len(report.succeeded()) > 50


@pytest.mark.parametrize("name", OTHERS)
def test_operations_keep_their_contract_with_everybody_else(asked: Asked, name: str) -> None:
    """Each is asked by a few of them."""
    budget = fuzzer.Budget(seed=SEED, examples=1, phases=("fuzzing",), share=(OTHERS.index(name), 8))

    report = asked.fuzz(name, budget)

    assert report.told() == []
    assert report.requests > 10
