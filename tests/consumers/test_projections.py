"""Read models: exactly once, one poison aggregate at a time, rebuilt while they are read, verified against the log."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from django.db import connection, transaction

from apps.consumers import generations, models, projections, rebuild, runner, status, tasks
from apps.content import events as content_events
from apps.events import envelope, registry
from apps.outbox import sequencer
from apps.outbox.append import append, unit_of_work
from tests import factories

pytestmark = pytest.mark.usefixtures("committed_db")

CONTENT = projections.get("content")


@pytest.fixture
def tenant_id() -> uuid.UUID:
    return factories.make_tenant().id


def record(tenant_id: uuid.UUID, node_id: uuid.UUID, *payloads: Any) -> None:
    with unit_of_work():
        for payload in payloads:
            append(payload, tenant_id=tenant_id, aggregate_type=content_events.NODE, aggregate_id=node_id)


def created(title: str = "Hello") -> content_events.NodeCreated:
    translation = content_events.NodeTranslation(locale="en", title=title, slug=title.lower(), excerpt="")
    return content_events.NodeCreated(
        kind="post", author_name="Ann", metadata={}, category_ids=[], parent_id=None, position=0, depth=0,
        tag_ids=[], translations=[translation], bodies=[],
    )  # fmt: skip


def published() -> content_events.NodePublished:
    return content_events.NodePublished(published_at=datetime(2026, 1, 2, tzinfo=UTC))


def retitled(title: str) -> content_events.TranslationUpdated:
    return content_events.TranslationUpdated(locale="en", title=title, slug=title.lower(), excerpt="")


def titles(tenant_id: uuid.UUID) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT document FROM readmodels_contentdocument_live WHERE tenant_id = %s ORDER BY title", [tenant_id]
        )
        return [orjson.loads(row[0])["title"] for row in cursor.fetchall()]


def checkpoint() -> models.Checkpoint:
    return models.Checkpoint.objects.get(consumer="content", generation=generations.live_number(CONTENT))


def set_checkpoint(position: int) -> None:
    models.Checkpoint.objects.filter(consumer="content").update(position=position)


def test_documents_follow_the_log(tenant_id: uuid.UUID) -> None:
    node_id = uuid.uuid4()
    record(tenant_id, node_id, created(), published())
    tasks.drain()
    assert titles(tenant_id) == ["Hello"]

    record(tenant_id, node_id, retitled("Bye"))
    tasks.drain()
    assert titles(tenant_id) == ["Bye"]

    record(tenant_id, node_id, content_events.NodeDeleted())
    tasks.drain()
    assert titles(tenant_id) == []
    assert status.verify() == []


def test_delivered_twice_equals_delivered_once(tenant_id: uuid.UUID) -> None:
    record(tenant_id, uuid.uuid4(), created(), published(), retitled("Once"))
    tasks.drain()
    before = titles(tenant_id)

    set_checkpoint(0)
    tasks.drain()

    assert titles(tenant_id) == before == ["Once"]
    assert status.verify() == []


def test_a_deleted_aggregate_is_not_revived_by_redelivery(tenant_id: uuid.UUID) -> None:
    record(tenant_id, uuid.uuid4(), created(), published(), content_events.NodeDeleted())
    tasks.drain()

    set_checkpoint(0)
    tasks.drain()

    assert titles(tenant_id) == []


def test_runners_at_once_apply_every_event_once(tenant_id: uuid.UUID) -> None:
    nodes = [uuid.uuid4() for _ in range(30)]
    for node_id in nodes:
        record(tenant_id, node_id, created(str(node_id)), published())
    sequencer.assign_positions()

    def run() -> None:
        try:
            while checkpoint().position < sequencer.head():
                runner.advance_all()
        finally:
            connection.close()

    runners = [threading.Thread(target=run) for _ in range(3)]
    for each in runners:
        each.start()
    for each in runners:
        each.join()

    assert len(titles(tenant_id)) == 30
    assert status.verify() == []


@pytest.fixture
def poisoned(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A content projection that cannot apply a title of "Poison"."""

    def apply(state: projections.State | None, event: envelope.Event) -> projections.State | None:
        if event.data.get("title") == "Poison":
            raise ValueError("cannot read this title")
        return CONTENT.apply(state, event)

    monkeypatch.setitem(projections._projections, "content", replace_apply(apply))
    yield


def replace_apply(apply: projections.Apply) -> projections.Projection:
    fields = {name: getattr(CONTENT, name) for name in CONTENT.__slots__ if name != "state_relation"}
    return projections.Projection(**fields | {"apply": apply})


