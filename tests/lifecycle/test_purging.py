"""A purged tenant: nothing of it is anywhere, the log goes on dense, its neighbour is untouched, a receipt says so."""

from __future__ import annotations

import copy
import uuid
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.core.management import CommandError
from django.test import Client, override_settings

from apps.accounts import models as accounts
from apps.consumers import generations, projections, rebuild, status, tasks
from apps.events import bus
from apps.outbox import archive_files, archiving, readers, sequencer
from apps.outbox import models as outbox
from apps.outbox.events import PLATFORM, TOMBSTONE
from apps.tenants import models, services
from rustok.lifecycle import purging
from tests import factories
from tests.lifecycle import moving

PRODUCTS = projections.get("products")


def test_nothing_is_left_by_an_independent_look(tenant: models.Tenant, neighbour: models.Tenant) -> None:
    moving.suspend(tenant)
    assert len(moving.places_of(moving.CANARY)) > 20
    beside, positions = moving.rows_of(neighbour.id), sequencer.head()

    done = moving.purge(tenant)
    tasks.drain()

    assert moving.places_of(str(tenant.id)) == {"tenants_purge": 1, "audit_entry": 1}
    # The account and the admin's own words about people stay: they are of nobody's tenant.
    assert set(moving.places_of(moving.CANARY)) == {"accounts_user"}
    with moving.cache() as valkey:
        assert valkey.keys(f"*{tenant.id}*") + valkey.keys(f"*{tenant.slug}*") == []
    assert not default_storage.exists(f"tenants/{tenant.id}")
    assert done["receipt"]["proof"] == {"tables": done["receipt"]["proof"]["tables"], **nothing()}
    assert moving.rows_of(neighbour.id) == beside
    assert sequencer.head() == positions + 1
    assert status.verify() == []


def nothing() -> dict[str, int]:
    return {"rows": 0, "archived_events": 0, "files": 0, "cache_keys": 0}


def test_events_become_tombstones_that_say_nothing(tenant: models.Tenant) -> None:
    moving.suspend(tenant)
    events = outbox.Log.objects.filter(tenant_id=tenant.id).count()

    done = moving.purge(tenant)

    tombstones = outbox.Log.objects.filter(type=TOMBSTONE)
    assert tombstones.count() == done["receipt"]["deleted"]["events"] == events
    assert set(tombstones.values_list("tenant_id", "aggregate_id", "actor", "correlation_id", "causation_id")) == {
        (PLATFORM, PLATFORM, "", None, None)
    }
    assert all(row.data == row.meta == {} for row in tombstones)


def test_what_was_told_on_the_bus_is_not_there_any_more(tenant: models.Tenant) -> None:
    transport = bus.default()
    readers.declare("elsewhere", at=0)
    assert any(moving.CANARY in str(message) for message in transport.read(0, limit=500))
    moving.suspend(tenant)

    moving.purge(tenant)
    tasks.drain()

    told = readers.follow(transport, after=0, limit=500)
    assert [message.position for message in told] == list(range(1, sequencer.head() + 1))
    assert not any(moving.CANARY in str(message) or str(tenant.id) in str(message) for message in told)


def test_a_tenant_that_answers_is_not_purged(tenant: models.Tenant) -> None:
    before = moving.rows_of(tenant.id)

    with pytest.raises(
        CommandError, match=f"answers requests; suspend it first: manage.py tenant_suspend {tenant.slug}"
    ):
        moving.run("tenant_purge", tenant.slug, confirm=tenant.slug, quiet=True)

    assert moving.rows_of(tenant.id) == before


@pytest.mark.parametrize(("confirm", "complaint"), [("", "Give --confirm"), ("acme-wrong", "confirm with its slug")])
def test_it_has_to_be_confirmed_by_its_slug(tenant: models.Tenant, confirm: str, complaint: str) -> None:
    moving.suspend(tenant)
    before = moving.rows_of(tenant.id)

    with pytest.raises(CommandError, match=complaint):
        moving.run("tenant_purge", tenant.slug, confirm=confirm, quiet=True)

    assert moving.rows_of(tenant.id) == before
    assert not models.Purge.objects.exists()


