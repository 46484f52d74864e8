"""What tests of the log share: connections of their own, events cheaply made, and small partitions."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import connection
from django.test import override_settings

from apps.content import events as content_events
from apps.kernel import isolation
from apps.outbox import append as appending
from apps.outbox import partitions
from apps.outbox.append import append, unit_of_work

TENANT = uuid.UUID(int=1)

type Connect = Callable[[], psycopg.Connection[Any]]


@pytest.fixture(autouse=True)
def _over_all_tenants(over_all_tenants: None) -> None:
    """What moves events works for all of them."""


@pytest.fixture
def open_connection() -> Iterator[Connect]:
    """Makes connections of their own to the test database, to hold transactions open across each other."""
    opened: list[psycopg.Connection[Any]] = []

    def connect() -> psycopg.Connection[Any]:
        opened.append(psycopg.connect(**beside_django()))
        return opened[-1]

    yield connect
    for each in opened:
        each.close()


def beside_django() -> dict[str, Any]:
    """What psycopg needs to connect to the test database as Django does, and see the rows of all tenants."""
    parameters = connection.get_connection_params()
    keywords = ("host", "port", "dbname", "user", "password", "passfile")
    chosen = {name: parameters[name] for name in keywords if parameters.get(name)}
    return chosen | {"options": f"-c app.tenant_id={isolation.ALL}"}


@pytest.fixture
def small_partitions(committed_db: None, tmp_path: Path) -> Iterator[int]:
    with partitions_of_ten(tmp_path / "archive"):
        yield 10


@contextmanager
def partitions_of_ten(archive: Path) -> Iterator[None]:
    """Partitions of ten events each; those of before are back afterwards. The archive is a folder of the test's own."""
    before = {table: partitions.leaves(table) for table in (partitions.LOG, partitions.POSITION)}
    with override_settings(EVENTS_PARTITION_SIZE=10, EVENTS_ARCHIVE_DIR=archive):
        with isolation.all_tenants(reason="test"):
            _arrange({table: [(0, 10)] for table in before})
        try:
            yield
        finally:
            with isolation.all_tenants(reason="test"):
                with connection.cursor() as cursor:
                    cursor.execute("DELETE FROM outbox_log; DELETE FROM outbox_position")
                _arrange({table: [(leaf.low, leaf.high) for leaf in leaves] for table, leaves in before.items()})


def _arrange(wanted: dict[partitions.Partitioned, list[tuple[int, int]]]) -> None:
    with connection.cursor() as cursor:
        for table, ranges in wanted.items():
            for leaf in partitions.leaves(table):
                cursor.execute("SELECT outbox_detach_partition(%s)", [leaf.name])
                cursor.execute("SELECT outbox_drop_detached(%s)", [leaf.name])
            for low, high in ranges:
                cursor.execute("SELECT outbox_make_partition(%s, %s, %s)", [table.name, low, high])


def append_on(connected: psycopg.Connection[Any], aggregate_id: uuid.UUID) -> None:
    """The append statement on a connection of ours, without committing."""
    connected.execute(
        appending.APPEND,
        {
            "tenant_id": [TENANT], "aggregate_type": [content_events.TAG], "aggregate_id": [aggregate_id],
            "lane": [0], "type": ["content.tag.created"], "schema_version": [1], "occurred_at": [None],
            "data": ['{"translations": []}'], "actor": "test", "correlation_id": None, "causation_id": None,
        },
    )  # fmt: skip


def record(*aggregate_ids: uuid.UUID) -> None:
    """One committed event for each."""
    with unit_of_work():
        for aggregate_id in aggregate_ids:
            append(
                content_events.TagCreated(translations=[]),
                tenant_id=TENANT,
                aggregate_type=content_events.TAG,
                aggregate_id=aggregate_id,
            )


def fetch(query: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """Rows of a query of the test's own."""
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        return list(cursor.fetchall())
