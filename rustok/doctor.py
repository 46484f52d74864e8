"""What `manage.py doctor` looks at: is all well here, and if not, what helps?

Each check says in a few words what it found, or raises Unwell with the remedy. It changes nothing and starts nothing.
"""

from __future__ import annotations

import importlib.metadata
import shutil
import stat
import sys
import time
import tomllib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import redis
from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.core.files.storage import default_storage
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from apps.consumers import status
from apps.kernel import isolation
from apps.kernel.database import roles
from apps.media.models import Asset
from apps.outbox import sequencer
from rustok import environment, servers
from rustok.environment import CHECKOUT

LEAST_FREE_BYTES = 1024**3
OLDEST_PYTHON = (3, 12)
OLDEST_POSTGRES = 17
LARGEST_DRIFT_SECONDS = 2.0
# Work that takes longer to be noticed is not noticed at all: a worker needs about a second.
LARGEST_LAG_SECONDS = 60.0
CONNECT_TIMEOUT_SECONDS = 5
NEWEST_FILES = 20
UNFORCED = """
SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND a.attname = 'tenant_id'
  AND NOT a.attisdropped AND NOT (c.relrowsecurity AND c.relforcerowsecurity) ORDER BY c.relname
"""


class Unwell(Exception):
    """A check found something, and knows what helps; both are given without a full stop."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem)
        self.problem, self.remedy = problem, remedy


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check said. `skipped` is what could not be looked at because of another finding."""

    name: str
    state: Literal["ok", "unwell", "skipped"]
    said: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    look: Callable[[], str]
    needs: str = ""


def examine() -> Iterator[Finding]:
    """Every finding, as soon as it is known."""
    unwell: set[str] = set()
    for check in CHECKS:
        finding = _skipped(check) if check.needs in unwell else _found(check)
        if finding.state != "ok":
            unwell.add(check.name)
        yield finding


def _skipped(check: Check) -> Finding:
    return Finding(check.name, "skipped", f"not looked at, for it needs {check.needs}")


def _found(check: Check) -> Finding:
    try:
        return Finding(check.name, "ok", check.look())
    except Unwell as found:
        return Finding(check.name, "unwell", found.problem, found.remedy)
    except Exception as error:  # noqa: BLE001 - a check that fails is a finding, and the others still count
        said = f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0]}"
        return Finding(check.name, "unwell", said, "see the trouble itself with manage.py check, and the logs")


def look_at_python() -> str:
    running = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] < OLDEST_PYTHON:
        wanted = ".".join(map(str, OLDEST_PYTHON))
        raise Unwell(f"Python {running} runs", f"install Python {wanted} or newer and run make clean env")
    return f"{running} in {sys.prefix}"


def look_at_packages() -> str:
    """What is installed is what is locked; a container carries no lock file and is made from one."""
    lock = CHECKOUT / "uv.lock"
    if not lock.exists():
        return "no lock file here to compare with"
    wanted: dict[str, set[str]] = {}
    for package in tomllib.loads(lock.read_text())["package"]:
        wanted.setdefault(package["name"], set()).add(package.get("version", ""))
    installed = {
        dist.metadata["Name"].lower().replace("_", "-").replace(".", "-"): dist.version
        for dist in importlib.metadata.distributions()
    }
    others = [
        f"{name} {installed[name]}" for name in wanted if name in installed and installed[name] not in wanted[name]
    ]
    if others:
        raise Unwell(f"not as locked: {_few(others)}", "run make env")
    return f"{len(wanted.keys() & installed.keys())} as locked"


def look_at_settings() -> str:
    """Values that do not fit have ended the command before; here is what Django and the apps find in them."""
    found = [
        message for message in checks.run_checks() if message.level >= checks.WARNING and not message.is_silenced()
    ]
    if found:
        raise Unwell(f"{found[0].id}: {found[0].msg.splitlines()[0]}", found[0].hint or "see all with manage.py check")
    current = environment.current()
    own = len(current.model_fields_set)
    return f"profile {current.profile}, {own} set by the environment"


