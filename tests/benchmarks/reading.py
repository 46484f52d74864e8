"""Projections against their ceilings: live, rebuilt, and how soon a commit can be read."""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import batched
from typing import Any

import orjson
from django.conf import settings
from django.db import connection, transaction
from psycopg import sql

from apps.consumers import folding, generations, models, projections, rebuild, runner, writing
from apps.content import events as content_events
from apps.events import envelope
from apps.kernel import isolation
from apps.outbox import append, sequencer
from tests.benchmarks import filling
from tests.benchmarks.installation import Ratio

EACH = 5


def live_projection(tenant_id: uuid.UUID, *, nodes: int) -> list[Ratio]:
    """The runner on a full log, against a bare loop of batched upserts of the same final rows, written as often."""
    content = projections.get("content")
    live = generations.live_number(content)
    before = sequencer.head()
    runner.advance(content, live, until=before)
    head = filling.fill(tenant_id, nodes=nodes, events_each=EACH)
    seconds = _timed(lambda: runner.advance(content, live, until=head))
    applied = _rows_written_live(content, before, head)
    raw = _raw_upserts_per_second(content, applied)
    return [Ratio("live projection / raw batched upsert", len(applied) / seconds, raw, 0.5, "docs/s")]


def _rows_written_live(content: projections.Projection, before: int, head: int) -> list[writing.Rendered]:
    """The aggregates as often as the windows of the runner wrote them."""
    with transaction.atomic():
        built = {(entry.tenant_id, entry.id): entry for entry in folding.build_all(content, until=head, on_poison=_no)}
    written = []
    for after in range(before, head, settings.EVENTS_BATCH_SIZE):
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT DISTINCT l.tenant_id, l.aggregate_id FROM outbox_position p JOIN outbox_log l ON l.id = p.id "
                "WHERE p.position > %s AND p.position <= %s AND l.aggregate_type = 'content.node'",
                [after, after + settings.EVENTS_BATCH_SIZE],
            )
            written += [built[row] for row in cursor.fetchall()]
    return written


def _raw_upserts_per_second(content: projections.Projection, built: list[writing.Rendered]) -> float:
    """INSERT … ON CONFLICT DO UPDATE of state and document, a statement per relation and batch, nothing else."""
    with transaction.atomic():
        number = generations.create(content, state="building", target_position=0)
        generations.finish(content, number)
    state, document = content.state_relation, content.relations[0]
    upserts = [(state, ("tenant_id", "id")), (document, ("tenant_id", "id", "locale"))]
    seconds = 0.0
    for batch in batched(built, 100):
        unique = list({(entry.tenant_id, entry.id): entry for entry in batch}.values())
        began = time.monotonic()
        with transaction.atomic(), connection.cursor() as cursor:
            for relation, key in upserts:
                rows = [row for entry in unique for row in entry.rows[relation.template]]
                cursor.execute(_upsert(relation, number, key, len(rows)), [value for row in rows for value in row])
        seconds += time.monotonic() - began
    with transaction.atomic():
        generations.retire(content, "building")
    generations.sweep(content)
    return len(built) / seconds


def _upsert(relation: projections.Relation, number: int, key: tuple[str, ...], rows: int) -> sql.Composed:
    names = [sql.Identifier(name) for name in relation.columns]
    row = sql.SQL("({})").format(sql.SQL(", ").join([sql.Placeholder()] * len(names)))
    changes = [sql.SQL("{0} = excluded.{0}").format(name) for name in names]
    return sql.SQL("INSERT INTO {} ({}) VALUES {} ON CONFLICT ({}) DO UPDATE SET {}").format(
        sql.Identifier(relation.table(number)),
        sql.SQL(", ").join(names),
        sql.SQL(", ").join([row] * rows),
        sql.SQL(", ").join(map(sql.Identifier, key)),
        sql.SQL(", ").join(changes),
    )


