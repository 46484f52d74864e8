"""Old events leave the database for files, and nobody can tell the difference, but for the room there is."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from apps.consumers import generations, healing, models, operations, rebuild, replay, status, tasks
from apps.content import events as content_events
from apps.events import bus, envelope
from apps.outbox import archive_files, archived, archiving, log, partitions, readers, retention, sequencer
from apps.outbox import models as outbox_models
from apps.outbox import tasks as outbox_tasks
from tests.consumers import test_projections as scenes
from tests.outbox.conftest import Connect, append_on, fetch

pytestmark = pytest.mark.usefixtures("small_partitions")

tenant_id = scenes.tenant_id
CONTENT = scenes.CONTENT
MOMENT = timedelta(milliseconds=1)


@pytest.fixture(autouse=True)
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_files, "SEGMENT_EVENTS", 4)
    monkeypatch.setattr(partitions, "PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(partitions, "LOCK_TIMEOUT", "50ms")
    monkeypatch.setattr(partitions, "ATTEMPTS", 3)
    archived._events_of.cache_clear()
    archive_files.read_manifest.cache_clear()


@pytest.fixture
def nodes(tenant_id: uuid.UUID) -> list[uuid.UUID]:
    """More than three partitions of events, of aggregates that live from the first to the last of them."""
    made = in_lanes_of_their_own(tenant_id, 10)
    for number, node_id in enumerate(made):
        scenes.record(tenant_id, node_id, scenes.created(f"Node {number:03}"), scenes.published())
    for node_id in made:
        scenes.record(tenant_id, node_id, scenes.retitled(f"Again {node_id}"))
    scenes.record(tenant_id, made[0], content_events.NodeDeleted())
    tasks.drain()
    partitions.ensure()
    return made


def in_lanes_of_their_own(tenant_id: uuid.UUID, count: int) -> list[uuid.UUID]:
    """Ids of aggregates no two of which share a lane, so that lanes are equally full whatever the ids are."""
    found: dict[int, uuid.UUID] = {}
    while len(found) < count:
        node_id = uuid.uuid4()
        found.setdefault(envelope.lane_of(tenant_id, node_id), node_id)
    return list(found.values())


def archive_all() -> None:
    for first, last in archiving.sealed():
        archiving.archive(first, last)


def answers(tenant: uuid.UUID, nodes: list[uuid.UUID], types: list[str], moments: list[datetime]) -> dict[str, Any]:
    """What the log says to everybody who asks; streams by aggregate, as they come in no order."""
    head = sequencer.head()

    def streams(**chosen: Any) -> dict[Any, list[envelope.Event]]:
        read = log.read_by_aggregate(
            until=chosen.pop("until", head), aggregate_types=["content.node"], types=types, **chosen
        )
        return {log.key_of(stream[0]): stream for stream in read}

    with log.one_snapshot():
        return {
            "all": log.read_window(after=0, until=head, types=types),
            "windows": [log.read_window(after=at, until=at + 7, types=types) for at in range(head)],
            "lanes": [
                log.read_window(after=3, until=head, types=types, lane_low=low, lane_high=low + 63)
                for low in range(0, 256, 64)
            ],
            "some types": log.read_window(after=0, until=head, types=["content.node.published"]),
            "each": [log.find_at(position) for position in range(head + 2)],
            "counts": [log.count(until=until, types=types) for until in range(head + 1)],
            "count of a type": log.count(until=head, types=["content.node.published"]),
            "streams": streams(),
            "streams until": [streams(until=until) for until in (5, 13, 22)],
            "streams of lanes": [streams(lane_low=low, lane_high=low + 31) for low in range(0, 256, 32)],
            "of a tenant": streams(tenant_id=tenant),
            "of nobody": streams(tenant_id=uuid.uuid4()),
            "of some": streams(tenant_id=tenant, aggregate_ids=nodes[:3]),
            "times": [replay.position_at(moment) for moment in moments],
        }


@pytest.mark.parametrize("budget", [archived.BUDGET_BYTES, 6000, 800])
def test_every_read_answers_the_same_from_archives_as_from_tables(
    tenant_id: uuid.UUID, nodes: list[uuid.UUID], monkeypatch: pytest.MonkeyPatch, budget: int
) -> None:
    monkeypatch.setattr(archived, "BUDGET_BYTES", budget)
    types = [row[0] for row in fetch("SELECT DISTINCT type FROM outbox_log")]
    moments = [row[0] + delay for row in fetch("SELECT at FROM outbox_tick") for delay in (timedelta(0), MOMENT)]
    from_tables = answers(tenant_id, nodes, types, moments)
    archive_all()

    dropped = retention.drop()

    assert dropped.cold_until == 29
    parts = list(archived.parts(until=29, lanes=range(envelope.LANES)))
    assert (len(parts) > 1, any(part.buckets > 1 for part in parts)) == (budget < 10_000, budget < 1000)
    assert answers(tenant_id, nodes, types, moments) == from_tables
    assert fetch("SELECT min(position) > 29, count(*) < 15 FROM outbox_position") == [(True, True)]
    assert fetch("SELECT min(id) >= 30 FROM outbox_log") == [(True,)]


def test_a_rebuild_from_archive_and_tables_equals_the_live_documents_byte_for_byte(nodes: list[uuid.UUID]) -> None:
    before = scenes.all_rows()
    archive_all()
    retention.drop()

    done = rebuild.rebuild(CONTENT)

    assert done.state == "live" and len(before) == len(nodes) - 1
    assert scenes.all_rows() == before
    assert status.verify() == []


def test_consumers_read_heal_and_replay_what_is_archived(tenant_id: uuid.UUID, nodes: list[uuid.UUID]) -> None:
    before = scenes.all_rows()
    archive_all()
    retention.drop()

    scenes.set_checkpoint(0)
    tasks.drain()
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {scenes.content_table()} SET document = document || ' '")
    replayed = replay.replay(CONTENT, first=1, last=14)
    healed = healing.heal_tenant(CONTENT, generations.live_number(CONTENT), tenant_id)

    assert replayed.events == 14 - replayed_of_others(14)
    assert healed == len(nodes)
    assert scenes.all_rows() == before


def replayed_of_others(until: int) -> int:
    """Events of types the content does not follow, such as those of the tenant."""
    return until - len(log.read_window(after=0, until=until, types=CONTENT.types))


def test_verification_covers_archives_and_tables_together(nodes: list[uuid.UUID]) -> None:
    archive_all()
    retention.drop()
    told: list[str] = []

    assert status.verify(report=told.append) == []
    assert f"log: {sequencer.head():,} positions checked" in told
    assert "archive positions-000000000001-000000000009: 9 events read back" in told


@pytest.mark.parametrize(
    ("tampering", "complaint"),
    [
        ("UPDATE outbox_stream SET version = version + 1", "stream heads differ"),
        ("UPDATE outbox_log SET version = version + 1 WHERE id = (SELECT max(id) FROM outbox_log)", "version order"),
        ("DELETE FROM outbox_position WHERE position = 31", "positions are not 1..N"),
        ("DELETE FROM outbox_archive WHERE first = 10", "archives do not continue each other"),
        ("UPDATE outbox_archive SET sha256 = 'other' WHERE first = 10", "is not the one that was written"),
    ],
)
def test_verification_says_no_behind_archives_too(nodes: list[uuid.UUID], tampering: str, complaint: str) -> None:
    archive_all()
    retention.drop()

    with connection.cursor() as cursor:
        cursor.execute(tampering)
    archive_files.read_manifest.cache_clear()

    assert any(complaint in line for line in status.verify())


def damage(how: str) -> None:
    path = archiving.directory() / "positions-000000000010-000000000019" / archive_files.EVENTS
    content = bytearray(path.read_bytes())
    if how == "a byte":
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    elif how == "the end":
        path.write_bytes(content[:-20])
    else:
        path.unlink()


@pytest.mark.parametrize("how", ["a byte", "the end", "all"])
def test_a_damaged_file_is_named_and_nothing_is_dropped_for_it(nodes: list[uuid.UUID], how: str) -> None:
    archive_all()
    damage(how)

    with pytest.raises(CommandError, match=r"positions-000000000010-000000000019.*backup"):
        call_command("events_partition", "drop")

    assert archived.cold_until() == 9
    assert fetch("SELECT min(position) FROM outbox_position") == [(10,)]
    assert any("positions-000000000010" in line for line in status.verify())


def test_readers_of_a_file_that_was_lost_are_told_which(nodes: list[uuid.UUID]) -> None:
    archive_all()
    retention.drop()
    damage("all")

    with pytest.raises(archive_files.ArchiveDamaged, match=r"positions-000000000010.*RUSTOK_EVENTS_ARCHIVE_DIR"):
        rebuild.rebuild(CONTENT)


@pytest.mark.parametrize("moment", ["in a segment", "before the last act", "before the catalogue"])
def test_a_killed_archiving_is_gone_on_with(
    nodes: list[uuid.UUID], monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    whole = archive_files.compress
    compressed: list[int] = []

    def compress(lines: Any, **options: Any) -> Any:
        if moment == "in a segment" and len(compressed) == 1:
            compressed.append(0)
            raise KeyboardInterrupt
        compressed.append(options["first"])
        return whole(lines, **options)

    def killed(*arguments: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(archive_files, "compress", compress)
    with monkeypatch.context() as patched:
        if moment == "before the last act":
            write = archive_files.write_durably
            patched.setattr(
                archive_files,
                "write_durably",
                lambda p, c: killed() if p.name == archive_files.MANIFEST else write(p, c),
            )
        if moment == "before the catalogue":
            patched.setattr(archiving, "_compare", killed)
        with pytest.raises(SystemExit) as interrupted:
            call_command("events_partition", "archive", "--quiet", stderr=StringIO())
    assert not outbox_models.Archive.objects.exists()

    call_command("events_partition", "archive", "--quiet", stdout=StringIO())
    retention.drop()

    assert interrupted.value.code == 130
    assert [first for first in compressed if first in (1, 5, 9)] == [1, 5, 9], "nothing is written twice"
    assert not list(archiving.directory().glob("*/*.partial"))
    assert status.verify() == []


def test_a_folder_with_the_events_of_another_log_is_refused(nodes: list[uuid.UUID]) -> None:
    archive_all()
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM outbox_archive")
        cursor.execute("UPDATE outbox_log SET actor = 'somebody else' WHERE id = 3")

    with pytest.raises(archiving.ArchiveConflict, match=r"Move the folder away"):
        archive_all()

    assert not outbox_models.Archive.objects.exists()


def test_a_directory_that_takes_no_files_is_named(nodes: list[uuid.UUID], settings: Any, tmp_path: Path) -> None:
    settings.EVENTS_ARCHIVE_DIR = tmp_path / "file"
    settings.EVENTS_ARCHIVE_DIR.write_text("")

    with pytest.raises(CommandError, match=r"can't be written \(Not a directory\); see RUSTOK_EVENTS_ARCHIVE_DIR"):
        call_command("events_partition", "archive", "--quiet")


def test_a_log_with_holes_is_not_archived(nodes: list[uuid.UUID]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM outbox_position WHERE position = 7")

    with pytest.raises(archiving.EventsMissing, match="events_verify"):
        archive_all()


def pause() -> None:
    operations.pause(consumer="content", reason="test")
    scenes.set_checkpoint(12)


def hold_back_the_relay() -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE outbox_sinkcursor SET position = 12")


def declare_a_reader() -> None:
    readers.declare("region-two", at=12)


def park() -> None:
    models.Parked.objects.create(
        consumer="content", generation=generations.live_number(CONTENT), tenant_id=uuid.uuid4(),
        aggregate_type="content.node", aggregate_id=uuid.uuid4(), position=13, error="test",
    )  # fmt: skip


def begin_a_rebuild() -> None:
    number = rebuild.begin(CONTENT, source="log", is_wanted=False)
    models.Checkpoint.objects.filter(consumer="content", generation=number).update(position=12)


@pytest.mark.parametrize(
    ("hold", "name"),
    [
        (pause, r"content \(generation \d+\) is at 12 \(let it catch up, or give it up with events_consumer retire\)"),
        (hold_back_the_relay, "the relay to bus is at 12"),
        (declare_a_reader, r"the bus reader region-two is at 12 \(let it read, or give it up with events_bus retire\)"),
        (park, r"a parked event of content \(generation \d+\) is at 12"),
        (begin_a_rebuild, r"content \(generation \d+\) is at 12"),
    ],
)
def test_what_somebody_still_needs_is_not_dropped_and_who_is_told(
    nodes: list[uuid.UUID], hold: Callable[[], None], name: str
) -> None:
    archive_all()
    hold()
    complaints = StringIO()

    with pytest.raises(SystemExit) as refused:
        call_command("events_partition", "drop", stderr=complaints)

    assert refused.value.code == 3
    assert re.search(name, complaints.getvalue())
    assert archived.cold_until() == 9, "what nobody needs is dropped all the same"
    assert fetch("SELECT min(position) FROM outbox_position") == [(10,)]


def test_the_bus_is_not_filled_from_what_is_archived(nodes: list[uuid.UUID]) -> None:
    archive_all()
    retention.drop()

    with pytest.raises(readers.NoLongerThere, match="filled from 30 on"):
        readers.declare("region-two", at=28)
    with pytest.raises(CommandError, match="Positions up to 29 are archived"):
        call_command("events_bus", "refill", "--from", "29")

    assert readers.declare("region-two", at=29) == 29
    call_command("events_bus", "refill", "--from", "30", stdout=StringIO())
    outbox_tasks.publish()
    assert [message.position for message in bus.default().read(29)] == list(range(30, sequencer.head() + 1))


def test_the_bus_waits_for_no_retired_consumer(nodes: list[uuid.UUID], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "_TRIM_EVERY", 1)
    trimmed: list[int] = []
    monkeypatch.setattr(bus.default(), "trim", trimmed.append)
    pause()
    tasks.trim_bus()
    operations.retire(consumer="content", reason="test")
    tasks.trim_bus()

    assert trimmed == [12, sequencer.head()]


def test_a_retired_consumer_holds_nothing_and_may_come_back(nodes: list[uuid.UUID]) -> None:
    before = scenes.all_rows()
    archive_all()
    pause()
    out = StringIO()
    call_command("events_consumer", "retire", "content", "--reason", "the shop closed", stdout=out)

    retention.drop()
    assert not any("content is at" in line for line in status.verify()), "nobody waits for it"
    call_command("events_consumer", "start", "content", "--reason", "it opened again", stdout=out)
    tasks.drain()

    assert archived.cold_until() == 29
    assert scenes.all_rows() == before
    assert status.verify() == []


def test_nothing_is_dropped_under_a_reader(nodes: list[uuid.UUID], open_connection: Connect) -> None:
    archive_all()
    reader = open_connection()
    reader.execute(archived.COLD_UNTIL)

    with pytest.raises(partitions.LogBusy):
        retention.drop()
    seen = reader.execute("SELECT count(*) FROM outbox_position WHERE position < 10").fetchone()
    reader.commit()
    retention.drop()

    assert seen == (9,)
    assert archived.cold_until() == 29


def test_a_writer_that_drew_its_id_long_ago_keeps_its_partition_and_its_event(
    tenant_id: uuid.UUID, open_connection: Connect
) -> None:
    writer = open_connection()
    append_on(writer, late := uuid.uuid4())
    for _ in range(15):
        scenes.record(tenant_id, uuid.uuid4(), scenes.created(), scenes.published())
    tasks.drain()
    partitions.ensure()
    archive_all()

    with pytest.raises(partitions.LogBusy):
        retention.drop()
    writer.commit()
    tasks.drain()
    retention.drop()

    assert archived.cold_until() >= 19
    assert fetch(
        "SELECT position > 20 FROM outbox_log JOIN outbox_position USING (id) WHERE aggregate_id = %s", [late]
    ) == [(True,)]
    assert partitions.leaves(partitions.LOG)[0].low == 0
    assert status.verify() == []


def test_an_event_that_comes_while_its_partition_is_dropped_is_found_under_the_lock(
    nodes: list[uuid.UUID], open_connection: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive_all()
    detach = retention._detach
    came: list[int] = []

    def comes(leaf: partitions.Leaf) -> None:
        if not came:
            came.append(1)
            writer = open_connection()
            writer.execute("SELECT setval(pg_get_serial_sequence('outbox_log', 'id'), 4)")
            writer.execute("DELETE FROM outbox_log WHERE id = 5")
            append_on(writer, uuid.uuid4())
            writer.execute("SELECT setval(pg_get_serial_sequence('outbox_log', 'id'), 1000)")
            writer.commit()
        detach(leaf)

    monkeypatch.setattr(retention, "_detach", comes)
    dropped = retention.drop()

    assert "outbox_log_p000000000000" not in dropped.partitions
    assert fetch("SELECT count(*) FROM outbox_log WHERE id = 5") == [(1,)]
    assert sequencer.assign_positions() == 1


def test_age_is_told_by_the_ticks_and_not_by_the_rows(nodes: list[uuid.UUID], settings: Any) -> None:
    assert retention.keep(now=timezone.now()) is None
    settings.EVENTS_HOT_DAYS = 7
    with connection.cursor() as cursor:
        # A long transaction writes rows that are old when they become visible.
        cursor.execute("UPDATE outbox_log SET recorded_at = recorded_at - interval '30 days'")
    outbox_tasks.keep()
    assert archived.cold_until() == 0

    with connection.cursor() as cursor:
        cursor.execute("UPDATE outbox_tick SET at = at - interval '8 days'")
    outbox_tasks.keep()

    assert archived.cold_until() == 29
    assert fetch("SELECT count(*) FROM outbox_tick WHERE last_position <= 29") == [(0,)]
    assert status.verify() == []
    scenes.record(uuid.uuid4(), uuid.uuid4(), scenes.created())
    assert sequencer.assign_positions() == 1


def test_the_task_stays_quiet_about_who_is_in_the_way(nodes: list[uuid.UUID], settings: Any) -> None:
    settings.EVENTS_HOT_DAYS = 0
    pause()

    outbox_tasks.keep()

    assert archived.cold_until() == 9
    assert outbox_models.Archive.objects.count() == 3


def test_the_command_tells_what_it_would_do_did_and_sees(nodes: list[uuid.UUID]) -> None:
    def run(*arguments: str) -> Any:
        out = StringIO()
        call_command("events_partition", *arguments, "--json", stdout=out)
        return json.loads(out.getvalue())

    planned = run("archive", "--dry-run")
    nothing_yet = archiving.directory().exists()
    done = run("archive")
    would_drop = run("drop", "--dry-run")
    nothing_old = run("drop", "--older-than", "1")
    dropped = run("drop")
    listed = run("list")

    assert planned == [{"first": 1, "last": 9}, {"first": 10, "last": 19}, {"first": 20, "last": 29}]
    assert not nothing_yet
    assert [entry["is_cold"] for entry in done] == [False, False, False]
    assert [entry["last"] for entry in would_drop] == [9, 19, 29]
    assert nothing_old["cold_until"] == 0
    assert "outbox_position_p000000000000" in dropped["partitions"]
    assert [entry["is_cold"] for entry in listed["archives"]] == [True, True, True]
    assert status.status()["cold_until"] == 29


def test_a_wrong_age_is_refused() -> None:
    with pytest.raises(CommandError, match="--older-than -1"):
        call_command("events_partition", "drop", "--older-than", "-1")


def test_the_file_is_read_by_zstd_and_holds_whole_rows(nodes: list[uuid.UUID]) -> None:
    row = fetch(
        "SELECT (to_jsonb(l) || jsonb_build_object('xid', l.xid::text))::text "
        "FROM outbox_log l JOIN outbox_position p USING (id) WHERE position = 6"
    )[0][0]
    archive_all()
    folder = archiving.directory() / "positions-000000000001-000000000009"

    text = archive_files.zstd.decompress((folder / archive_files.EVENTS).read_bytes())

    [line] = [told for told in map(json.loads, text.splitlines()) if told["position"] == 6]
    assert json.loads(row) == {k: v for k, v in line.items() if k not in {"position", "epoch", "positioned_at"}}
    assert line["epoch"] == 1
    manifest = json.loads((folder / archive_files.MANIFEST).read_text())
    assert (manifest["events"], manifest["format"], len(manifest["segments"])) == (9, 1, 3)


def test_two_archivings_at_once_are_refused(nodes: list[uuid.UUID], open_connection: Connect) -> None:
    open_connection().execute("SELECT pg_advisory_lock(hashtext('outbox:partitions'))")

    with pytest.raises(partitions.MaintenanceRunning):
        archive_all()


def test_records_of_effects_are_forgotten_when_done_long_ago(settings: Any) -> None:
    now = timezone.now()
    for key, state, days in (("old", "done", 40), ("new", "done", 20), ("failed", "failed", 40)):
        models.Effect.objects.create(
            key=key, consumer="x", position=1, event_id=uuid.uuid4(), tenant_id=uuid.uuid4(), target="", payload={},
            state=state, next_at=now, planned_at=now, done_at=now - timedelta(days=days),
        )  # fmt: skip

    assert tasks.forget_effects() == 1
    assert sorted(models.Effect.objects.values_list("key", flat=True)) == ["failed", "new"]