def look_at_data() -> str:
    folder = environment.current().data_dir
    if not folder.exists():
        return f"{folder} will be made by the first start"
    if stat.S_IMODE(folder.stat().st_mode) & 0o002:
        raise Unwell(f"everybody may write to {folder}", f"run chmod o-w {folder}")
    return str(folder)


def look_at_disk() -> str:
    folder = _existing(environment.current().data_dir)
    free = shutil.disk_usage(folder).free
    if free < LEAST_FREE_BYTES:
        remedy = f"make room on the disk of {folder}; PostgreSQL stops writing when it is full"
        raise Unwell(f"{free / 1024**2:,.0f} MiB free", remedy)
    return f"{free / 1024**3:,.1f} GiB free"


def look_at_servers() -> str:
    for name, server in servers.status().items():
        if server["state"] == "stopped":
            raise Unwell(f"{name} does not run", "run make dev, or make services for the servers alone")
        if server["state"] == "unreachable":
            raise Unwell(f"{name} runs and does not answer ({server['problem']})", f"see {server['log']}")
    return ", ".join(f"{name} {server['state']}" for name, server in servers.status().items())


def look_at_database() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SHOW server_version")
            version = cursor.fetchone()[0].split()[0]
    except (DatabaseError, ImproperlyConfigured) as error:
        reason = (str(error).strip().splitlines() or ["no reason given"])[0]
        raise Unwell(reason, "see that PostgreSQL runs and that DATABASE_URL, where it is set, leads to it") from None
    if int(version.split(".")[0]) < OLDEST_POSTGRES:
        raise Unwell(f"PostgreSQL {version}", f"move to PostgreSQL {OLDEST_POSTGRES} or newer")
    return f"PostgreSQL {version} as {connection.settings_dict['USER']}"


def look_at_clock() -> str:
    before = time.time()
    with connection.cursor() as cursor:
        cursor.execute("SELECT extract(epoch FROM clock_timestamp())::float8")
        there = cursor.fetchone()[0]
    drift = max(0.0, before - there, there - time.time())
    if drift > LARGEST_DRIFT_SECONDS:
        remedy = "set both clocks by NTP: sessions, jobs and one-time codes end by them"
        raise Unwell(f"{drift:.0f} s between this machine and the database", remedy)
    return f"{timezone.now():%Y-%m-%d %H:%M} UTC, as the database has it"


def look_at_roles() -> str:
    try:
        with connection.cursor() as cursor:
            roles.refuse_powerful(cursor)
    except roles.RoleTooPowerful as refusal:
        raise Unwell(str(refusal), "give DATABASE_URL the role of the application") from None
    return f"{connection.settings_dict['USER']} is held by row policies"


def look_at_migrations() -> str:
    executor = MigrationExecutor(connection)
    missing = [
        f"{step.app_label}.{step.name}" for step, _ in executor.migration_plan(executor.loader.graph.leaf_nodes())
    ]
    if missing:
        raise Unwell(f"not applied: {_few(missing)}", "run make db-migrate")
    ahead = set(executor.loader.applied_migrations) - set(executor.loader.graph.nodes)
    ours = sorted(f"{app}.{name}" for app, name in ahead if app in executor.loader.migrated_apps)
    if ours:
        raise Unwell(f"the database is ahead of the code: {_few(ours)}", "run the release that wrote them, or restore")
    return f"{len(executor.loader.applied_migrations)} applied"


def look_at_isolation() -> str:
    with connection.cursor() as cursor:
        cursor.execute(UNFORCED)
        open_tables = [row[0] for row in cursor.fetchall()]
    if open_tables:
        raise Unwell(f"no row-level security on {_few(open_tables)}", "run make db-migrate, which brings the policies")
    return "row-level security is forced on every table with a tenant"


