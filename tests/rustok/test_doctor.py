"""The doctor finds all well on a whole installation; and each check says no to what it looks for."""

from __future__ import annotations

import collections
import io
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.core import checks
from django.core.files.storage import default_storage
from django.core.management import call_command
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from apps.consumers import models, status
from apps.kernel import isolation
from rustok import doctor, environment, servers
from tests import factories
from tests.media import making as media
from tests.rustok.test_manage import manage

pytestmark = pytest.mark.usefixtures("db")
Patch = pytest.MonkeyPatch


def asked(*arguments: str) -> tuple[int, str]:
    said = io.StringIO()
    try:
        call_command("doctor", *arguments, stdout=said)
    except SystemExit as ended:
        return int(ended.code or 0), said.getvalue()
    return 0, said.getvalue()


def found(name: str) -> doctor.Finding:
    return next(finding for finding in doctor.examine() if finding.name == name)


def test_a_whole_installation_is_one_ok_line_each() -> None:
    code, said = asked()

    assert code == 0, said
    assert [line.split()[:2] for line in said.splitlines()] == [["ok", check.name] for check in doctor.CHECKS]


def test_what_is_not_well_has_a_remedy_and_an_exit_code(monkeypatch: Patch) -> None:
    monkeypatch.setattr(doctor, "LEAST_FREE_BYTES", 1 << 80)

    code, said = asked()
    assert code == 1
    assert "NO  disk" in said
    assert "→ make room on the disk" in said

    code, said = asked("--json")
    disk = next(each for each in json.loads(said) if each["name"] == "disk")
    assert code == 1
    assert disk["state"] == "unwell"
    assert disk["remedy"].startswith("make room")


def test_without_servers_it_says_so_and_starts_none(tmp_path: Path) -> None:
    ended = manage("doctor", "--json", RUSTOK_DATA_DIR=str(tmp_path / "new"), RUSTOK_PROFILE="development")

    states = {each["name"]: each["state"] for each in json.loads(ended.stdout)}
    assert ended.returncode == 1
    assert {name for name, state in states.items() if state == "unwell"} == {"servers", "database", "valkey"}
    assert states["migrations"] == states["events"] == "skipped"
    assert not (tmp_path / "new" / "postgres").exists()


def an_old_python(patch: Patch) -> None:
    patch.setattr(sys, "version_info", (3, 11, 2))


def a_package_of_another_version(patch: Patch) -> None:
    class Other:
        metadata = {"Name": "Django"}
        version = "1.4"

    patch.setattr(doctor.importlib.metadata, "distributions", lambda: [Other()])


def a_warning_of_django(patch: Patch) -> None:
    patch.setattr(doctor.checks, "run_checks", lambda: [checks.Warning("It rains.", id="weather.W001")])


def a_folder_open_to_all(patch: Patch) -> None:
    environment.current().data_dir.chmod(0o777)  # the test sets it right again


def a_full_disk(patch: Patch) -> None:
    usage = collections.namedtuple("usage", "total used free")
    patch.setattr(shutil, "disk_usage", lambda folder: usage(10, 9, 1))


def a_stopped_server(patch: Patch) -> None:
    patch.setattr(servers, "status", lambda: {"valkey": {"state": "stopped"}})


def a_silent_server(patch: Patch) -> None:
    patch.setattr(servers, "status", lambda: {"valkey": {"state": "unreachable", "problem": "?", "log": "valkey.log"}})


def an_old_postgres(patch: Patch) -> None:
    patch.setattr(doctor, "OLDEST_POSTGRES", 99)


def a_clock_that_is_wrong(patch: Patch) -> None:
    patch.setattr(doctor.time, "time", lambda: 0.0)


def a_missing_migration(patch: Patch) -> None:
    applied = _applied()
    newest = max(key for key in applied if key[0] == "readmodels")
    patch.setattr(
        MigrationRecorder, "applied_migrations", lambda self: {k: v for k, v in applied.items() if k != newest}
    )


def a_migration_of_tomorrow(patch: Patch) -> None:
    applied = _applied() | {("commerce", "9999_tomorrow"): None}
    patch.setattr(MigrationRecorder, "applied_migrations", lambda self: applied)


def _applied() -> dict[tuple[str, str], Any]:
    return MigrationRecorder(connection).applied_migrations()


def a_valkey_nobody_answers_at(patch: Patch) -> None:
    patch.setattr(settings, "VALKEY_URL", "redis://127.0.0.1:1/0")


def a_valkey_that_throws_away(patch: Patch) -> None:
    patch.setattr(doctor.redis.Redis, "info", lambda self: {"maxmemory_policy": "allkeys-lru"})


