"""One poison aggregate waits alone; it is retried or skipped on the record; many at once stop the consumer."""

import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from apps.consumers import generations, models, operations, projections, rebuild, replay, runner, status, tasks
from apps.content import events as content_events
from apps.events import envelope
from apps.outbox import append as appending
from apps.outbox import sequencer
from tests.consumers import test_projections as scenes
from tests.faults import invariants

pytestmark = pytest.mark.usefixtures("committed_db")

tenant_id = scenes.tenant_id
CONTENT = scenes.CONTENT


@pytest.fixture
def poisoned(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """A content projection that cannot apply a title of "Poison", until the test undoes it."""

    def apply(state: projections.State | None, event: envelope.Event) -> projections.State | None:
        if event.data.get("title") == "Poison":
            raise ValueError("cannot read this title")
        return CONTENT.apply(state, event)

    with monkeypatch.context() as patched:
        patched.setitem(projections._projections, "content", scenes.replace_apply(apply))
        yield patched


def poison(tenant_id: uuid.UUID) -> uuid.UUID:
    """A node whose third event cannot be applied and whose fourth waits behind it."""
    node_id = uuid.uuid4()
    scenes.record(tenant_id, node_id, scenes.created("Sick"), scenes.published())
    scenes.record(tenant_id, node_id, scenes.retitled("Poison"))
    scenes.record(tenant_id, node_id, scenes.retitled("Later"))
    tasks.drain()
    return node_id


def test_what_came_before_the_poison_is_shown(tenant_id: uuid.UUID, poisoned: Any) -> None:
    poison(tenant_id)

    assert scenes.titles(tenant_id) == ["Sick"]
    assert models.Parked.objects.count() == 2


def test_one_poison_aggregate_of_a_thousand_holds_up_none_of_the_others(
    tenant_id: uuid.UUID, poisoned: pytest.MonkeyPatch, settings: Any
) -> None:
    sick, *healthy = [uuid.uuid4() for _ in range(1000)]
    with appending.unit_of_work():
        for node_id in [*healthy[:500], sick, *healthy[500:]]:
            scenes.record(tenant_id, node_id, scenes.created("Sick" if node_id == sick else "Well"), scenes.published())
    with appending.unit_of_work():
        for node_id in [*healthy[:500], sick, *healthy[500:]]:
            scenes.record(tenant_id, node_id, scenes.retitled("Poison" if node_id == sick else "Better"))
    settings.EVENTS_BATCH_SIZE = 300
    sequencer.assign_positions()
    run = runner.Run("content", generations.live_number(CONTENT), 0)

    while runner.advance_window(run):
        # Whatever lies behind the checkpoint is applied, but for what is parked.
        assert not [line for line in invariants.broken(is_drained=False) if "not where their checkpoint" in line]

    assert runner.position_of(run) == sequencer.head()
    assert sorted(set(scenes.titles(tenant_id))) == ["Better", "Sick"]
    assert scenes.titles(tenant_id).count("Better") == 999
    assert [row.aggregate_id for row in models.Parked.objects.all()] == [sick]
    poisoned.undo()
    assert operations.retry(consumer="content", aggregate_id=sick, reason="mended").released == 1
    assert scenes.titles(tenant_id).count("Poison") == 1
    tasks.drain()
    assert status.verify() == []


def test_a_rebuild_keeps_a_parked_aggregate_as_far_as_it_goes(tenant_id: uuid.UUID, poisoned: Any) -> None:
    poison(tenant_id)

    done = rebuild.rebuild(projections.get("content"))

    assert scenes.titles(tenant_id) == ["Sick"]
    assert models.Parked.objects.filter(generation=done.generation).count() == 2


def test_mended_and_retried_it_catches_up(tenant_id: uuid.UUID, poisoned: pytest.MonkeyPatch) -> None:
    node_id = poison(tenant_id)
    again = operations.retry(consumer="content", aggregate_id=node_id, reason="just looking")
    assert (again.released, again.still_parked) == (0, 2)
    assert "cannot read this title" in again.error
    assert models.Parked.objects.order_by("position")[0].attempts == 2
    poisoned.undo()

    mended = operations.retry(consumer="content", aggregate_id=node_id, reason="fixed in 1.2")

    assert (mended.released, mended.still_parked) == (2, 0)
    assert scenes.titles(tenant_id) == ["Later"]
    assert status.verify() == []
    assert [row.reason for row in models.OperatorAction.objects.all()] == ["fixed in 1.2", "just looking"]


def test_skipped_it_stays_skipped_in_every_rebuild(tenant_id: uuid.UUID, poisoned: Any) -> None:
    poison(tenant_id)

    done = operations.skip(consumer="content", position=sequencer.head() - 1, reason="a test title")

    assert (done.released, done.still_parked) == (1, 0)
    assert scenes.titles(tenant_id) == ["Later"]
    rebuild.rebuild(projections.get("content"))
    assert scenes.titles(tenant_id) == ["Later"]
    assert status.verify() == []
    action = models.OperatorAction.objects.get()
    assert (action.action, action.reason) == ("skip", "a test title")


def test_a_skip_needs_a_reason_and_a_parked_event(tenant_id: uuid.UUID, poisoned: Any) -> None:
    poison(tenant_id)

    with pytest.raises(operations.ReasonRequired):
        operations.skip(consumer="content", position=3, reason=" ")
    with pytest.raises(operations.NotParked, match="Position 1 is not parked"):
        operations.skip(consumer="content", position=1, reason="typo")
    with pytest.raises(operations.UnknownConsumer, match="there are: assets, content"):
        operations.skip(consumer="contents", position=1, reason="typo")


def test_many_failures_at_once_stop_the_consumer_and_park_nothing(tenant_id: uuid.UUID, poisoned: Any) -> None:
    for _ in range(8):
        scenes.record(tenant_id, uuid.uuid4(), scenes.created("Sick"), scenes.retitled("Poison"))
    tasks.drain()

    consumer = models.Consumer.objects.get(name="content")
    assert consumer.status == "tripped"
    assert "8 of 8 aggregates failed at once" in consumer.reason
    assert models.Parked.objects.count() == 0
    assert scenes.checkpoint().position == 0
    others = [entry for entry in status.status()["consumers"] if entry["name"] != "content"]
    assert all(entry["lag_events"] == 0 for entry in others)


def test_a_tripped_consumer_goes_on_when_it_is_mended(tenant_id: uuid.UUID, poisoned: pytest.MonkeyPatch) -> None:
    for _ in range(8):
        scenes.record(tenant_id, uuid.uuid4(), scenes.created("Sick"), scenes.published(), scenes.retitled("Poison"))
    tasks.drain()
    poisoned.undo()
    tasks.drain()
    assert scenes.titles(tenant_id) == []

    operations.start(consumer="content", reason="fixed in 1.2")
    tasks.drain()

    assert len(scenes.titles(tenant_id)) == 8
    assert status.verify() == []


def test_a_slow_stream_of_failures_trips_by_the_minute(tenant_id: uuid.UUID, poisoned: Any, settings: Any) -> None:
    settings.EVENTS_BREAKER_AGGREGATES = 3
    for _ in range(3):
        poison(tenant_id)
    assert models.Consumer.objects.get(name="content").status == "active"

    models.Parked.objects.update(parked_at=timezone.now() - timedelta(minutes=2))
    poison(tenant_id)
    assert models.Consumer.objects.get(name="content").status == "active"
    models.Parked.objects.update(parked_at=timezone.now())
    poison(tenant_id)

    assert models.Consumer.objects.get(name="content").status == "tripped"


def test_a_broken_new_generation_stops_alone(tenant_id: uuid.UUID, poisoned: pytest.MonkeyPatch) -> None:
    number = generations.create(CONTENT, state="catching_up", target_position=0)
    generations.finish(CONTENT, number)
    for _ in range(8):
        scenes.record(tenant_id, uuid.uuid4(), scenes.created("Sick"), scenes.retitled("Poison"))
    sequencer.assign_positions()

    runner.advance_window(runner.Run("content", number, 0))

    stopped = models.Generation.objects.get(projection="content", number=number)
    assert stopped.state == "retired"
    assert "failed at once" in stopped.problem
    assert models.Consumer.objects.get(name="content").status == "active"


def test_a_paused_consumer_waits(tenant_id: uuid.UUID) -> None:
    operations.pause(consumer="content", reason="maintenance")
    scenes.record(tenant_id, uuid.uuid4(), scenes.created(), scenes.published())

    tasks.drain()
    assert scenes.titles(tenant_id) == []
    call_command("events_consumer", "start", "content", "--reason", "done")
    tasks.drain()

    assert scenes.titles(tenant_id) == ["Hello"]


def test_replay_and_heal_mend_damaged_documents(tenant_id: uuid.UUID, capsys: pytest.CaptureFixture[str]) -> None:
    damaged, fine = uuid.uuid4(), uuid.uuid4()
    scenes.record(tenant_id, fine, scenes.created("Fine"), scenes.published())
    scenes.record(tenant_id, damaged, scenes.created("Damaged"), scenes.published())
    tasks.drain()
    whole = scenes.all_rows()
    for command in (
        ["events_replay", "--from", "3", "--consumer", "content", "--rate", "100000"],
        ["events_replay", "--since", "2020-01-01", "--quiet"],
        ["events_rebuild", "content", "--tenant", str(tenant_id)],
        ["events_rebuild", "content", "--aggregate", f"{tenant_id}/{damaged}"],
    ):
        scenes.damage(damaged)
        assert scenes.all_rows() != whole

        call_command(*command)

        assert scenes.all_rows() == whole, command
        assert status.verify() == []
    assert "aggregates built anew" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["events_replay", "--from", "0"], "goes from 1 to"),
        (["events_replay", "--from", "1", "--to", "999999"], "goes from 1 to"),
        (["events_replay", "--since", "yesterday"], "not an ISO 8601 time"),
        (["events_replay", "--from", "1", "--rate", "0"], "above 0"),
        (["events_replay", "--from", "1", "--consumer", "contents"], 'no consumer "contents"'),
        (["events_rebuild", "content", "--tenant", "acme"], "not a UUID"),
        (["events_rebuild", "content", "--resume"], "no unfinished generation"),
        (["events_rebuild", "content", "--rollback"], "no earlier generation"),
        (["events_rebuild", "content", "--shards", "0"], "give 1 to 64"),
        (["events_park", "retry", "content"], "Nothing is parked"),
    ],
)
def test_commands_say_what_is_wrong(tenant_id: uuid.UUID, command: list[str], message: str) -> None:
    scenes.record(tenant_id, uuid.uuid4(), scenes.created())
    tasks.drain()

    with pytest.raises(CommandError, match=message):
        call_command(*command)


