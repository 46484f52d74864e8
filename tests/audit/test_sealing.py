"""Sealing beside writers: nothing missed, nothing twice, dense places, whoever is late or killed."""

from __future__ import annotations

import random
import signal
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from django.db import DatabaseError, connection, connections, transaction
from django.utils import timezone

from apps.audit import checkpoints, models, queries, recording, sealing, tasks, verifying
from apps.kernel import isolation
from tests.audit import tampering, writing
from tests.faults import work

pytestmark = pytest.mark.usefixtures("committed_db")

WRITERS = 20
ENTRIES_PER_WRITER = 25


def places_of(tenant_id: uuid.UUID) -> list[tuple[int, uuid.UUID]]:
    return list(
        models.Position.objects.filter(chain=tenant_id).order_by("sequence").values_list("sequence", "entry_id")
    )


def in_thread[T](work: Callable[[], T]) -> T:
    """In a thread with a connection of its own, closed afterwards."""

    def run() -> T:
        try:
            return work()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(run).result()


@contextmanager
def open_transaction(superuser: tampering.Superuser, tenant_id: uuid.UUID) -> Iterator[Callable[[], None]]:
    """An entry written by somebody who has not committed; the function commits."""
    is_written, may_commit = threading.Event(), threading.Event()

    def write_and_wait() -> None:
        try:
            with transaction.atomic():
                recording.record(action="shelf.dusted_late", tenant_id=tenant_id, object_type="shelf")
                is_written.set()
                assert may_commit.wait(30)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(write_and_wait)
        assert is_written.wait(30)

        def commit() -> None:
            may_commit.set()
            late.result()

        try:
            yield commit
        finally:
            may_commit.set()


def test_a_transaction_that_commits_late_is_sealed_later_and_never_missed(_superuser: tampering.Superuser) -> None:
    tenant_id = uuid.uuid4()
    writing.write(tenant_id, 2)

    with open_transaction(_superuser, tenant_id) as commit:
        writing.write(tenant_id, 2)
        assert writing.seal() == 4  # those around it do not wait for it
        writing.write(tenant_id, 1)
        assert writing.seal() == 1
        commit()

    assert writing.seal() == 1
    assert writing.seal() == 0
    assert [sequence for sequence, _ in places_of(tenant_id)] == [1, 2, 3, 4, 5, 6]
    assert {entry_id for _, entry_id in places_of(tenant_id)} == {row.id for row in writing.entries_of(tenant_id)}
    assert verifying.verify().findings == []


def test_twenty_writers_and_sealers_that_are_killed_leave_one_whole_chain(_superuser: tampering.Superuser) -> None:
    tenants = [uuid.uuid4() for _ in range(3)]
    are_writing = threading.Event()
    are_writing.set()
    killed = []

    def keep_writing(number: int) -> None:
        chance = random.Random(number)
        try:
            for _ in range(ENTRIES_PER_WRITER):
                with transaction.atomic():
                    writing.write(chance.choice(tenants), chance.randint(1, 3))
                    transaction.set_rollback(chance.random() < 0.1)
        finally:
            connections.close_all()

    def keep_sealing() -> None:
        try:
            while are_writing.is_set():
                try:
                    writing.seal()
                except DatabaseError:
                    killed.append(threading.get_ident())
                    connections.close_all()
        finally:
            connections.close_all()

    def keep_killing() -> None:
        while are_writing.is_set():
            _superuser.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted AND database = "
                "(SELECT oid FROM pg_database WHERE datname = current_database()) AND pid <> pg_backend_pid()"
            )

    with ThreadPoolExecutor(WRITERS + 4) as pool:
        others = [pool.submit(keep_sealing) for _ in range(3)] + [pool.submit(keep_killing)]
        writers = [pool.submit(keep_writing, number) for number in range(WRITERS)]
        for writer in writers:
            writer.result()
        are_writing.clear()
        for other in others:
            other.result()
    tasks.seal()

    assert len(killed) > 3
    written = 0
    for tenant_id in tenants:
        places = places_of(tenant_id)
        assert [sequence for sequence, _ in places] == list(range(1, len(places) + 1))
        assert {entry_id for _, entry_id in places} == {entry.id for entry in writing.entries_of(tenant_id)}
        written += len(places)
    assert written > WRITERS * ENTRIES_PER_WRITER
    verified = verifying.verify(checkpoint=checkpoints.read(checkpoints.path()))
    assert (verified.findings, verified.entries) == ([], written)


@pytest.mark.parametrize(("failpoint", "sealed_before"), [("audit.before_commit", 0), ("audit.after_commit", 3)])
def test_a_sealer_that_is_killed_leaves_it_to_the_next(failpoint: str, sealed_before: int) -> None:
    tenant_id = uuid.uuid4()
    writing.write(tenant_id, 3)

    assert work.start("seal", failpoint=failpoint) == -signal.SIGKILL

    assert len(places_of(tenant_id)) == sealed_before
    tasks.seal()
    assert len(places_of(tenant_id)) == 3
    assert verifying.verify(checkpoint=checkpoints.read(checkpoints.path())).findings == []
    assert checkpoints.read(checkpoints.path())[tenant_id].last == 3


def test_of_two_sealers_one_leaves_at_once(_superuser: tampering.Superuser) -> None:
    tenant_id = uuid.uuid4()
    writing.write(tenant_id, 1)

    with _superuser.transaction():
        _superuser.execute(sealing.TRY_LOCK, [sealing.LOCK])
        assert writing.seal() == 0

    assert writing.seal() == 1


