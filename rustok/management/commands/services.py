"""`manage.py services start|stop|status|watch|remove`: the embedded servers alone."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from rustok import dev_lock, environment, servers


class Command(BaseCommand):
    tenancy = "public"
    help = (
        "Start, stop, show, watch or remove the embedded PostgreSQL and Valkey, and NATS where the bus is NATS. "
        "DATABASE_URL, VALKEY_URL and NATS_URL each replace one. "
        "`status` exits with 1 when a server is not running, `stop` and `remove` while something runs that would "
        "start them again."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "action",
            choices=["start", "stop", "status", "watch", "remove"],
            help="watch: stay in the foreground, restart what dies, stop all at SIGTERM or Ctrl-C. "
            "remove: stop them and delete their data for good.",
        )
        parser.add_argument("--json", action="store_true", help="status as one JSON object.")

    def handle(self, *args: Any, action: str, json: bool, **options: Any) -> None:
        try:
            match action:
                case "start":
                    servers.ensure_started(say=self.stderr.write)
                    self._show(as_json=json)
                case "stop":
                    _check_nobody_restarts_them()
                    stopped = servers.stop()
                    self.stdout.write(f"Stopped {' and '.join(stopped)}." if stopped else "Nothing was running.")
                case "remove":
                    _check_nobody_restarts_them()
                    servers.remove(environment.current())
                    self.stdout.write(f"Removed the embedded servers and {environment.current().data_dir}.")
                case "status":
                    self._show(as_json=json)
                    if not all(server["state"] in ("running", "external") for server in servers.status().values()):
                        raise SystemExit(1)
                case "watch":
                    servers.watch(say=self.stderr.write)
        except servers.ServersError as error:
            raise CommandError(str(error), returncode=2) from error

    def _show(self, *, as_json: bool) -> None:
        report = servers.status()
        if as_json:
            self.stdout.write(json.dumps(report, indent=2))
            return
        for name, server in report.items():
            facts = [f"{fact} {server[fact]}" for fact in ("pid", "socket", "set_by", "problem") if server.get(fact)]
            self.stdout.write(f"{name:9} {server['state']:12} {'  '.join(facts)}".rstrip())


def _check_nobody_restarts_them() -> None:
    try:
        dev_lock.check_free(environment.current())
    except dev_lock.DevRuns as error:
        raise CommandError(f"make dev runs here: {error}. End it with Ctrl-C, which stops its servers.") from None
    if watcher := servers.find_watcher():
        raise CommandError(f"`services watch` runs here (pid {watcher.pid}). End it, which stops its servers.")