def test_a_dry_run_tells_and_deletes_nothing(tenant: models.Tenant) -> None:
    moving.suspend(tenant)
    before = moving.rows_of(tenant.id)

    told = moving.run("tenant_purge", tenant.slug, dry_run=True)
    done = moving.purge

    assert moving.rows_of(tenant.id) == before
    deleted = done(tenant)["receipt"]["deleted"]
    named = {line.split()[1]: int(line.split()[0].replace(",", "")) for line in told.splitlines()[:-1]}
    assert named == {name: count for name, count in deleted["rows"].items() if name != "django_admin_log"}
    assert f"{deleted['events']:,} events in the tables, 3 files and 2 cache keys would go." in told


def test_the_receipt_is_signed_and_published_without_the_tenant(tenant: models.Tenant) -> None:
    member = accounts.User.objects.get(name=moving.CANARY)
    moving.suspend(tenant)

    said = moving.run("tenant_purge", tenant.slug, confirm=tenant.slug, quiet=True)

    purge = models.Purge.objects.get()
    event = outbox.Log.objects.get(type="tenants.tenant.purged")
    assert purging.is_genuine(purge)
    assert (purge.slug, purge.purged_id, purge.hosts, purge.members) == (tenant.slug, tenant.id, [], [])
    assert purge.receipt["users_without_membership"] == [str(member.id)]
    assert f"{member.email} is a member of no tenant any more; the account stays." in said
    assert (event.tenant_id, event.data["receipt_sha256"]) == (PLATFORM, purge.sha256)
    assert event.data["rows"] == sum(purge.receipt["deleted"]["rows"].values()) > 50

    purge.receipt = copy.deepcopy(purge.receipt) | {"slug": "another"}
    assert not purging.is_genuine(purge)
    purge.sha256 = purging._sha256(purge.receipt)
    assert not purging.is_genuine(purge)


