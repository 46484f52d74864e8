"""Past every trigger and grant the log can be changed; that it was, and where, is found."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import ProgrammingError, connection, transaction
from django.utils import timezone

from apps.audit import APPEND_ONLY_TABLES, ERASABLE_TABLES, checkpoints, models, retention, sealing, tasks, verifying
from apps.kernel import isolation
from tests.audit import tampering, writing

pytestmark = pytest.mark.usefixtures("committed_db")

GUARDED = (*APPEND_ONLY_TABLES, *ERASABLE_TABLES)


@pytest.fixture
def chain() -> uuid.UUID:
    """A tenant's chain of six entries under two seals, with its checkpoint written, beside another tenant's."""
    tenant_id = uuid.uuid4()
    writing.write(uuid.uuid4(), 3)
    writing.write(tenant_id, 4)
    tasks.seal()
    writing.write(tenant_id, 2)
    tasks.seal()
    return tenant_id


def verify(**options: Any) -> verifying.Verified:
    return verifying.verify(checkpoint=checkpoints.read(checkpoints.path()), **options)


def test_an_untouched_log_verifies(chain: uuid.UUID) -> None:
    verified = verify()

    assert verified.findings == []
    assert (verified.entries, verified.seals, verified.chains) == (9, 3, 2)


@pytest.mark.parametrize(("damage", "kind", "sequence"), tampering.DAMAGES)
def test_every_damage_is_found_and_named(
    chain: uuid.UUID,
    _superuser: tampering.Superuser,
    damage: Callable[[tampering.Superuser, uuid.UUID], None],
    kind: str,
    sequence: int | None,
) -> None:
    with tampering.unguarded(_superuser):
        damage(_superuser, chain)

    [finding] = verify().findings

    assert (finding.chain, finding.kind, finding.sequence) == (chain, kind, sequence)
    assert verify(chain=chain).findings == [finding]


def test_a_cut_end_shows_by_the_checkpoint_only(chain: uuid.UUID, _superuser: tampering.Superuser) -> None:
    """What the checkpoint is for: without it the rest is a whole chain."""
    with tampering.unguarded(_superuser):
        tampering.cut_the_end(_superuser, chain)

    assert verifying.verify().findings == []
    assert [finding.kind for finding in verify().findings] == ["cut"]


def test_a_chain_cut_and_grown_again_is_found_when_it_is_sealed_and_when_it_is_verified(
    chain: uuid.UUID, _superuser: tampering.Superuser, capsys: pytest.CaptureFixture[str]
) -> None:
    with tampering.unguarded(_superuser):
        tampering.cut_the_end(_superuser, chain)
    writing.write(chain, 2)
    sealing.drain(now=timezone.now)

    assert [found.chain for found in checkpoints.export()] == [chain]
    assert [finding.kind for finding in verify().findings] == ["cut"]


def test_the_command_names_the_first_bad_entry_and_exits_with_1(
    chain: uuid.UUID, _superuser: tampering.Superuser, capsys: pytest.CaptureFixture[str]
) -> None:
    with tampering.unguarded(_superuser):
        tampering.edit(_superuser, chain)
    errors = StringIO()

    with pytest.raises(SystemExit) as ended:
        call_command("audit_verify", stderr=errors, stdout=StringIO())

    assert ended.value.code == 1
    entry = tampering.entry_at(_superuser, chain, 3)
    assert f"TAMPERED: tenant {chain}: entry {entry} at 3 was edited" in errors.getvalue()


def test_the_command_says_in_json_that_all_is_well(chain: uuid.UUID) -> None:
    output = StringIO()

    call_command("audit_verify", "--json", stdout=output)

    assert json.loads(output.getvalue()) | {"checkpoint": ""} == {
        "ok": True, "chains": 2, "entries": 9, "seals": 3, "erased": 0, "findings": [], "checkpoint": "",
    }  # fmt: skip


def test_the_command_takes_a_checkpoint_from_elsewhere_and_a_tenant(
    chain: uuid.UUID, _superuser: tampering.Superuser, tmp_path: Path
) -> None:
    copied = tmp_path / "copied.json"
    shutil.copy(checkpoints.path(), copied)
    checkpoints.path().unlink()
    with tampering.unguarded(_superuser):
        tampering.cut_the_end(_superuser, chain)

    call_command("audit_verify", stdout=StringIO(), stderr=StringIO())
    with pytest.raises(SystemExit):
        call_command(
            "audit_verify", "--tenant", str(chain), "--checkpoint", copied, stdout=StringIO(), stderr=StringIO()
        )


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--tenant", "acme"], "UUID"),
        (["--since", "yesterday"], "2026-01-31"),
        (["--since", "2026-02-31"], "2026-01-31"),
        (["--checkpoint", "/nowhere/at/all"], "can't be read"),
    ],
)
def test_a_wrong_argument_is_told(arguments: list[str], told: str) -> None:
    with pytest.raises(CommandError, match=told):
        call_command("audit_verify", *arguments)


def test_without_its_key_a_chain_is_not_called_tampered_with(chain: uuid.UUID, settings: Any) -> None:
    before = settings.AUDIT_KEYS
    settings.AUDIT_KEYS = [b"another key"]
    with pytest.raises(SystemExit) as ended:
        call_command("audit_verify", stdout=StringIO(), stderr=StringIO())
    assert ended.value.code == 3

    settings.AUDIT_KEYS = [b"another key", *before]
    writing.write(chain, 1)
    tasks.seal()

    assert verify().findings == []


def test_since_looks_at_later_seals_only(chain: uuid.UUID, _superuser: tampering.Superuser) -> None:
    with tampering.unguarded(_superuser):
        tampering.edit(_superuser, chain)
    second = models.Seal.objects.get(chain=chain, number=2)

    assert verify(since=second.sealed_at).findings == []
    assert verify(since=second.sealed_at, chain=chain).entries == 2
    assert verify(since=second.sealed_at - timedelta(days=1)).findings != []


@pytest.mark.parametrize(
    ("statement", "table"),
    [(statement, table) for statement in ("UPDATE {} SET {}", "TRUNCATE {}") for table in GUARDED]
    + [("DELETE FROM {}", table) for table in APPEND_ONLY_TABLES],
)
def test_what_is_written_stays(chain: uuid.UUID, _superuser: tampering.Superuser, statement: str, table: str) -> None:
    """For the application, and even for a superuser, and where no row would be hit."""
    column = {"audit_entry": "actor = ''", "audit_personal": "client_address = ''"}.get(table, "chain = chain")

    with (
        isolation.all_tenants(reason="test"),
        pytest.raises(ProgrammingError, match=f"permission denied for table {table}"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement.format(table, column))
    with pytest.raises(psycopg.Error, match="only ever added to"):
        _superuser.execute(statement.format(table, column))


def test_an_open_door_does_not_let_update_or_truncate_through(
    chain: uuid.UUID, _superuser: tampering.Superuser
) -> None:
    for statement in ("UPDATE audit_entry SET actor = ''", "TRUNCATE audit_entry"):
        with pytest.raises(psycopg.Error, match="only ever added to"), _superuser.transaction():
            _superuser.execute("SET LOCAL rustok.audit_door = 'open'")
            _superuser.execute(statement)


def test_an_open_door_is_for_the_owner_only(chain: uuid.UUID, _superuser: tampering.Superuser) -> None:
    _superuser.execute("CREATE ROLE audit_visitor")
    _superuser.execute("GRANT SELECT, DELETE ON audit_entry TO audit_visitor")
    try:
        with pytest.raises(Exception, match="only ever added to"), _superuser.transaction():
            _superuser.execute("SET LOCAL ROLE audit_visitor")
            _superuser.execute("SET LOCAL rustok.audit_door = 'open'")
            _superuser.execute("DELETE FROM audit_entry")
        with pytest.raises(Exception, match="permission denied for function"), _superuser.transaction():
            _superuser.execute("SET LOCAL ROLE audit_visitor")
            _superuser.execute("SELECT audit_purge(%s)", [chain])
    finally:
        _superuser.execute("DROP OWNED BY audit_visitor")
        _superuser.execute("DROP ROLE audit_visitor")


def test_a_purged_tenant_leaves_nothing_and_its_going_is_told(chain: uuid.UUID) -> None:
    assert retention.purge_tenant(tenant_id=chain, reason="left us") == 6
    tasks.seal()

    assert writing.entries_of(chain) == []
    assert not models.Position.objects.filter(chain=chain).exists()
    assert not models.Seal.objects.filter(chain=chain).exists()
    with isolation.all_tenants(reason="test"):
        assert not models.Personal.objects.filter(tenant_id=chain).exists()
    [told] = writing.entries_of(None)
    assert (told.action, told.object_id) == (retention.PURGED, str(chain))
    assert verify().findings == []


def test_a_tenant_that_was_purged_and_came_again_begins_a_chain_that_verifies(
    chain: uuid.UUID, _superuser: tampering.Superuser, tmp_path: Path
) -> None:
    shutil.copy(checkpoints.path(), tmp_path / "old.json")
    old = checkpoints.read(tmp_path / "old.json")
    retention.purge_tenant(tenant_id=chain, reason="moved away")

    writing.write(chain, 2)
    tasks.seal()

    assert verify().findings == verifying.verify(checkpoint=old).findings == []
    assert (old[chain].number, checkpoints.read(checkpoints.path())[chain].number) == (2, 1)
    with tampering.unguarded(_superuser):
        _superuser.execute("SELECT audit_purge(%s)", [chain])
    writing.write(chain, 1)
    tasks.seal()
    [found] = verify().findings
    assert (found.kind, found.chain) == ("cut", chain)


def test_the_log_of_the_platform_is_never_purged() -> None:
    for wrong in (models.PLATFORM_CHAIN, None):
        with pytest.raises(Exception, match="never purged"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT audit_purge(%s)", [wrong])


def test_a_pruned_beginning_still_verifies_and_a_stolen_one_does_not(
    chain: uuid.UUID, _superuser: tampering.Superuser
) -> None:
    later = timezone.now() + timedelta(days=40)

    assert retention.prune(now=later, keep_days=30) == 4
    tasks.seal()

    assert [entry.object_id for entry in writing.entries_of(chain)] == ["0", "1", ""]
    assert verify().findings == []
    assert retention.prune(now=timezone.now(), keep_days=30) == 0
    with tampering.unguarded(_superuser):
        _superuser.execute("UPDATE audit_anchor SET mac = 'forged' WHERE chain = %s", [chain])
    [forged] = verify().findings
    assert (forged.kind, forged.chain) == ("seal", chain)
    with tampering.unguarded(_superuser):
        _superuser.execute("DELETE FROM audit_anchor WHERE chain = %s", [chain])
    [stolen] = verify().findings
    assert (stolen.kind, stolen.sequence) == ("deleted", 1)


def test_nothing_is_pruned_without_an_anchor(chain: uuid.UUID) -> None:
    with pytest.raises(Exception, match="nothing to go on from"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT audit_prune(%s, 1)", [chain])


def test_entries_are_kept_for_ever_unless_it_is_set(chain: uuid.UUID, settings: Any) -> None:
    tasks.prune()
    settings.AUDIT_KEEP_DAYS = 30
    tasks.prune()

    assert len(writing.entries_of(chain)) == 6


def test_what_is_personal_is_erased_and_the_log_verifies_all_the_same(chain: uuid.UUID) -> None:
    entry_ids = [entry.id for entry in writing.entries_of(chain)[:2]]

    with isolation.to_tenant(chain):
        assert retention.erase_personal(entry_ids=entry_ids, tenant_id=chain, reason="asked to") == 2
    tasks.seal()

    verified = verify()
    assert verified.findings == []
    assert verified.erased == 2
    with isolation.to_tenant(chain):
        assert not models.Personal.objects.filter(entry_id__in=entry_ids).exists()
    assert writing.actions_of(chain)[-1] == "audit.personal.erased"
