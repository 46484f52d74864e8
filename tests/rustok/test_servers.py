"""The embedded servers, really started and really killed."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import psycopg
import pytest
import redis
from pydantic import SecretStr

from rustok import servers
from rustok.environment import CHECKOUT, Environment, Profile, current
from rustok.servers import ServersError, files, processes, run_as, valkey
from rustok.servers.places import Places

is_root = pytest.mark.skipif(os.geteuid() != 0, reason="about running as root")


@pytest.fixture
def make_environment(tmp_path: Path) -> Iterator[object]:
    """Makes environments with a data directory each; their servers are removed at the end."""
    made: list[Environment] = []

    def make(name: str = "data") -> Environment:
        made.append(Environment(profile=Profile.TEST, data_dir=tmp_path / name, database_url=None, valkey_url=None))
        return made[-1]

    yield make
    for environment in made:
        servers.remove(environment)


@pytest.fixture
def fresh(make_environment) -> Environment:
    """A data directory nothing was ever in."""
    return make_environment()


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    environment = Environment(
        profile=Profile.TEST, data_dir=tmp_path_factory.mktemp("used"), database_url=None, valkey_url=None
    )
    yield environment
    servers.remove(environment)


@pytest.fixture
def environment(used: Environment) -> Iterator[Environment]:
    """A data directory that was in use before; making a new one takes a second."""
    start(used)
    yield used
    servers.stop(used)


def start(environment: Environment) -> dict[str, int]:
    servers.ensure_started(environment, say=lambda message: None)
    return pids(environment)


def pids(environment: Environment) -> dict[str, int]:
    report = servers.status(environment)
    assert {server["state"] for server in report.values()} == {"running"}, report
    return {name: int(str(server["pid"])) for name, server in report.items()}


def query(environment: Environment, statement: str) -> object:
    facts = servers.connection_facts(environment).superuser
    assert facts is not None
    with facts.connect() as connection:
        row = connection.execute(statement).fetchone() if statement.startswith("SELECT") else None
        connection.execute(statement) if row is None else None
        return row and row[0]


def valkey_of(environment: Environment) -> redis.Redis:
    return redis.Redis.from_url(servers.connection_facts(environment).valkey_url, decode_responses=True)


def kill(pid: int) -> None:
    process = psutil.Process(pid)
    process.kill()
    assert processes.wait_until(lambda: not processes.is_alive(process), timeout_seconds=10)


def test_they_start_once_outlive_the_command_and_keep_the_data(fresh):
    script = (
        "import sys; from pathlib import Path; from rustok import servers; from rustok.environment import Environment;"
        "servers.ensure_started(Environment(data_dir=Path(sys.argv[1])))"
    )
    subprocess.run([sys.executable, "-c", script, str(fresh.data_dir)], cwd=CHECKOUT, check=True)
    began = pids(fresh)
    query(fresh, "CREATE TABLE kept AS SELECT 42 AS answer")
    valkey_of(fresh).set("kept", "42")

    assert start(fresh) == began
    assert servers.stop(fresh) == ["valkey", "postgres"]
    assert {server["state"] for server in servers.status(fresh).values()} == {"stopped"}
    assert servers.stop(fresh) == []
    assert not Places(fresh.data_dir).postgres_sockets.exists()
    assert not Places(fresh.data_dir).valkey_sockets.exists()
    start(fresh)
    assert query(fresh, "SELECT answer FROM kept") == 42
    assert valkey_of(fresh).get("kept") == "42"


def test_what_the_embedded_servers_are(environment):
    assert str(query(environment, "SELECT current_setting('server_version')")).startswith("18.")
    assert query(environment, "SELECT current_setting('listen_addresses')") == ""
    assert query(environment, "SELECT current_setting('fsync')") == "off"
    assert query(environment, "SELECT datlocale FROM pg_database WHERE datname = 'rustok'") == "C.UTF-8"
    powers = "SELECT rolsuper OR rolbypassrls OR rolcreatedb FROM pg_roles WHERE rolname = 'rustok_app'"
    assert query(environment, powers) is False
    assert query(environment, "SELECT count(*) >= 0 FROM pg_stat_statements") is True
    settings = valkey_of(environment).config_get("*")
    assert (settings["port"], settings["appendonly"], settings["appendfsync"]) == ("0", "yes", "everysec")


def test_nobody_gets_in_without_the_password(environment):
    places = Places(environment.data_dir)

    for folder in (places.postgres_sockets, places.valkey_sockets):
        assert folder.stat().st_mode & 0o777 == 0o700
    assert places.passwords.stat().st_mode & 0o777 == 0o600
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(host=str(places.postgres_sockets), dbname="rustok", user="rustok", passfile="/dev/null")


def test_many_commands_at_once_start_one_pair_of_servers(environment):
    servers.stop(environment)

    with ThreadPoolExecutor(6) as threads:
        outcomes = list(threads.map(lambda _: start(environment), range(6)))

    assert all(outcome == outcomes[0] for outcome in outcomes)


def test_a_durable_start_keeps_fsync_on(make_environment):
    environment = make_environment().model_copy(update={"profile": Profile.DEVELOPMENT})

    start(environment)

    assert query(environment, "SELECT current_setting('fsync')") == "on"


def test_nats_runs_where_the_bus_is_nats_and_heals_like_the_others(environment):
    with_nats = environment.model_copy(update={"events_transport": "nats"})
    assert "nats" not in servers.status(environment)
    killed = start(with_nats)["nats"]
    address = servers.connection_facts(with_nats).nats_url.removeprefix("file://")
    assert Path(address).stat().st_mode & 0o777 == 0o600

    kill(killed)
    assert servers.status(with_nats)["nats"]["state"] == "stopped"
    healed = start(with_nats)["nats"]

    assert healed != killed
    assert Path(address).read_text().startswith("nats://")
    # It is stopped also when it is not needed any more.
    assert "nats" in servers.stop(environment)


def test_a_nats_of_ones_own_replaces_the_embedded_one(environment):
    url = SecretStr("nats://nats.example:4222")
    with_own = environment.model_copy(update={"events_transport": "nats", "nats_url": url})

    assert servers.status(with_own)["nats"] == {"state": "external", "set_by": "NATS_URL"}
    assert servers.connection_facts(with_own).nats_url == "nats://nats.example:4222"


def test_two_data_directories_do_not_meet(environment, fresh):
    start(fresh)
    valkey_of(environment).set("side", "ours")
    query(environment, "CREATE TABLE side ()")

    servers.stop(environment)

    assert valkey_of(fresh).get("side") is None
    assert query(fresh, "SELECT to_regclass('side')") is None


def test_a_data_directory_below_a_very_long_path(make_environment):
    environment = make_environment("/".join(["long-" * 10] * 4))

    start(environment)

    socket = str(servers.status(environment)["postgres"]["socket"])
    assert len(socket) < 107 < len(str(environment.data_dir))


def test_kill_minus_nine_heals_at_the_next_start(environment):
    killed = pids(environment)
    query(environment, "CREATE TABLE IF NOT EXISTS kept ()")
    for pid in killed.values():
        kill(pid)
    assert {server["state"] for server in servers.status(environment).values()} == {"stopped"}

    healed = start(environment)

    assert set(healed.values()).isdisjoint(killed.values())
    assert query(environment, "SELECT to_regclass('kept')") == "kept"


def test_a_recycled_pid_is_neither_trusted_nor_killed(environment):
    servers.stop(environment)
    with subprocess.Popen(["sleep", "60"]) as somebody:
        try:
            for name in ("postgres", "valkey"):
                # The pid of another, with the start time of the server that had it before.
                Places(environment.data_dir).pid_file(name).write_text(f"{somebody.pid} 1000.0\n")
            (run_as.data_of(Places(environment.data_dir)) / "postmaster.pid").write_text(f"{somebody.pid}\n")

            start(environment)
            servers.stop(environment)

            assert somebody.poll() is None
        finally:
            somebody.kill()


@pytest.mark.parametrize("damage", ["pid files lost", "sockets lost"])
def test_servers_whose_traces_are_lost_are_replaced_and_not_doubled(environment, damage):
    lost = pids(environment)
    places = Places(environment.data_dir)
    if damage == "pid files lost":
        for name in lost:
            places.pid_file(name).unlink()
    else:
        (places.postgres_sockets / ".s.PGSQL.5432").unlink()
        places.valkey_socket.unlink()

    servers_answer_timeout, servers.ANSWER_TIMEOUT_SECONDS = servers.ANSWER_TIMEOUT_SECONDS, 0.2
    try:
        start(environment)
    finally:
        servers.ANSWER_TIMEOUT_SECONDS = servers_answer_timeout

    for pid in lost.values():
        assert not psutil.pid_exists(pid) or not processes.is_alive(psutil.Process(pid))


def test_a_data_directory_deleted_under_running_servers(fresh):
    lost = start(fresh)
    shutil.rmtree(fresh.data_dir)

    start(fresh)

    for pid in lost.values():
        assert not psutil.pid_exists(pid) or not processes.is_alive(psutil.Process(pid))


def test_a_first_start_that_was_killed_half_way_is_made_anew(fresh):
    half_made = fresh.data_dir / "postgres.partial"
    half_made.mkdir(parents=True)
    (half_made / "PG_VERSION").write_text("18\n")

    start(fresh)

    assert not half_made.exists()


def test_a_damaged_append_only_file_is_set_aside(environment):
    valkey_of(environment).set("lost", "1")
    servers.stop(environment)
    folder = Places(environment.data_dir).valkey_data / "appendonlydir"
    increments = next(folder.glob("*.incr.aof"))
    increments.write_bytes(b"*nonsense\r\n" + increments.read_bytes())
    said: list[str] = []

    servers.ensure_started(environment, say=said.append)

    assert "damaged" in said[-1]
    assert list(folder.parent.glob("appendonlydir.broken-*"))
    assert valkey_of(environment).get("lost") is None


def test_data_of_another_version_are_refused_by_name(environment):
    servers.stop(environment)
    version = run_as.data_of(Places(environment.data_dir)) / "PG_VERSION"
    version.write_text("17\n")

    with pytest.raises(ServersError, match="written by PostgreSQL 17, this is 18"):
        start(environment)

    version.write_text("18\n")


def test_lost_passwords_are_told(environment):
    servers.stop(environment)
    passwords = Places(environment.data_dir).passwords
    aside = passwords.rename(passwords.with_name("aside"))

    with pytest.raises(ServersError, match=r"pgpass is gone.*Restore the file"):
        start(environment)

    aside.rename(passwords)


def test_a_server_that_cannot_start_shows_the_end_of_its_log(environment, monkeypatch):
    servers.stop(environment)
    monkeypatch.setitem(valkey.OPTIONS, "appendfsync", "sometimes")

    with pytest.raises(ServersError, match=r"(?s)Valkey did not start.*appendfsync"):
        start(environment)


@is_root
def test_a_data_directory_of_another_user_is_refused(fresh):
    fresh.data_dir.mkdir()
    shutil.chown(fresh.data_dir, "nobody")

    with pytest.raises(ServersError, match=r"belongs to nobody, and you are root.*RUSTOK_DATA_DIR"):
        start(fresh)

    shutil.chown(fresh.data_dir, "root")


def test_a_socket_folder_somebody_else_has_put_there_is_refused(tmp_path):
    (tmp_path / "sockets").symlink_to("/")

    with pytest.raises(ServersError, match="is not ours"):
        files.make_private(tmp_path / "sockets", owner=os.geteuid())


@is_root
@pytest.mark.parametrize("mode", [run_as.Mode.NOBODY, run_as.Mode.NAMESPACE, run_as.Mode.COPY])
def test_every_way_to_run_under_root(tmp_path, monkeypatch, mode):
    # pytest's own folders are closed to nobody, as a CI's clone may be; the checkout usually is not.
    folder = current().data_dir if mode is run_as.Mode.NOBODY else tmp_path
    environment = Environment(profile=Profile.TEST, data_dir=folder / "mode", database_url=None, valkey_url=None)
    monkeypatch.setattr(run_as, "COPIES_ROOT", Path("/var/tmp", f"rustok-test-{os.getpid()}"))  # noqa: S108
    allowed = {mode}
    works = run_as.RunAs.works
    monkeypatch.setattr(run_as.RunAs, "works", lambda way: way.mode in allowed and works(way))
    try:
        try:
            start(environment)
        except ServersError:
            pytest.skip(f"the mode {mode} does not work on this machine")
        assert Places(environment.data_dir).run_as.read_text().strip() == mode
        owner = psutil.Process(pids(environment)["postgres"]).username()
        assert owner == ("root" if mode is run_as.Mode.NAMESPACE else "nobody")
        query(environment, "CREATE TABLE kept ()")
        servers.stop(environment)

        # Another mode takes over the data of the one that no longer works.
        allowed = {run_as.Mode.COPY}
        start(environment)

        assert query(environment, "SELECT to_regclass('kept')") == "kept"
    finally:
        servers.remove(environment)
        shutil.rmtree(run_as.COPIES_ROOT, ignore_errors=True)


def test_watch_restarts_what_dies_within_a_second_and_stops_both_at_the_end(environment):
    servers.stop(environment)
    variables = os.environ | {"RUSTOK_DATA_DIR": str(environment.data_dir)}
    with subprocess.Popen(
        [sys.executable, str(CHECKOUT / "manage.py"), "services", "watch"], env=variables, stderr=subprocess.DEVNULL
    ) as watcher:
        assert processes.wait_until(lambda: is_running(environment), timeout_seconds=30)
        first = pids(environment)
        for name, pid in first.items():
            kill(pid)
            killed_at = time.monotonic()
            assert processes.wait_until(lambda: is_running(environment), timeout_seconds=10), name
            assert time.monotonic() - killed_at < 3, name  # about one; three on a busy machine

        stopping = subprocess.run(
            [sys.executable, str(CHECKOUT / "manage.py"), "services", "stop"],
            env=variables,
            capture_output=True,
            text=True,
            check=False,
        )
        assert stopping.returncode == 1
        assert f"`services watch` runs here (pid {watcher.pid})" in stopping.stderr
        assert is_running(environment)

        watcher.send_signal(signal.SIGTERM)
        assert watcher.wait(timeout=30) == 0

    assert {server["state"] for server in servers.status(environment).values()} == {"stopped"}


def is_running(environment: Environment) -> bool:
    return {server["state"] for server in servers.status(environment).values()} == {"running"}