def test_a_poison_event_parks_its_aggregate_and_nothing_else(tenant_id: uuid.UUID, poisoned: None) -> None:
    sick, healthy = uuid.uuid4(), uuid.uuid4()
    record(tenant_id, sick, created("Sick"), published())
    tasks.drain()
    record(tenant_id, sick, retitled("Poison"))
    record(tenant_id, healthy, created("Healthy"), published())
    tasks.drain()
    record(tenant_id, sick, retitled("Later"))
    tasks.drain()

    assert titles(tenant_id) == ["Healthy", "Sick"]
    parked = list(models.Parked.objects.order_by("position"))
    assert [entry.aggregate_id for entry in parked] == [sick, sick]
    assert "cannot read this title" in parked[0].error
    assert checkpoint().position == status.status()["head"]
    assert any("2 parked events" in line for line in status.verify())


def test_a_rebuild_equals_what_is_live_byte_for_byte(tenant_id: uuid.UUID) -> None:
    for number in range(5):
        node_id = uuid.uuid4()
        record(tenant_id, node_id, created(f"Node {number}"), published(), retitled(f"Renamed {number}"))
    tasks.drain()
    live = all_rows()

    done = rebuild.rebuild(CONTENT)

    assert done.aggregates == 5
    assert generations.live_number(CONTENT) == done.generation
    assert all_rows() == live
    assert status.verify() == []


def test_a_rebuild_takes_in_events_that_were_not_applied_yet(tenant_id: uuid.UUID) -> None:
    record(tenant_id, uuid.uuid4(), created("Early"), published())
    tasks.drain()
    record(tenant_id, uuid.uuid4(), created("Late"), published())
    sequencer.assign_positions()

    rebuild.rebuild(CONTENT)

    assert titles(tenant_id) == ["Early", "Late"]


def test_readers_never_fail_through_a_swap(tenant_id: uuid.UUID) -> None:
    record(tenant_id, uuid.uuid4(), created(), published())
    tasks.drain()
    stop = threading.Event()
    answers: list[list[str]] = []
    failures: list[Exception] = []

    def read() -> None:
        try:
            while not stop.is_set():
                answers.append(titles(tenant_id))
        except Exception as error:  # noqa: BLE001 - handed to the test
            failures.append(error)
        finally:
            connection.close()

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(3):
        rebuild.rebuild(CONTENT)
    stop.set()
    reader.join()

    assert failures == []
    assert answers
    assert all(answer == ["Hello"] for answer in answers)


def test_a_killed_rebuild_leaves_the_live_one_and_is_swept_up_by_the_next(
    tenant_id: uuid.UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(tenant_id, uuid.uuid4(), created(), published())
    tasks.drain()
    before = generations.live_number(CONTENT)

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(rebuild, "_swap", killed)
        with pytest.raises(KeyboardInterrupt):
            rebuild.rebuild(CONTENT)
    assert generations.live_number(CONTENT) == before
    assert titles(tenant_id) == ["Hello"]

    done = rebuild.rebuild(CONTENT)

    states = dict(models.Generation.objects.filter(projection="content").values_list("number", "state"))
    assert states[done.generation] == "live"
    assert {number: state for number, state in states.items() if state != "retired"} == {
        before: "standby",
        done.generation: "live",
    }
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_class WHERE relname LIKE 'readmodels\\_contentdocument\\_\\_g%%' AND relkind = 'r'"
        )
        assert cursor.fetchone()[0] == 2


def test_two_rebuilds_at_once_are_refused(tenant_id: uuid.UUID) -> None:
    outcome: list[Exception] = []

    def second() -> None:
        try:
            rebuild.rebuild(CONTENT)
        except rebuild.RebuildRunning as error:
            outcome.append(error)
        finally:
            connection.close()

    with rebuild._one_at_a_time(CONTENT):
        other = threading.Thread(target=second)
        other.start()
        other.join()

    assert len(outcome) == 1


@pytest.mark.parametrize(
    ("tampering", "complaint"),
    [
        ("UPDATE {table} SET document = document || ' '", "rows differ from the fold"),
        ("DELETE FROM {table}", "rows differ from the fold"),
        ("DELETE FROM outbox_position WHERE position = 2", "positions are not 1..N"),
        ("UPDATE outbox_stream SET version = version + 1", "stream heads differ"),
        ("UPDATE outbox_position SET id = 999999 WHERE position = 2", "point at no event"),
    ],
)
def test_verification_says_no(tenant_id: uuid.UUID, tampering: str, complaint: str) -> None:
    record(tenant_id, uuid.uuid4(), created(), published())
    tasks.drain()
    assert status.verify() == []
    table = content_table()

    with connection.cursor() as cursor:
        cursor.execute(tampering.format(table=table))

    assert any(complaint in line for line in status.verify())


