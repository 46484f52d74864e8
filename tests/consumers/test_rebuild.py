"""A rebuild is killed and resumed at each step, done by several processes, from states, by the workers, rolled back."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from apps.consumers import comparing, generations, models, operations, rebuild, status, tasks
from apps.events import envelope
from apps.outbox import sequencer
from tests.consumers import test_projections as scenes

pytestmark = pytest.mark.usefixtures("committed_db")

tenant_id = scenes.tenant_id
CONTENT = scenes.CONTENT
STEPS = ["_fold", "_index", "_catch_up", "_verify", "_swap", "_sweep_patiently"]


def publish_nodes(tenant_id: uuid.UUID, count: int, title: str = "Node") -> None:
    for number in range(count):
        scenes.record(tenant_id, uuid.uuid4(), scenes.created(f"{title} {number:03}"), scenes.published())


def assert_equal_to_the_log(generation: int | None = None) -> None:
    found = comparing.compare_with_fold(CONTENT, generation or generations.live_number(CONTENT))
    assert found.problems == []
    assert found.aggregates > 0


def state_of(number: int) -> str:
    return str(models.Generation.objects.get(projection="content", number=number).state)


def newest() -> models.Generation:
    return models.Generation.objects.filter(projection="content").latest("number")


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_killed_at_any_step_it_is_resumed(
    tenant_id: uuid.UUID, monkeypatch: pytest.MonkeyPatch, step: str, when: str
) -> None:
    publish_nodes(tenant_id, 10)
    tasks.drain()
    before, latest = generations.live_number(CONTENT), newest().number
    whole: Callable[..., Any] = getattr(rebuild, step)

    def killed(*arguments: Any) -> None:
        if when == "after":
            whole(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(rebuild, step, killed)
        with pytest.raises(KeyboardInterrupt):
            rebuild.rebuild(CONTENT)
    number = newest().number
    publish_nodes(tenant_id, 2, "Later")
    tasks.drain()
    if state_of(number) != "live":
        assert rebuild.rebuild(CONTENT, resume=True).generation == number

    assert number == latest + 1
    assert [state_of(number), state_of(before)] == ["live", "standby"]
    assert len(scenes.titles(tenant_id)) == 12
    assert_equal_to_the_log()


def test_a_fold_that_was_killed_goes_on_with_the_lane_it_stopped_at(
    tenant_id: uuid.UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_nodes(tenant_id, 30)
    tasks.drain()
    whole, folded = rebuild.fold_lanes, []

    def killed_in_the_middle(*arguments: Any, **options: Any) -> bool:
        if folded:
            raise KeyboardInterrupt
        folded.append(whole(*arguments, **options | {"lanes": 128}))
        return True

    with monkeypatch.context() as patched:
        patched.setattr(rebuild, "fold_lanes", killed_in_the_middle)
        with pytest.raises(KeyboardInterrupt):
            rebuild.rebuild(CONTENT)
    halfway = models.Checkpoint.objects.get(consumer="content", generation=newest().number)
    assert halfway.next_lane == 128
    assert 0 < halfway.folded < 60

    rebuild.rebuild(CONTENT, resume=True)

    assert models.Checkpoint.objects.get(consumer="content", generation=newest().number).next_lane is None
    assert_equal_to_the_log()


def test_nothing_to_resume_is_said(tenant_id: uuid.UUID) -> None:
    with pytest.raises(rebuild.NothingToResume, match="start without --resume"):
        rebuild.rebuild(CONTENT, resume=True)


def test_several_processes_fold_their_lanes(tenant_id: uuid.UUID, monkeypatch: pytest.MonkeyPatch) -> None:
    publish_nodes(tenant_id, 20)
    tasks.drain()
    # Leave the lanes of the second half to the helper process for as long as it lives.
    whole = rebuild.fold_lanes
    helpers: list[Any] = []
    start = rebuild.subprocess.Popen

    def remember(*arguments: Any, **options: Any) -> Any:
        helpers.append(start(*arguments, **options))
        return helpers[-1]

    def patient(projection: Any, number: int, shard: int, *, lanes: int) -> bool:
        if shard > 0:
            assert helpers[shard - 1].wait(60) == 0
        return whole(projection, number, shard, lanes=lanes)

    monkeypatch.setattr(rebuild.subprocess, "Popen", remember)
    monkeypatch.setattr(rebuild, "fold_lanes", patient)

    done = rebuild.rebuild(CONTENT, shards=2, swap=False)

    assert len(helpers) == 1
    assert done.aggregates == 20
    assert_equal_to_the_log(done.generation)


def test_states_rendered_anew_equal_the_fold(tenant_id: uuid.UUID) -> None:
    publish_nodes(tenant_id, 10)
    tasks.drain()
    publish_nodes(tenant_id, 2, "Later")

    done = rebuild.rebuild(CONTENT, source="state")
    tasks.drain()

    assert (done.note, models.Generation.objects.get(projection="content", state="live").source) == ("", "state")
    assert len(scenes.titles(tenant_id)) == 12
    assert_equal_to_the_log()


def test_rolled_back_to_the_former_generation_nothing_is_missing(tenant_id: uuid.UUID) -> None:
    publish_nodes(tenant_id, 3)
    tasks.drain()
    former = generations.live_number(CONTENT)
    done = rebuild.rebuild(CONTENT)
    publish_nodes(tenant_id, 2, "Later")
    tasks.drain()

    call_command("events_rebuild", "content", "--rollback")

    assert generations.live_number(CONTENT) == former
    assert state_of(done.generation) == "standby"
    assert len(scenes.titles(tenant_id)) == 5
    assert_equal_to_the_log()
    assert models.OperatorAction.objects.get().action == "roll back"


def test_without_an_earlier_generation_there_is_nothing_to_roll_back_to(tenant_id: uuid.UUID) -> None:
    with pytest.raises(generations.SwapRefused, match="no earlier generation is kept"):
        rebuild.roll_back(CONTENT)


def test_after_the_time_to_roll_back_the_former_tables_are_dropped(tenant_id: uuid.UUID, settings: Any) -> None:
    publish_nodes(tenant_id, 1)
    tasks.drain()
    former = generations.live_number(CONTENT)
    rebuild.rebuild(CONTENT)
    settings.EVENTS_ROLLBACK_HOURS = 0

    tasks.retire_generations()

    assert state_of(former) == "retired"
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s)", [CONTENT.relations[0].table(former)])
        assert cursor.fetchone()[0] is None


def test_workers_build_in_time_slices_what_an_operator_started(
    tenant_id: uuid.UUID, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuild, "STEP_EVENTS", 1)
    publish_nodes(tenant_id, 5)
    tasks.drain()
    live = generations.live_number(CONTENT)
    number = operations.start_rebuild(projection=CONTENT, source="log", reason="the search looks wrong")
    settings.EVENTS_TIME_SLICE_SECONDS = 0

    slices = 0
    while state_of(number) != "ready":
        tasks.build_generations()
        slices += 1
        assert slices < 600, "it gets nowhere"

    assert slices > 1
    assert generations.live_number(CONTENT) == live
    assert operations.swap(projection=CONTENT, reason="it was right") == number
    assert generations.live_number(CONTENT) == number
    assert_equal_to_the_log()
    assert list(models.OperatorAction.objects.order_by("id").values_list("action", flat=True)) == [
        "start rebuild",
        "swap",
    ]


def test_a_paused_rebuild_waits_and_goes_on_where_it_was(tenant_id: uuid.UUID) -> None:
    publish_nodes(tenant_id, 2)
    tasks.drain()
    number = operations.start_rebuild(projection=CONTENT, source="log", reason="new fields")
    operations.pause_rebuild(projection=CONTENT, reason="peak hours")

    tasks.build_generations()
    paused = state_of(number)
    again = operations.start_rebuild(projection=CONTENT, source="log", reason="peak is over")
    tasks.build_generations()

    assert (paused, again, state_of(number)) == ("building", number, "ready")


def test_only_what_is_ready_is_swapped_in(tenant_id: uuid.UUID) -> None:
    operations.start_rebuild(projection=CONTENT, source="log", reason="new fields")

    with pytest.raises(generations.SwapRefused, match="no generation that is ready"):
        operations.swap(projection=CONTENT, reason="in a hurry")


def test_lanes_are_shared_out_among_shards_and_none_is_lost(tenant_id: uuid.UUID, settings: Any) -> None:
    publish_nodes(tenant_id, 10)
    tasks.drain()
    settings.EVENTS_SHARDS = 4

    done = rebuild.rebuild(CONTENT)
    publish_nodes(tenant_id, 10, "Later")
    tasks.drain()

    shards = models.Checkpoint.objects.filter(consumer="content", generation=done.generation).order_by("shard")
    assert [(row.lane_low, row.lane_high) for row in shards] == [(0, 63), (64, 127), (128, 191), (192, 255)]
    assert {row.position for row in shards} == {sequencer.head()}
    assert status.verify() == []
    assert len(scenes.titles(tenant_id)) == 20


@pytest.mark.parametrize("shards", [1, 3, 64, 256])
def test_lane_ranges_cover_every_lane_once(shards: int) -> None:
    ranges = generations.lane_ranges(shards)

    assert [lane for low, high in ranges for lane in range(low, high + 1)] == list(range(envelope.LANES))


def test_status_shows_a_generation_on_its_way(tenant_id: uuid.UUID, capsys: pytest.CaptureFixture[str]) -> None:
    publish_nodes(tenant_id, 2)
    tasks.drain()
    number = operations.start_rebuild(projection=CONTENT, source="log", reason="new fields")
    operations.pause(consumer="low_stock_notice", reason="mail server moves")

    call_command("events_status")

    shown = capsys.readouterr().out
    assert f"content generation {number} (code {CONTENT.version}, from the log) is building" in shown
    assert "0% of its lanes folded, a worker builds it" in shown
    assert "PAUSED: mail server moves" in shown
    assert "0 pending 0 done 0 failed" in shown


@pytest.mark.parametrize("dry_run", [[], ["--dry-run"]])
def test_a_tenant_or_an_aggregate_the_log_does_not_know_is_refused_by_name(
    tenant_id: uuid.UUID, dry_run: list[str]
) -> None:
    node_id, stranger = uuid.uuid4(), uuid.uuid4()
    scenes.record(tenant_id, node_id, scenes.created("Node"), scenes.published())
    tasks.drain()

    for arguments, complaint in [
        (["content", "--tenant", str(stranger)], f"--tenant {stranger}: the log has no event of this tenant."),
        (["--tenant", str(stranger)], f"--tenant {stranger}: the log has no event of this tenant."),
        (["--aggregate", f"{tenant_id}/{stranger}"], f"--aggregate {tenant_id}/{stranger}: the log has no event of it"),
        (["--aggregate", f"{stranger}/{node_id}"], f"--aggregate {stranger}/{node_id}: the log has no event of it"),
        (["products", "--aggregate", f"{tenant_id}/{node_id}"], "that products follows"),
    ]:
        with pytest.raises(CommandError, match=re.escape(complaint)):
            call_command("events_rebuild", *arguments, *dry_run)


def test_one_that_is_known_is_built_anew_wherever_it_is_followed(
    tenant_id: uuid.UUID, capsys: pytest.CaptureFixture[str]
) -> None:
    node_id = uuid.uuid4()
    scenes.record(tenant_id, node_id, scenes.created("Node"), scenes.published())
    tasks.drain()

    call_command("events_rebuild", "--aggregate", f"{tenant_id}/{node_id}")
    assert capsys.readouterr().out.count("1 aggregates built anew") == 1

    call_command("events_rebuild", "products", "--tenant", str(tenant_id), "--quiet")
    assert "products: 0 aggregates built anew" in capsys.readouterr().out


@pytest.mark.parametrize("seconds", ["-1", "nan", "inf"])
def test_a_wait_that_is_no_time_is_refused(seconds: str) -> None:
    with pytest.raises(CommandError, match=f"--wait {seconds}: give 0 or more seconds"):
        call_command("events_verify", "--wait", seconds)