def test_a_backlog_is_sealed_in_rounds_and_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "ENTRIES_PER_ROUND", 7)
    monkeypatch.setattr(sealing, "ENTRIES_PER_SEAL", 3)
    monkeypatch.setattr(verifying, "PAGE", 4)
    one, other = uuid.uuid4(), uuid.uuid4()
    writing.write(one, 11)
    writing.write(other, 8)

    assert writing.seal() == 19

    assert [sequence for sequence, _ in places_of(one)] == list(range(1, 12))
    assert [seal.count for seal in models.Seal.objects.filter(chain=one).order_by("number")] == [3, 3, 1, 3, 1]
    assert verifying.verify().findings == []


def test_after_a_restore_into_another_cluster_everything_is_looked_at(_superuser: tampering.Superuser) -> None:
    """Where transactions are counted anew, the horizon says nothing."""
    tenant_id = uuid.uuid4()
    writing.write(tenant_id, 2)
    writing.seal()
    writing.write(tenant_id, 2)
    _superuser.execute("UPDATE audit_horizon SET cluster = 'where it was', snap = '99999999:99999999:'")
    assert queries.measure_unsealed(now=timezone.now())[0] == 2

    assert writing.seal() == 2

    writing.write(tenant_id, 1)
    assert writing.seal() == 1
    assert verifying.verify().findings == []


def test_entries_that_the_horizon_was_moved_past_are_found_and_sealed_without_it(
    _superuser: tampering.Superuser,
) -> None:
    tenant_id = uuid.uuid4()
    writing.write(tenant_id, 1)
    writing.seal()
    writing.write(tenant_id, 1)
    _superuser.execute("UPDATE audit_horizon SET snap = pg_current_snapshot()")
    assert writing.seal() == 0

    [finding] = verifying.verify().findings

    assert (finding.kind, finding.entry) == ("inserted", writing.entries_of(tenant_id)[-1].id)
    _superuser.execute("DELETE FROM audit_horizon")
    assert writing.seal() == 1
    assert verifying.verify().findings == []


def test_the_metrics_tell_how_far_sealing_is_behind() -> None:
    writing.write(uuid.uuid4(), 2)

    count, age_seconds = queries.measure_unsealed(now=datetime(2199, 1, 1, tzinfo=UTC))
    assert count == 2
    assert age_seconds > 3600

    tasks.seal()

    assert tasks.UNSEALED._value.get() == tasks.SEAL_AGE._value.get() == 0


def test_writing_waits_for_no_sealer(_superuser: tampering.Superuser) -> None:
    """Nothing of what a sealer holds is in a writer's way."""
    tenant_id = uuid.uuid4()
    writing.write(tenant_id, 1)
    with transaction.atomic(), isolation.all_tenants(reason="test"), connection.cursor() as cursor:
        cursor.execute(sealing.TRY_LOCK, [sealing.LOCK])
        sealing._seal_rows(cursor, sealing._find_unsealed(cursor), timezone.now())

        def write_impatiently() -> None:
            with connection.cursor() as other:
                other.execute("SET lock_timeout = '100ms'")
            writing.write(tenant_id, 1)

        in_thread(write_impatiently)

    assert writing.seal() == 1
    assert verifying.verify().findings == []


def test_the_checkpoint_catches_up_by_itself() -> None:
    tenant_id = uuid.uuid4()
    writing.write(tenant_id, 1)
    writing.seal()  # and was killed before it wrote the checkpoint
    assert not checkpoints.path().exists()

    tasks.seal()

    newest = models.Seal.objects.get(chain=tenant_id)
    assert checkpoints.read(checkpoints.path()) == {tenant_id: checkpoints.of(newest)}


def test_a_checkpoint_that_cannot_be_written_does_not_hold_up_sealing(tmp_path: Any, settings: Any) -> None:
    tenant_id = uuid.uuid4()
    (tmp_path / "file").touch()
    settings.AUDIT_CHECKPOINT_DIR = tmp_path / "file"
    writing.write(tenant_id, 1)

    assert tasks.seal() == 1

    settings.AUDIT_CHECKPOINT_DIR = tmp_path / "folder"
    tasks.seal()
    assert checkpoints.read(checkpoints.path())[tenant_id].last == 1


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Any) -> None:
    for content in (b"[]", b"{", b'{"ordinal": 1, "chains": [{"chain": "x"}]}'):
        (tmp_path / "file").write_bytes(content)
        with pytest.raises(checkpoints.CheckpointUnreadable, match="not a checkpoint"):
            checkpoints.read(tmp_path / "file")


def test_places_are_unique_whatever_a_sealer_does(_superuser: tampering.Superuser) -> None:
    """The fence under the lock: two places for an entry, or two entries at a place, are refused by the database."""
    tenant_id = uuid.uuid4()
    writing.write(tenant_id, 2)
    writing.seal()
    (_, first), _ = places_of(tenant_id)

    for sequence, entry_id in ((3, first), (2, uuid.uuid4())):
        with pytest.raises(psycopg.errors.UniqueViolation):
            _superuser.execute(
                "INSERT INTO audit_position (chain, sequence, entry_id, mac, key_id) VALUES (%s, %s, %s, '', '')",
                [tenant_id, sequence, entry_id],
            )