def test_what_the_proof_finds_is_named(
    tenant: models.Tenant, neighbour: models.Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    moving.suspend(tenant)
    named_in = purging.NAMED_IN
    monkeypatch.setattr(purging, "NAMED_IN", [])

    with pytest.raises(CommandError, match=r"there is still 1 in django_admin_log; run it again"):
        moving.run("tenant_purge", tenant.slug, confirm=tenant.slug, quiet=True)

    assert models.Purge.objects.get().finished_at is None
    with pytest.raises(services.PurgeBegun, match="is being purged, and part of it is gone"):
        services.resume_tenant(tenant=tenant)
    monkeypatch.setattr(purging, "NAMED_IN", named_in)
    with override_settings(MEDIA_ROOT=default_storage.location):  # type: ignore[attr-defined]
        moving.run("tenant_purge", tenant.slug, confirm=tenant.slug, quiet=True)
    assert models.Purge.objects.get().finished_at is not None


def test_a_purge_waits_for_no_rebuild_and_every_generation_is_emptied(tenant: models.Tenant) -> None:
    moving.suspend(tenant)
    rebuild.rebuild(PRODUCTS)
    standby = generations.find_standby(PRODUCTS)
    assert standby is not None

    building = generations.create(PRODUCTS, state="building", target_position=0)
    with pytest.raises(CommandError, match="products is being rebuilt"):
        moving.run("tenant_purge", tenant.slug, confirm=tenant.slug, quiet=True)
    generations.retire(PRODUCTS, "building")
    moving.purge(tenant)

    assert f"readmodels_productstate__g{standby.number}" not in moving.places_of(str(tenant.id))
    assert building > standby.number


def test_an_unknown_tenant_is_named_with_the_nearest(tenant: models.Tenant) -> None:
    with pytest.raises(CommandError, match="There is no tenant"):
        moving.run("tenant_purge", "nobody", confirm="nobody", quiet=True)


def test_events_in_archives_are_erased_too(archived: Any, tmp_path: Path) -> None:
    tenant, neighbour = archived
    before, beside = moving.sums(tenant.id), moving.sums(neighbour.id)
    cold = outbox.Archive.objects.filter(is_cold=True).count()
    untouched = set(folders_without(tenant.id))

    exported = moving.export(tenant, tmp_path / "acme.zip")
    done = moving.purge(tenant)
    tasks.drain()

    assert cold > 3
    assert done["receipt"]["deleted"]["archived_events"] > 20
    assert moving.CANARY not in everything_archived()
    assert str(tenant.id) not in everything_archived()
    assert {path.name for path in archiving.directory().iterdir()} == set(
        outbox.Archive.objects.values_list("folder", flat=True)
    )
    assert untouched <= {path.name for path in archiving.directory().iterdir()}
    assert moving.sums(neighbour.id) == beside
    assert status.verify() == []

    moving.run("tenant_import", tmp_path / "acme.zip", quiet=True)
    tasks.drain()
    assert moving.sums(tenant.id) == before
    assert exported["events"] == before["events"].rows
    assert status.verify() == []


def folders_without(tenant_id: uuid.UUID) -> list[str]:
    return [
        row.folder
        for row in outbox.Archive.objects.all()
        if not any(
            archive_files.tenant_of(line) == str(tenant_id).encode()
            for segment in archive_files.read_manifest(archiving.folder_of(row), row.sha256).segments
            for line in archive_files.read_lines(archiving.folder_of(row), segment)
        )
    ]


def everything_archived() -> str:
    return "".join(
        archive_files.zstd.decompress(path.read_bytes()).decode()
        for path in archiving.directory().rglob(archive_files.EVENTS)
    )


def test_what_a_killed_archiving_has_left_goes_and_what_nobody_knows_stays(archived: Any) -> None:
    tenant, _ = archived
    last = outbox.Archive.objects.latest("last").last
    unfinished = archiving.directory() / archive_files.folder_name(last + 1, last + 2)
    foreign = archiving.directory() / archive_files.folder_name(1_000_001, 1_000_010)
    for folder in (unfinished, foreign):
        folder.mkdir()

    moving.purge(tenant)

    assert not unfinished.exists()
    assert foreign.exists()


def test_a_damaged_archive_is_told_and_nothing_is_lost(archived: Any) -> None:
    tenant, _ = archived
    row = outbox.Archive.objects.earliest("first")
    path = archiving.folder_of(row) / archive_files.MANIFEST
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    archive_files.read_manifest.cache_clear()

    with pytest.raises(CommandError, match="bring it back from a backup"):
        moving.run("tenant_purge", tenant.slug, confirm=tenant.slug, quiet=True)

    path.write_bytes(content)
    moving.purge(tenant)
    assert moving.CANARY not in everything_archived()


def test_a_tombstone_in_the_files_is_the_one_in_the_tables(archived: Any) -> None:
    tenant, _ = archived
    moving.purge(tenant)
    told = {}
    for row in outbox.Archive.objects.all():
        for _, events in archive_files.check(
            archiving.folder_of(row), archive_files.read_manifest(archiving.folder_of(row), row.sha256)
        ):
            told |= {event["id"]: event for event in events if event["type"] == TOMBSTONE}

    in_both = outbox.Log.objects.filter(id__in=told, type=TOMBSTONE)
    for row in in_both:
        line = told[row.id]
        assert uuid.UUID(line["event_id"]) == row.event_id
        assert (line["version"], line["actor"], line["data"], line["meta"]) == (1, "", {}, {})
    assert all(uuid.UUID(event["tenant_id"]) == PLATFORM for event in told.values())
    assert told


def test_a_purged_tenant_can_be_made_anew(client: Client, tenant: models.Tenant) -> None:
    moving.suspend(tenant)
    moving.purge(tenant)

    again = factories.make_tenant(slug=tenant.slug)

    assert client.get("/api/v1/store/products", headers={"host": f"{again.slug}.test"}).status_code == 200
    assert services.resume_tenant(tenant=again).is_active
