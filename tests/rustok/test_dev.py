"""`manage.py dev` as a developer meets it: started, asked, hurt, stopped."""

import json
import os
import re
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator

import psutil
import pytest

from rustok import ports, servers, supervision
from rustok.environment import Environment, Profile
from rustok.servers import processes
from tests.serving import MANAGE, Dev


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    folder = tmp_path_factory.mktemp("dev")
    dev = Dev(folder / "data", folder / "output")
    yield dev
    dev.stop()
    servers.remove(Environment(profile=Profile.TEST, data_dir=dev.data_dir, database_url=None, valkey_url=None))


def status_of(port: int, path: str, host: str = "localhost") -> int:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"Host": host})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - our own http address
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_dev_from_start_to_ctrl_c(dev):
    """One story, because each chapter needs the one before: a start takes seconds."""
    port = dev.wait_until_ready()

    assert status_of(port, "/health/ready") == 200
    assert status_of(port, "/api/docs") == 200
    assert status_of(port, "/admin/login/") == 200
    assert status_of(port, "/static/admin/css/base.css") == 200
    for told in ("/api/docs", "/admin/", "demo-shop.localhost", "demo-site.localhost", "admin@example.com"):
        assert told in dev.output
    for host, path in re.findall(r"http://(demo-[a-z]+\.localhost):\d+(\S+)", dev.output):
        assert status_of(port, path, host) == 200

    # What mails are there for is not covered, as it is in the log.
    asked = json.dumps({"email": "admin@example.com"}).encode()
    forgotten = urllib.request.Request(f"http://127.0.0.1:{port}/api/v1/auth/reset", asked, {"Host": "localhost"})
    forgotten.add_header("Content-Type", "application/json")
    assert urllib.request.urlopen(forgotten, timeout=10).status == 202  # noqa: S310 - our own http address
    mailed = re.compile(r"To: admin@example\.com.*rts_\S{20}", re.DOTALL)
    assert processes.wait_until(lambda: bool(mailed.search(dev.output)), timeout_seconds=30), dev.output

    # A second one in the same place is told where the first is.
    second = subprocess.run([*MANAGE, "dev"], env=dev.variables, capture_output=True, text=True, check=False)
    assert second.returncode == 1
    assert f"already runs here: http://localhost:{port}" in second.stderr

    # Its servers are not stopped under it: the watcher would start them again.
    stopping = subprocess.run(
        [*MANAGE, "services", "stop"], env=dev.variables, capture_output=True, text=True, check=False
    )
    assert stopping.returncode == 1
    assert f"make dev runs here: http://localhost:{port} (pid {dev.process.pid})" in stopping.stderr
    assert status_of(port, "/health/ready") == 200

    # What is killed comes back.
    for words in (["granian"], ["worker"], ["beat"]):
        killed = dev.child(*words)
        killed.kill()
        assert processes.wait_until(lambda k=killed, w=words: is_replaced(dev, k, w), timeout_seconds=30), words
    assert processes.wait_until(lambda: status_of(port, "/health/ready") == 200, timeout_seconds=60)

    dev.process.send_signal(signal.SIGINT)
    assert dev.process.wait(timeout=60) == 0
    assert is_free(port)
    assert {server["state"] for server in report(dev).values()} == {"stopped"}
    assert processes.recall(dev.data_dir / "watch.pid") is None


@pytest.mark.parametrize("victim", ["dev", "supervisord"])
def test_nothing_is_left_when_the_top_is_killed(dev, victim, tmp_path):
    dev.stop()
    again = Dev(dev.data_dir, tmp_path / "output")
    port = again.wait_until_ready()
    everything = psutil.Process(again.process.pid).children(recursive=True)

    killed = again.process if victim == "dev" else again.child("supervisor.supervisord")
    killed.kill()
    again.process.wait(timeout=60)

    assert processes.wait_until(lambda: is_free(port), timeout_seconds=30)
    alive: list[psutil.Process] = []

    def all_gone() -> bool:
        alive[:] = [process for process in everything if processes.is_alive(process)]
        return not alive

    assert processes.wait_until(all_gone, timeout_seconds=60), alive
    assert {server["state"] for server in report(again).values()} == {"stopped"}
    if victim == "supervisord":
        assert again.process.returncode == 1
        assert "supervisord was killed" in again.output


def is_replaced(dev: Dev, killed: psutil.Process, words: list[str]) -> bool:
    try:
        return dev.child(*words).pid != killed.pid
    except (AssertionError, psutil.NoSuchProcess):
        return False


def report(dev: Dev) -> dict[str, dict[str, object]]:
    told = subprocess.run(
        [*MANAGE, "services", "status", "--json"], env=dev.variables, capture_output=True, text=True, check=False
    )
    assert told.returncode == 1  # that is what stopped servers answer
    report: dict[str, dict[str, object]] = json.loads(told.stdout)
    return report


def test_a_port_that_was_asked_for_and_is_taken_is_an_error(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = subprocess.run(
            [*MANAGE, "dev"],
            env=os.environ | {"RUSTOK_DATA_DIR": str(tmp_path / "data"), "RUSTOK_PORT": str(port)},
            capture_output=True,
            text=True,
            check=False,
        )

    assert refused.returncode == 2
    assert f"Port {port} on 127.0.0.1 cannot be used" in refused.stderr
    assert f"pid {os.getpid()}" in refused.stderr


def test_the_next_free_port_is_taken_when_none_was_asked_for():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        reservation = ports.reserve_next_free("127.0.0.1", port)

    assert port < reservation.port < port + ports.TRIED_PORTS
    reservation.release()


def test_two_checkouts_that_look_at_the_same_moment_get_two_ports():
    one = ports.reserve_next_free("127.0.0.1", 25150)
    other = ports.reserve_next_free("127.0.0.1", 25150)

    assert one.port != other.port
    with pytest.raises(ports.PortTaken, match="another checkout"):
        ports.reserve("127.0.0.1", one.port)
    one.release()
    other.release()


def test_a_port_that_was_promised_and_is_in_use_names_who_uses_it():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        promise = ports._promise(port)

        with pytest.raises(ports.PortTaken, match=rf"cannot be used: .*\(pid {os.getpid()}\) listens on it\."):
            ports.reserve("127.0.0.1", port)

        assert promise is not None
        promise.close()


def test_a_log_is_followed_from_its_end_and_over_its_rotation(tmp_path):
    path = tmp_path / "web.log"
    path.write_text("old\n")
    log = supervision.Log("web", path)

    with path.open("a") as stream:
        stream.write("one\ntw")
    assert log.new_lines() == ["one"]
    with path.open("a") as stream:
        stream.write("o\n")
    path.rename(tmp_path / "web.log.1")
    path.write_text("three\n")
    assert log.new_lines() == ["two", "three"]
    path.unlink()
    assert log.new_lines() == []
    log.close()
