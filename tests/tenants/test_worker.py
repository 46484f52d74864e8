"""Tasks through a real broker and a real worker: each for its own tenant, whatever ran before it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from django.conf import settings
from django.db import connection

from apps.commerce.models import Product
from apps.tenants import models
from rustok import servers
from rustok.servers import processes
from tests import factories, serving
from tests.tenants import working

# One process works on one task after the other.
COMMAND = [
    sys.executable, "-m", "celery", "--app", "tests.tenants.working", "--quiet", "worker", "--concurrency", "1",
    "--without-gossip", "--without-mingle",
]  # fmt: skip


class Worker:
    def __init__(self, valkey: Any, log: Path) -> None:
        self.valkey, self.log = valkey, log

    def start(self) -> Any:
        url = serving.database_url(connection.settings_dict["NAME"])
        return serving.running(COMMAND, self.log, RUSTOK_PROCESS="worker", DATABASE_URL=url)

    def told(self, count: int) -> list[dict[str, Any]]:
        """What the next tasks saw, as they tell it."""
        has_come = processes.wait_until(lambda: self.valkey.llen(working.TOLD) >= count, timeout_seconds=120)
        assert has_come, self.log.read_text()
        return [json.loads(line) for line in self.valkey.lpop(working.TOLD, count)]


@pytest.fixture
def worker(committed_db: None, tmp_path: Path) -> Iterator[Worker]:
    with redis.Redis.from_url(settings.VALKEY_URL) as valkey:
        yield Worker(valkey, tmp_path / "worker")


@pytest.fixture
def broker() -> Iterator[Any]:
    facts = servers.connection_facts()
    with redis.Redis.from_url(facts.valkey_url_of(facts.valkey_database + 2)) as client:
        yield client


@pytest.fixture
def two(committed_db: None) -> list[models.Tenant]:
    """Two tenants with one product each, whose vendor is the tenant's slug."""
    made = [factories.make_tenant(), factories.make_tenant()]
    for tenant in made:
        with factories.at_work(tenant):
            Product.objects.create(vendor=tenant.slug)
    return made


def send(task: Any, tenant: models.Tenant | None, *arguments: str) -> None:
    if tenant is None:
        task.delay()
    else:
        with factories.at_work(tenant):
            task.delay(*arguments)


def for_tenant(told: dict[str, Any], tenant: models.Tenant) -> bool:
    return (told["tenant"], told["shown"], told["vendors"]) == (tenant.slug, str(tenant.id), [tenant.slug])


def for_nobody(told: dict[str, Any]) -> bool:
    return (told["tenant"], told["shown"], told["vendors"]) == (None, "", [])


def test_whatever_ran_before_each_task_works_for_its_own_tenant(worker: Worker, two: list[models.Tenant]) -> None:
    """One worker for all of it: its start takes seconds."""
    with worker.start():
        one_after_the_other_in_one_process(worker, two)
        what_a_task_leads_to_and_what_is_tried_again(worker, two)
        one_whose_process_is_killed(worker, two)


def one_after_the_other_in_one_process(worker: Worker, two: list[models.Tenant]) -> None:
    one, other = two
    for task, tenant in (
        (working.look, one), (working.undeclared, None), (working.fail, other), (working.undeclared, None),
        (working.over_all, None), (working.undeclared, None), (working.look, one),
    ):  # fmt: skip
        send(task, tenant)

    told = worker.told(7)

    names = ["look", "undeclared", "fail", "undeclared", "over_all", "undeclared", "look"]
    assert [line["task"] for line in told] == names
    assert len({line["process"] for line in told}) == 1
    assert for_tenant(told[0], one)
    assert for_tenant(told[2], other)
    assert for_tenant(told[6], one)
    assert all(for_nobody(told[number]) for number in (1, 3, 5))
    assert (told[4]["shown"], told[4]["vendors"]) == ("*", sorted(tenant.slug for tenant in two))


def what_a_task_leads_to_and_what_is_tried_again(worker: Worker, two: list[models.Tenant]) -> None:
    for number, (led, count) in enumerate([("chain", 3), ("group", 2), ("chord", 3)]):
        tenant = two[number % 2]
        send(working.lead, tenant, led)
        assert all(for_tenant(line, tenant) for line in worker.told(count)), led
    send(working.try_twice, two[1])
    assert all(for_tenant(line, two[1]) for line in worker.told(2))
    send(working.undeclared, None)
    assert for_nobody(worker.told(1)[0])


def one_whose_process_is_killed(worker: Worker, two: list[models.Tenant]) -> None:
    for task, tenant in ((working.die_alone, two[0]), (working.look, two[1]), (working.undeclared, None)):
        send(task, tenant)

    told = worker.told(4)

    assert told[0]["task"] == "die_alone"
    again = next(line for line in told[1:] if line["task"] == "die_alone")
    assert again["process"] != told[0]["process"]
    assert for_tenant(told[0], two[0])
    assert for_tenant(again, two[0])
    assert for_tenant(next(line for line in told if line["task"] == "look"), two[1])
    assert for_nobody(next(line for line in told if line["task"] == "undeclared"))


def test_what_a_killed_worker_had_taken_is_redelivered_to_the_next_one_for_its_tenant(
    worker: Worker, broker: Any, two: list[models.Tenant]
) -> None:
    send(working.die_with_all, two[0])
    with worker.start() as killed:
        (before,) = worker.told(1)
        assert processes.wait_until(lambda: killed.poll() is not None, timeout_seconds=120)
    assert broker.hlen("unacked") == 1
    send(working.look, two[1])
    for tag in broker.zrange("unacked_index", 0, -1):
        broker.zadd("unacked_index", {tag: 1})  # as time does: whoever took it has had it for too long

    with worker.start():
        told = worker.told(2)
        send(working.undeclared, None)
        (after,) = worker.told(1)

    again = next(line for line in told if line["task"] == "die_with_all")
    assert (before["is_redelivered"], again["is_redelivered"]) == (False, True)
    assert for_tenant(before, two[0])
    assert for_tenant(again, two[0])
    assert for_tenant(next(line for line in told if line["task"] == "look"), two[1])
    assert for_nobody(after)