def look_at_valkey() -> str:
    with redis.Redis.from_url(
        settings.VALKEY_URL,
        socket_timeout=CONNECT_TIMEOUT_SECONDS,
        socket_connect_timeout=CONNECT_TIMEOUT_SECONDS,
        retry=None,
    ) as client:
        try:
            facts = client.info()
        except redis.RedisError as error:
            remedy = "see that Valkey runs and that VALKEY_URL, where it is set, leads to it"
            raise Unwell(str(error).splitlines()[0], remedy) from None
    if facts.get("maxmemory_policy", "noeviction") != "noeviction":
        remedy = "set maxmemory-policy noeviction: what is thrown away are tasks and events on the bus"
        raise Unwell(f"it throws keys away ({facts['maxmemory_policy']})", remedy)
    return f"Valkey {facts.get('valkey_version') or facts['redis_version']}"


@isolation.all_tenants(reason="look after events")
def look_at_events() -> str:
    found = status.status()
    if found["is_foreign"]:
        raise Unwell("the log stands in a cluster that is new to it", sequencer.FOREIGN)
    if strays := {table: count for table, count in found["strays"].items() if count}:
        raise Unwell(f"rows without a partition in {_few(strays)}", "run manage.py events_partition ensure")
    behind = [entry for entry in found["consumers"] if entry["lag_seconds"] > LARGEST_LAG_SECONDS]
    if behind:
        said = f"{behind[0]['name']} is {behind[0]['lag_events']:,} events and {behind[0]['lag_seconds']:.0f} s behind"
        raise Unwell(said, "see that a worker and beat run (make dev, or manage.py events_run)")
    return f"{found['head']:,} events, every consumer less than {LARGEST_LAG_SECONDS:.0f} s behind"


@isolation.all_tenants(reason="look after events")
def look_at_consumers() -> str:
    consumers = status.status()["consumers"]
    for entry in consumers:
        if entry["parked"]:
            raise Unwell(
                f"{entry['parked']:,} events of {entry['name']} are parked", "see docs/how-to/parked-events.md"
            )
        if entry["needs_rebuild"]:
            raise Unwell(f"{entry['name']} was changed", f"run manage.py events_rebuild {entry['name']}")
        if entry["status"] in {"paused", "tripped"}:
            raise Unwell(f"{entry['name']} is {entry['status']}: {entry['reason']}", "see docs/how-to/parked-events.md")
    return f"{len(consumers)} at work, nothing parked"


@isolation.all_tenants(reason="look after files")
def look_at_media() -> str:
    newest = [asset.path for asset in Asset.objects.order_by("-id")[:NEWEST_FILES]]
    missing = [path for path in newest if not default_storage.exists(path)]
    if missing:
        said = f"{len(missing)} of the {len(newest)} newest files are not where they should be: {_few(missing)}"
        raise Unwell(said, "bring the folder or bucket of media back: docs/how-to/restore.md")
    return f"the {len(newest)} newest files are there" if newest else "no file yet"


def _existing(folder: Path) -> Path:
    return next(each for each in (folder, *folder.parents) if each.exists())


def _few(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:3]) + (f" and {len(listed) - 3} more" if len(listed) > 3 else "")


CHECKS = (
    Check("python", look_at_python),
    Check("packages", look_at_packages),
    Check("data", look_at_data),
    Check("disk", look_at_disk),
    Check("servers", look_at_servers),
    Check("database", look_at_database),
    Check("settings", look_at_settings, needs="database"),
    Check("clock", look_at_clock, needs="database"),
    Check("roles", look_at_roles, needs="database"),
    Check("migrations", look_at_migrations, needs="database"),
    Check("isolation", look_at_isolation, needs="migrations"),
    Check("valkey", look_at_valkey),
    Check("events", look_at_events, needs="migrations"),
    Check("consumers", look_at_consumers, needs="migrations"),
    Check("media", look_at_media, needs="migrations"),
)