def rebuilding() -> list[Ratio]:
    """A rebuild of all there is, against reading its JSON, copying its rows, and applying it event by event."""
    content = projections.get("content")
    head = sequencer.head()
    read = head / _timed(lambda: _read_json(head))
    with transaction.atomic():
        built = list(folding.build_all(content, until=head, on_poison=_no))
        number = generations.create(content, state="building", target_position=head)
        copy = head / _timed(lambda: _copy(content, number, built))
        transaction.set_rollback(True)
    built.clear()
    marks: dict[str, float] = {}

    def mark(step: str, done: int, total: int) -> None:
        marks[step] = time.monotonic()

    began = time.monotonic()
    rebuild.rebuild(content, on_progress=mark)
    folded = head / (marks["fold"] - began)
    whole = head / (time.monotonic() - began)
    one_by_one = _event_at_a_time(content)
    print(f"rebuild: JSON is read at {read:,.0f} events/s, the rows are copied at {copy:,.0f} events/s")
    return [
        Ratio("rebuild, fold and COPY / lower of JSON read and COPY", folded, min(read, copy), 0.4),
        Ratio("rebuild, all steps to the swap / event at a time", whole, one_by_one, 15),
    ]


def _read_json(head: int) -> None:
    query = (
        "SELECT l.aggregate_id, l.version, l.type, l.data::text "
        "FROM outbox_position p JOIN outbox_log l ON l.id = p.id WHERE p.position <= %s"
    )
    with transaction.atomic(), connection.chunked_cursor() as cursor:
        cursor.execute(query, [head])
        while rows := cursor.fetchmany(2000):
            for row in rows:
                orjson.loads(row[3])


def _copy(content: projections.Projection, number: int, built: list[writing.Rendered]) -> None:
    for relation in content.all_relations:
        rows = (row for entry in built for row in entry.rows.get(relation.template, ()))
        columns = sql.SQL(", ").join(map(sql.Identifier, relation.columns))
        statement = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(relation.table(number)), columns)
        with connection.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(row)


def _event_at_a_time(content: projections.Projection, *, events: int = 2000) -> float:
    """Events/s of the same runner with windows of one event: a transaction for each."""
    number = rebuild.rebuild(content, swap=False).generation
    head = sequencer.head()
    first = max(head - events, 0)
    models.Checkpoint.objects.filter(consumer=content.name, generation=number).update(position=first)
    for relation in content.all_relations:
        filling.as_owner(sql.SQL("TRUNCATE {}").format(sql.Identifier(relation.table(number))))
    run = runner.Run(content.name, number, 0)

    def apply() -> None:
        for position in range(first + 1, head + 1):
            runner.advance_window(run, until=position)

    rate = (head - first) / _timed(apply)
    generations.retire(content, "ready")
    generations.sweep(content)
    return rate


# --- how soon a commit can be read ---------------------------------------------------------------------------


def latency(tenant_id: uuid.UUID, *, seconds: float, foreign_seconds: float) -> list[Ratio]:
    """Milliseconds from a commit until its document can be read, p99 at half of what the pipeline can take.

    The second figure has a transaction of somebody else open, with an id of its own, all the time; the third an
    aggregate that cannot be applied.
    """
    saturated = _saturation(tenant_id, seconds=min(seconds, 15))
    rate = saturated / 2
    alone = _percentile(_delays(tenant_id, rate=rate, seconds=seconds), 0.99) * 1000
    with _foreign_transaction():
        time.sleep(1)
        beside = _percentile(_delays(tenant_id, rate=rate, seconds=foreign_seconds), 0.99) * 1000
    with _poison_aggregate(tenant_id):
        poisoned = _percentile(_delays(tenant_id, rate=rate, seconds=seconds), 0.99) * 1000
    print(f"latency: the pipeline takes {saturated:,.0f} commits/s, measured at {rate:,.0f}; p99 {alone:.0f} ms")
    return [
        Ratio("commit until readable, p99 / 250 ms", alone, 250, 1.0, "ms", at_most=True),
        Ratio("the same beside an open foreign transaction / without", beside, alone, 1.5, "ms", at_most=True),
        Ratio("the same beside a poison aggregate / without", poisoned, alone, 1.5, "ms", at_most=True),
    ]


def _saturation(tenant_id: uuid.UUID, *, seconds: float) -> float:
    """Commits a second one writer can do while the pipeline keeps up behind it, both for as long as they need."""
    began = time.monotonic()
    count = 0
    with _watching():
        while time.monotonic() < began + seconds:
            _commit_one(tenant_id)
            count += 1
        content = projections.get("content")
        sequencer.assign_positions()
        _wait_for(content, sequencer.head())
    return count / (time.monotonic() - began)