def test_status_tells_head_lag_and_parked(tenant_id: uuid.UUID) -> None:
    record(tenant_id, uuid.uuid4(), created(), published())
    unpositioned = status.status()["unpositioned"]
    sequencer.assign_positions()
    behind = next(entry for entry in status.status()["consumers"] if entry["name"] == "content")
    tasks.drain()
    caught_up = next(entry for entry in status.status()["consumers"] if entry["name"] == "content")

    assert unpositioned > 0
    assert behind["lag_events"] == status.status()["head"]
    assert behind["lag_seconds"] > 0
    assert (caught_up["lag_events"], caught_up["lag_seconds"], caught_up["parked"]) == (0, 0.0, 0)


def content_table() -> str:
    return CONTENT.relations[0].table(generations.live_number(CONTENT))


def all_rows() -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM readmodels_contentdocument_live ORDER BY id, locale")
        return list(cursor.fetchall())


def broken_render(tenant_id: uuid.UUID, node_id: uuid.UUID, state: projections.State) -> Any:
    if state["translations"]["en"]["title"] == "Poison":
        raise KeyError("colour")
    return CONTENT.render(tenant_id, node_id, state)


def unstorable_render(tenant_id: uuid.UUID, node_id: uuid.UUID, state: projections.State) -> Any:
    """A value Postgres refuses: a date after the last one it knows."""
    rows = CONTENT.render(tenant_id, node_id, state)
    if state["translations"]["en"]["title"] == "Poison":
        [row] = rows[CONTENT.relations[0].template]
        rows[CONTENT.relations[0].template] = [(*row[:2], "a locale that is far too long", *row[3:])]
    return rows


@pytest.mark.parametrize("render", [broken_render, unstorable_render])
def test_an_aggregate_that_cannot_be_rendered_or_stored_is_parked_alone(
    tenant_id: uuid.UUID, monkeypatch: pytest.MonkeyPatch, render: projections.Render
) -> None:
    fields = {name: getattr(CONTENT, name) for name in CONTENT.__slots__ if name != "state_relation"}
    monkeypatch.setitem(projections._projections, "content", projections.Projection(**fields | {"render": render}))
    sick = uuid.uuid4()
    record(tenant_id, sick, created("Poison"), published())
    record(tenant_id, uuid.uuid4(), created("Healthy"), published())

    tasks.drain()

    assert titles(tenant_id) == ["Healthy"]
    assert {entry.aggregate_id for entry in models.Parked.objects.all()} == {sick}
    assert checkpoint().position == sequencer.head()


def test_a_rebuild_that_would_lose_documents_is_refused(tenant_id: uuid.UUID, monkeypatch: pytest.MonkeyPatch) -> None:
    record(tenant_id, uuid.uuid4(), created("Poison"), published())
    record(tenant_id, uuid.uuid4(), created("Healthy"), published())
    tasks.drain()
    before = generations.live_number(CONTENT)
    fields = {name: getattr(CONTENT, name) for name in CONTENT.__slots__ if name != "state_relation"}
    worse = projections.Projection(**fields | {"render": broken_render})

    with pytest.raises(generations.SwapRefused, match="1 aggregates can't be folded"):
        rebuild.rebuild(worse)

    assert generations.live_number(CONTENT) == before
    assert titles(tenant_id) == ["Healthy", "Poison"]
    rebuild.rebuild(worse, accept_parked=True)
    assert titles(tenant_id) == ["Healthy"]
    rebuild.rebuild(CONTENT)
    assert titles(tenant_id) == ["Healthy", "Poison"]


def test_a_generation_behind_the_live_one_is_never_swapped_in(tenant_id: uuid.UUID) -> None:
    record(tenant_id, uuid.uuid4(), created(), published())
    tasks.drain()
    number = generations.create(CONTENT, state="catching_up", target_position=0)

    with pytest.raises(generations.SwapRefused, match="behind the live one"), transaction.atomic():
        generations.swap(CONTENT, to=number)

    assert titles(tenant_id) == ["Hello"]
    assert generations.sweep(CONTENT)


def test_rebuilds_beside_runners_and_writers_never_go_back(tenant_id: uuid.UUID) -> None:
    stop = threading.Event()
    failures: list[BaseException] = []

    def loop(work: Any) -> None:
        try:
            while not stop.is_set():
                work()
        except BaseException as error:  # noqa: BLE001 - handed to the test
            failures.append(error)
        finally:
            connection.close()

    def write() -> None:
        record(tenant_id, uuid.uuid4(), created(str(uuid.uuid4())), published())
        sequencer.assign_positions()

    works = [write, runner.advance_all, runner.advance_all]
    running = [threading.Thread(target=loop, args=(work,)) for work in works]
    for each in running:
        each.start()
    reached = 0
    try:
        for _ in range(4):
            done = rebuild.rebuild(CONTENT)
            assert done.position >= reached
            reached = done.position
            broken = status.verify(wait_seconds=60)
            assert (failures, broken) == ([], [])  # a thread that died explains what is behind
    finally:
        stop.set()
        for each in running:
            each.join()
    tasks.drain()

    assert failures == []
    assert status.verify() == []


