"""Web server, Celery worker and beat under one supervisord, as `make dev` runs them.

Each program is started through `rustok.child`, so that the kernel ends it when supervisord is killed; supervisord
itself ends when the process that started it does. Nothing of ours can be left behind holding a port.
"""

import configparser
import io
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from rustok.environment import CHECKOUT, Environment
from rustok.servers import processes
from rustok.servers.places import Places

END_TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True)
class Program:
    """One supervised process. They start in order of `priority` and stop in the opposite one."""

    name: str
    priority: int
    command: list[str]
    stop_seconds: int
    process: str
    # What the kernel sends when supervisord is killed.
    orphan_signal: signal.Signals = signal.SIGKILL


def programs(environment: Environment, *, port: int) -> list[Program]:
    """What runs beside the embedded servers. The watcher stops last, because it stops the servers."""
    # fmt: off
    web = [
        "rustok.starting", "granian", "--interface", "wsgi", "--host", environment.host, "--port", str(port),
        "--workers", str(environment.web_workers), "--blocking-threads", str(environment.web_threads),
        "--respawn-failed-workers", "--workers-kill-timeout", "5", "--no-ws", "--log-level", "warning",
        "rustok.wsgi:application",
    ]
    # fmt: on
    celery = ["celery", "--app", "rustok.celery", "--quiet"]
    return [
        Program("services", 1, ["manage", "services", "watch"], 45, "command", orphan_signal=signal.SIGTERM),
        Program("web", 10, web, 12, "web"),
        Program("worker", 20, [*celery, "worker", "--without-gossip", "--without-mingle"], 20, "worker"),
        Program("beat", 30, [*celery, "beat"], 5, "beat"),
    ]


@dataclass
class Supervision:
    """A running supervisord and the logs of what it runs."""

    process: subprocess.Popen[bytes]
    logs: list["Log"] = field(default_factory=list)

    def is_alive(self) -> bool:
        return self.process.poll() is None

    def lines(self) -> list[tuple[str, str]]:
        """What was logged since the last call, as (program, line)."""
        return [(log.name, line) for log in self.logs for line in log.new_lines()]

    def stop(self, *, at_once: bool = False) -> None:
        """Ask everything to end; `at_once` kills supervisord, and the kernel the rest."""
        if at_once:
            self.process.kill()
        elif self.is_alive():
            self.process.terminate()


def start(environment: Environment, *, port: int) -> Supervision:
    """Write the configuration and start supervisord with all programs."""
    folder = environment.data_dir / "supervisor"
    logs = environment.data_dir / "logs"
    metrics = environment.data_dir / "metrics"
    for path in (folder, logs):
        path.mkdir(parents=True, exist_ok=True)
    # Files of processes that are gone would be added up for ever.
    shutil.rmtree(metrics, ignore_errors=True)
    metrics.mkdir()

    everything = programs(environment, port=port)
    configuration = folder / "supervisord.conf"
    configuration.write_text(_configuration(everything, folder=folder, logs=logs))
    names = ["supervisor", *(program.name for program in everything)]
    following = [Log(name, logs / f"{name}.log") for name in names]
    command = [sys.executable, "-m", "supervisor.supervisord", "--configuration", str(configuration)]
    process = subprocess.Popen(  # noqa: S603 - our own command
        _dying_with_parent(signal.SIGTERM, command),
        cwd=CHECKOUT,
        env=os.environ
        | {
            "RUSTOK_PORT": str(port),
            "PROMETHEUS_MULTIPROC_DIR": str(metrics),
            # Who develops as root has been told elsewhere.
            "PYTHONWARNINGS": "ignore:You're running the worker with superuser privileges",
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        # Ctrl-C reaches the starting process alone, which then stops supervisord in order.
        start_new_session=True,
    )
    processes.remember(psutil.Process(process.pid), _pid_file(environment))
    return Supervision(process, following)


def end_remains(environment: Environment) -> None:
    """End what a killed `make dev` of this data directory has left stopping, before it meets what starts now."""
    for remembered in (_pid_file(environment), Places(environment.data_dir).pid_file("watch")):
        if process := processes.recall(remembered):
            processes.stop(process, signals=[(signal.SIGTERM, END_TIMEOUT_SECONDS), (signal.SIGKILL, 5.0)])


def _pid_file(environment: Environment) -> Path:
    return environment.data_dir / "supervisor" / "supervisord.started"


def _dying_with_parent(orphan_signal: signal.Signals, command: list[str]) -> list[str]:
    return [sys.executable, "-m", "rustok.child", orphan_signal.name, *command]


def _configuration(everything: list[Program], *, folder: Path, logs: Path) -> str:
    sections: dict[str, dict[str, str]] = {
        "supervisord": {
            "nodaemon": "true",
            "silent": "true",
            # Said aloud, or it warns that it did not drop root's privileges.
            **({"user": "root"} if os.geteuid() == 0 else {}),
            "pidfile": str(folder / "supervisord.pid"),
            "childlogdir": str(logs),
            "logfile": str(logs / "supervisor.log"),
            "logfile_maxbytes": "5MB",
            "logfile_backups": "1",
        }
    }
    for program in everything:
        name, *arguments = program.command
        module = ["manage.py"] if name == "manage" else ["-m", name]
        command = _dying_with_parent(program.orphan_signal, [sys.executable, *module, *arguments])
        sections[f"program:{program.name}"] = {
            "command": " ".join(f'"{part}"' for part in command),
            "directory": str(CHECKOUT),
            "environment": f'RUSTOK_PROCESS="{program.process}"',
            "priority": str(program.priority),
            "autorestart": "true",
            "startretries": "1000",
            "stopwaitsecs": str(program.stop_seconds),
            "killasgroup": "true",
            "redirect_stderr": "true",
            "stdout_logfile": str(logs / f"{program.name}.log"),
            "stdout_logfile_maxbytes": "5MB",
            "stdout_logfile_backups": "1",
        }
    # supervisord expands %(…)s: a path with a percent sign must not be taken for one.
    parser = configparser.RawConfigParser()
    for section, options in sections.items():
        parser[section] = {option: value.replace("%", "%%") for option, value in options.items()}
    text = io.StringIO()
    parser.write(text)
    return text.getvalue()


class Log:
    """Follows one log file from its present end on, also over its rotation."""

    def __init__(self, name: str, path: Path) -> None:
        self.name = name
        self._path = path
        self._file: io.TextIOWrapper | None = self._open()
        if self._file:
            self._file.seek(0, os.SEEK_END)
        self._rest = ""

    def new_lines(self) -> list[str]:
        text = self._rest + (self._file.read() if self._file else "")
        if self._is_replaced():
            self.close()
            self._file = self._open()
            text += self._file.read() if self._file else ""
        *lines, self._rest = text.split("\n")
        return lines

    def close(self) -> None:
        if self._file:
            self._file.close()
            self._file = None

    def _open(self) -> io.TextIOWrapper | None:
        try:
            return self._path.open(errors="replace")
        except FileNotFoundError:
            return None

    def _is_replaced(self) -> bool:
        try:
            return self._file is None or self._path.stat().st_ino != os.fstat(self._file.fileno()).st_ino
        except FileNotFoundError:
            return False