def _delays(tenant_id: uuid.UUID, *, rate: float, seconds: float) -> list[float]:
    """Seconds from commit to visible, of commits at random intervals."""
    committed: list[tuple[float, uuid.UUID]] = []
    chance = random.Random(20260102)
    with _watching() as seen:
        began = due = time.monotonic()
        while due < began + seconds:
            time.sleep(max(0.0, due - time.monotonic()))
            committed.append(_commit_one(tenant_id))
            due += chance.expovariate(rate)
        sequencer.assign_positions()
        _wait_for(projections.get("content"), sequencer.head())
        time.sleep(0.05)
    positions = _positions_of([node_id for _, node_id in committed])
    return [_seen_at(seen, positions[node_id]) - moment for moment, node_id in committed]


def _commit_one(tenant_id: uuid.UUID) -> tuple[float, uuid.UUID]:
    node_id = uuid.uuid4()
    translation = content_events.NodeTranslation(locale="en", title="Fresh", slug=str(node_id), excerpt="Just written")
    created = content_events.NodeCreated(
        kind="post", author_name="Ann", metadata={}, category_ids=[], parent_id=None, position=0, depth=0, tag_ids=[],
        translations=[translation], bodies=[],
    )  # fmt: skip
    with isolation.to_tenant(tenant_id), append.unit_of_work():
        append.append(created, tenant_id=tenant_id, aggregate_type=content_events.NODE, aggregate_id=node_id)
    return time.monotonic(), node_id


@contextmanager
def _watching() -> Iterator[list[tuple[float, int]]]:
    """(moment, position) each time the live checkpoint of the content projection was seen to have moved."""
    seen: list[tuple[float, int]] = []
    is_over = threading.Event()

    def watch() -> None:
        number = generations.live_number(projections.get("content"))
        query = "SELECT position FROM consumers_checkpoint WHERE consumer = 'content' AND generation = %s"
        with connection.cursor() as cursor:
            while not is_over.wait(0.002):
                cursor.execute(query, [number])
                position = int(cursor.fetchone()[0])
                if not seen or seen[-1][1] != position:
                    seen.append((time.monotonic(), position))
        connection.close()

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield seen
    finally:
        is_over.set()
        watcher.join()


@contextmanager
def _foreign_transaction() -> Iterator[None]:
    """Somebody else's write transaction, in another schema of the same server, open for the block."""
    other = connection.copy()
    try:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_current_xact_id()")
            yield
        other.rollback()
    finally:
        other.close()


@contextmanager
def _poison_aggregate(tenant_id: uuid.UUID) -> Iterator[None]:
    """A node that cannot be folded from its first event on, and gets another event ten times a second."""
    node_id, over = uuid.uuid4(), threading.Event()
    row = {
        "tenant_id": tenant_id, "aggregate_type": content_events.NODE, "aggregate_id": node_id,
        "lane": envelope.lane_of(tenant_id, node_id), "type": "content.node.created", "schema_version": 1,
        "occurred_at": None, "data": "{}", "actor": "system", "correlation_id": None, "causation_id": None,
    }  # fmt: skip

    def write() -> None:
        with isolation.to_tenant(tenant_id), connection.cursor() as cursor:
            while not over.wait(0.1):
                cursor.execute(append.APPEND_ONE, row)
        connection.close()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        over.set()
        writer.join()
    if not models.Parked.objects.filter(aggregate_id=node_id).exists():
        raise RuntimeError("the poison aggregate is not parked: it was not measured beside one")


def _positions_of(node_ids: list[uuid.UUID]) -> dict[uuid.UUID, int]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT l.aggregate_id, p.position FROM outbox_log l JOIN outbox_position p ON p.id = l.id "
            "WHERE l.aggregate_id = ANY(%s)",
            [node_ids],
        )
        return dict(cursor.fetchall())


def _seen_at(seen: list[tuple[float, int]], position: int) -> float:
    return next(moment for moment, reached in seen if reached >= position)


def _wait_for(content: projections.Projection, position: int) -> None:
    run = runner.Run(content.name, generations.live_number(content), 0)
    while runner.position_of(run) < position:
        time.sleep(0.005)


def _percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


def _timed(work: Callable[[], Any]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


def _no(stream: object, error: str) -> None:
    raise RuntimeError(f"the benchmark's own events can't be folded: {error}")