def test_a_long_reader_of_the_old_tables_holds_up_nobody(tenant_id: uuid.UUID) -> None:
    record(tenant_id, uuid.uuid4(), created(), published())
    tasks.drain()
    reading, done = threading.Event(), threading.Event()

    def read_for_long() -> None:
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(f"SELECT count(*) FROM {content_table()}")
                reading.set()
                done.wait(30)
        finally:
            connection.close()

    reader = threading.Thread(target=read_for_long)
    reader.start()
    reading.wait(30)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(rebuild, "SWEEP_ATTEMPTS", 1)
        rebuild.rebuild(CONTENT)
    assert titles(tenant_id) == ["Hello"]
    done.set()
    reader.join()

    assert generations.sweep(CONTENT)


def test_projections_take_turns(tenant_id: uuid.UUID, settings: Any) -> None:
    settings.EVENTS_BATCH_SIZE = 1
    for _ in range(5):
        record(tenant_id, uuid.uuid4(), created(), published())
    sequencer.assign_positions()
    calls: list[str] = []
    original = runner.advance_window

    def counted(run: runner.Run, **options: Any) -> int:
        calls.append(run.consumer)
        return original(run, **options)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(runner, "advance_window", counted)
        runner.advance_all()

    taking_turns = sorted(set(calls))
    assert calls[: 2 * len(taking_turns)] == taking_turns * 2


def test_a_round_asks_anew_who_takes_part(tenant_id: uuid.UUID, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two ways to be left behind while the others chase a head that moves: somebody else was just there, or swapped."""
    passed_by: list[runner.Run] = []
    original = runner.advance_window

    def disturbed(run: runner.Run, **options: Any) -> int:
        if run.consumer == "content" and not passed_by:
            passed_by.append(run)
            record(tenant_id, uuid.uuid4(), created(), published())
            sequencer.assign_positions()
            return 0
        if run.consumer != "content" and len(passed_by) == 1:
            passed_by.append(run)
            with monkeypatch.context() as undisturbed:
                undisturbed.setattr(runner, "advance_window", original)
                rebuild.rebuild(CONTENT)
            record(tenant_id, uuid.uuid4(), created("Later"), published())
            sequencer.assign_positions()
        return original(run, **options)

    monkeypatch.setattr(runner, "advance_window", disturbed)
    runner.advance_all()

    assert len(passed_by) == 2
    assert checkpoint().position == sequencer.head()
    assert titles(tenant_id) == ["Hello", "Later"]


def test_verification_tells_who_was_stopped(tenant_id: uuid.UUID) -> None:
    models.Consumer.objects.filter(name="content").update(status="tripped", reason="7 of 7 aggregates failed at once")
    try:
        assert "content is tripped: 7 of 7 aggregates failed at once" in status.verify()
    finally:
        models.Consumer.objects.filter(name="content").update(status="active", reason="")


def test_verification_waits_for_running_workers(tenant_id: uuid.UUID) -> None:
    record(tenant_id, uuid.uuid4(), created(), published())
    assert status.verify() != []

    def work() -> None:
        tasks.drain()
        connection.close()

    worker = threading.Thread(target=work)
    worker.start()

    assert status.verify(wait_seconds=20) == []
    worker.join()


def test_old_versions_are_upcast_and_newer_ones_stop_the_reader(
    tenant_id: uuid.UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(tenant_id, uuid.uuid4(), created(), published())
    with connection.cursor() as cursor:
        cursor.execute("UPDATE outbox_log SET schema_version = 2 WHERE type = 'content.node.created'")

    with pytest.raises(registry.UnknownEventType, match="newer than 1"):
        tasks.drain()
    assert models.Parked.objects.count() == 0

    entry = registry.get("content.node.created")
    renamed = {1: lambda data: data, 2: lambda data: data | {"author_name": "Upcast"}}
    monkeypatch.setitem(registry._types, entry.name, registry.EventType(entry.name, 3, entry.payload, renamed))
    tasks.drain()
    with connection.cursor() as cursor:
        cursor.execute("SELECT document FROM readmodels_contentdocument_live")
        assert orjson.loads(cursor.fetchone()[0])["author"] == "Upcast"


def damage(node_id: uuid.UUID) -> None:
    """Spoil the stored document of a node."""
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {content_table()} SET title = 'spoiled' WHERE id = %s", [node_id])