def test_park_list_as_json(tenant_id: uuid.UUID, poisoned: Any, capsys: pytest.CaptureFixture[str]) -> None:
    node_id = poison(tenant_id)

    call_command("events_park", "list", "--json")

    shown = json.loads(capsys.readouterr().out)
    assert [(entry["aggregate_id"], entry["state"]) for entry in shown] == [(str(node_id), "blocked")] * 2


def test_the_time_of_a_position_comes_from_the_ticks(tenant_id: uuid.UUID) -> None:
    scenes.record(tenant_id, uuid.uuid4(), scenes.created())
    tasks.drain()
    between = timezone.now()
    scenes.record(tenant_id, uuid.uuid4(), scenes.created())
    head = sequencer.head()
    tasks.drain()

    assert replay.position_at(between) == head + 1
    assert replay.position_at(datetime(2020, 1, 1, tzinfo=UTC)) == 1


def test_deleted_content_stays_deleted(tenant_id: uuid.UUID) -> None:
    node_id = uuid.uuid4()
    scenes.record(tenant_id, node_id, scenes.created(), scenes.published(), content_events.NodeDeleted())
    tasks.drain()

    call_command("events_replay", "--from", "1", "--quiet")

    assert scenes.titles(tenant_id) == []
    assert status.verify() == []