def told(*, consumer: dict[str, Any] | None = None, **changes: Any) -> Callable[[Patch], None]:
    """The status of the events, with changes."""

    def tell(patch: Patch) -> None:
        with isolation.all_tenants(reason="test"):
            whole = status.status()
        first = whole["consumers"][0] | (consumer or {})
        patch.setattr(status, "status", lambda: whole | changes | {"consumers": [first]})

    return tell


def a_tripped_consumer(patch: Patch) -> None:
    models.Consumer.objects.filter(name="content").update(status="tripped", reason="too much poison")


@pytest.mark.parametrize(
    ("name", "damage", "said"),
    [
        ("python", an_old_python, "Python 3.11.2 runs"),
        ("packages", a_package_of_another_version, "not as locked: django 1.4"),
        ("settings", a_warning_of_django, "weather.W001: It rains."),
        ("data", a_folder_open_to_all, "everybody may write"),
        ("disk", a_full_disk, "0 MiB free"),
        ("servers", a_stopped_server, "valkey does not run"),
        ("servers", a_silent_server, "does not answer"),
        ("database", an_old_postgres, "PostgreSQL 18"),
        ("clock", a_clock_that_is_wrong, "between this machine and the database"),
        ("migrations", a_missing_migration, "not applied: readmodels."),
        ("migrations", a_migration_of_tomorrow, "ahead of the code: commerce.9999_tomorrow"),
        ("valkey", a_valkey_nobody_answers_at, "127.0.0.1:1"),
        ("valkey", a_valkey_that_throws_away, "allkeys-lru"),
        ("events", told(is_foreign=True), "new to it"),
        ("events", told(strays={"outbox_event": 3}), "without a partition"),
        ("events", told(consumer={"lag_seconds": 90.0, "lag_events": 5}), "5 events and 90 s behind"),
        ("consumers", told(consumer={"parked": 2}), "2 events of"),
        ("consumers", told(consumer={"needs_rebuild": True}), "was changed"),
        ("consumers", a_tripped_consumer, "content is tripped: too much poison"),
    ],
)
def test_each_check_says_no(name: str, damage: Callable[[Patch], None], said: str, monkeypatch: Patch) -> None:
    assert found(name).state == "ok"
    mode = environment.current().data_dir.stat().st_mode

    damage(monkeypatch)
    try:
        finding = found(name)
    finally:
        environment.current().data_dir.chmod(mode)

    assert finding.state == "unwell"
    assert said in finding.said
    assert finding.remedy


@pytest.fixture
def unforced(committed_db: None, _superuser: psycopg.Connection[Any]) -> Iterator[None]:
    _superuser.execute("ALTER TABLE commerce_product NO FORCE ROW LEVEL SECURITY")
    yield
    _superuser.execute("ALTER TABLE commerce_product FORCE ROW LEVEL SECURITY")


def test_a_file_that_did_not_come_back_is_missed(media_root: Path) -> None:
    tenant = factories.make_tenant()
    with factories.at_work(tenant):
        kept, lost = media.make_asset(name="Kept.png"), media.make_asset(name="Lost.png")
    assert found("media").said == "the 2 newest files are there"

    default_storage.delete(lost.path)

    missed = found("media")
    assert missed.said == f"1 of the 2 newest files are not where they should be: {lost.path}"
    assert "restore.md" in missed.remedy
    assert kept.path not in missed.said


def test_a_table_open_to_its_owner_is_found(unforced: None) -> None:
    assert found("isolation").said == "no row-level security on commerce_product"


def test_a_role_that_policies_would_not_hold_is_found(db: None) -> None:
    facts = servers.connection_facts().superuser
    assert facts is not None
    url = f"postgresql://{facts.user}@/{connection.settings_dict['NAME']}?host={facts.host}&port={facts.port}"
    ended = manage("doctor", "--json", DATABASE_URL=f"{url}&passfile={facts.options['passfile']}")

    findings = {each["name"]: each for each in json.loads(ended.stdout)}
    assert ended.returncode == 1
    refused = findings["roles"] if findings["roles"]["state"] != "skipped" else findings["database"]
    assert "is a superuser" in refused["said"]


def test_a_check_that_breaks_is_a_finding_and_the_others_are_made(monkeypatch: Patch) -> None:
    def break_down() -> str:
        raise RuntimeError("a cable")

    monkeypatch.setattr(doctor, "CHECKS", (doctor.Check("cables", break_down), doctor.Check("disk", lambda: "fine")))

    broken, fine = doctor.examine()
    assert (broken.state, broken.said, fine.state) == ("unwell", "RuntimeError: a cable", "ok")
