"""`manage.py dev`, behind `make dev`: the whole platform in one terminal, until Ctrl-C."""

import signal
import threading
import time
import urllib.error
import urllib.request
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from rustok import dev_lock, ports, servers, supervision
from rustok import environment as environments
from rustok.environment import Environment, Profile
from rustok.management.commands import seed_demo

READY_TIMEOUT_SECONDS = 180.0
STOP_TIMEOUT_SECONDS = 90.0
# What a newcomer reads first of the two demo tenants.
STOREFRONTS = {"demo-shop.localhost": "products", "demo-site.localhost": "content/post"}
COLOURS = {"web": "36", "worker": "35", "beat": "34", "services": "32", "supervisor": "33"}


class Command(BaseCommand):
    tenancy = "public"
    help = (
        "Start PostgreSQL, Valkey, web server, Celery worker and beat, with two demo tenants; Ctrl-C stops all of it. "
        "Exits with 1 when it already runs in this checkout, with 2 when something cannot be started."
    )
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        environment = environments.current()
        if environment.profile is Profile.PRODUCTION:
            raise CommandError("This is for development; deploy/README.md shows production.", returncode=2)
        self._asked_to_end = threading.Event()
        self._is_ready = False
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: self._asked_to_end.set())
        try:
            self._run(environment)
        except dev_lock.DevRuns as error:
            raise CommandError(f"make dev already runs here: {error}.") from None
        except (ports.PortTaken, servers.ServersError) as error:
            raise CommandError(str(error), returncode=2) from error

    def _run(self, environment: Environment) -> None:
        with dev_lock.hold(environment) as say_url:
            supervision.end_remains(environment)
            reservation = self._choose_port(environment)
            url = f"http://localhost:{reservation.port}"
            say_url(url)
            try:
                servers.ensure_started(say=self._say)
                self._prepare_database()
                if self._asked_to_end.is_set():
                    return
                self._say("Starting web server, worker and beat …")
                running = supervision.start(environment, port=reservation.port)
                try:
                    self._wait_until_ready(running, environment, reservation.port)
                    self._introduce(url, reservation.port)
                    self._follow(running)
                finally:
                    self._stop(running)
            finally:
                reservation.release()
                stopped = servers.stop()
                self._say(f"Stopped{' ' + ' and '.join(stopped) if stopped else ''}. The data stay for the next start.")

    # --- the steps ----------------------------------------------------------------------------------------

    def _choose_port(self, environment: Environment) -> ports.Reservation:
        if "port" in environment.model_fields_set:
            return ports.reserve(environment.host, environment.port)
        reservation = ports.reserve_next_free(environment.host, environment.port)
        if reservation.port != environment.port:
            self._say(f"Port {environment.port} is taken: using {reservation.port}. RUSTOK_PORT chooses another.")
        return reservation

    def _prepare_database(self) -> None:
        self._say("Bringing the database up to date …")
        call_command("migrate", interactive=False, verbosity=0)
        call_command("seed_demo", stdout=self.stdout, stderr=self.stderr)
        connections.close_all()

    def _wait_until_ready(self, running: supervision.Supervision, environment: Environment, port: int) -> None:
        every_address = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - where to ask when it listens everywhere
        address = every_address.get(environment.host, environment.host)
        began = time.monotonic()
        while not self._asked_to_end.wait(0.2):
            self._show_logs(running)
            if _answers(f"http://{address}:{port}/health/ready"):
                self._is_ready = True
                return
            if not running.is_alive():
                raise CommandError(f"supervisord ended; see {environment.data_dir}/logs/supervisor.log.", returncode=2)
            if time.monotonic() - began > READY_TIMEOUT_SECONDS:
                raise CommandError(f"/health/ready did not answer 200 in {READY_TIMEOUT_SECONDS:.0f} s.", returncode=2)

    def _introduce(self, url: str, port: int) -> None:
        if self._asked_to_end.is_set():
            return
        self._say("")
        self._say(self.style.SUCCESS(f"RusToK is ready: {url}"))
        self._say(f"  API docs     {url}/api/docs")
        self._say(f"  Admin        {url}/admin/  ({seed_demo.ADMIN_EMAIL}, password {seed_demo.ADMIN_PASSWORD})")
        self._say(
            f"  Editing      http://{next(iter(STOREFRONTS))}:{port}/admin/  (the same; each tenant on its own host)"
        )
        for host, path in STOREFRONTS.items():
            self._say(f"  Storefront   http://{host}:{port}/api/v1/store/{path}")
        self._say("Ctrl-C stops everything.")
        self._say("")

    def _follow(self, running: supervision.Supervision) -> None:
        while not self._asked_to_end.wait(0.2):
            self._show_logs(running)
            if not running.is_alive():
                raise CommandError("supervisord was killed, so everything ends. Run make dev again.")

    def _stop(self, running: supervision.Supervision) -> None:
        self._say("\nStopping … (Ctrl-C again: at once)")
        self._asked_to_end.clear()
        self._is_ready = False
        running.stop()
        began = time.monotonic()
        while running.is_alive():
            self._show_logs(running)
            if self._asked_to_end.wait(0.1) or time.monotonic() - began > STOP_TIMEOUT_SECONDS:
                running.stop(at_once=True)
                break
        self._show_logs(running)

    # --- the terminal -------------------------------------------------------------------------------------

    def _say(self, message: str) -> None:
        self.stdout.write(message)
        self.stdout.flush()

    def _show_logs(self, running: supervision.Supervision) -> None:
        for name, line in running.lines():
            if name == "supervisor" and " INFO " in line and not self._is_ready:
                continue  # that everything starts or stops in turn is no news
            label = f"{name:10} │ "
            if self.stdout.isatty():
                label = f"\033[{COLOURS[name]}m{label}\033[0m"
            self.stdout.write(f"{label}{line}")
        self.stdout.flush()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - our own http address
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
