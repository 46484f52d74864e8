"""kill -9 in the middle of an export, an import or a purge: nothing is half there, and the next run ends the work."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from apps.consumers import status, tasks
from apps.kernel import failpoints
from apps.outbox import archiving
from apps.outbox import models as outbox
from apps.tenants import models
from tests.faults import work
from tests.lifecycle import moving

POINTS = {part: [name for name in failpoints.POINTS if name.startswith(f"{part}.")] for part in ("import", "purge")}
IN_ARCHIVES = [name for name in POINTS["purge"] if "archive" in name]
IN_TABLES = [name for name in POINTS["purge"] if name not in IN_ARCHIVES]


@pytest.fixture
def moving_tenant(tenant: models.Tenant) -> models.Tenant:
    """Suspended, and without files: a process of its own looks for them elsewhere."""
    moving.files.delete_all(tenant.id)
    moving.suspend(tenant)
    return tenant


def test_a_killed_export_leaves_no_archive(moving_tenant: models.Tenant, tmp_path: Path) -> None:
    path = tmp_path / "acme.zip"

    died = work.start("command", "tenant_export", moving_tenant.slug, f"--to={path}", failpoint="export.after_part")

    assert died == -signal.SIGKILL
    assert not path.exists()
    moving.export(moving_tenant, path)
    assert [left.name for left in tmp_path.iterdir() if left.is_file()] == ["acme.zip"]


@pytest.mark.parametrize("failpoint", POINTS["import"])
def test_a_killed_import_leaves_nothing(moving_tenant: models.Tenant, tmp_path: Path, failpoint: str) -> None:
    path, before = tmp_path / "acme.zip", moving.sums(moving_tenant.id)
    moving.export(moving_tenant, path)
    moving.purge(moving_tenant)
    left = moving.places_of(moving.CANARY)

    died = work.start("command", "tenant_import", str(path), "--quiet", failpoint=failpoint)

    assert died == -signal.SIGKILL
    assert moving.places_of(moving.CANARY) == left
    moving.run("tenant_import", path, quiet=True)
    tasks.drain()
    assert moving.sums(moving_tenant.id) == before
    assert status.verify() == []


@pytest.mark.parametrize("failpoint", IN_TABLES)
def test_a_killed_purge_is_gone_on_with_and_counts_everything_once(
    moving_tenant: models.Tenant, neighbour: models.Tenant, failpoint: str
) -> None:
    slug, beside = moving_tenant.slug, moving.rows_of(neighbour.id)
    there = {name: part.rows for name, part in moving.sums(moving_tenant.id).items() if name != "events"}

    died = work.start("command", "tenant_purge", slug, f"--confirm={slug}", "--quiet", failpoint=failpoint)
    done = moving.purge(moving_tenant)
    tasks.drain()

    assert died == -signal.SIGKILL
    rows = done["receipt"]["deleted"]["rows"]
    assert {name: rows[name] for name in there} == there
    assert models.Purge.objects.count() == 1
    assert moving.places_of(str(moving_tenant.id)) == {"tenants_purge": 1, "audit_entry": 1}
    assert moving.rows_of(neighbour.id) == beside
    assert status.verify() == []


@pytest.mark.parametrize("failpoint", IN_ARCHIVES)
def test_a_purge_killed_while_it_writes_archives_anew_leaves_readable_ones(
    archived: tuple[models.Tenant, models.Tenant], failpoint: str
) -> None:
    tenant, neighbour = archived
    moving.files.delete_all(tenant.id)
    slug, beside = tenant.slug, moving.sums(neighbour.id)

    died = work.start("command", "tenant_purge", slug, f"--confirm={slug}", "--quiet", failpoint=failpoint)
    between = moving.sums(neighbour.id)
    moving.purge(tenant)
    tasks.drain()

    assert died == -signal.SIGKILL
    assert between == beside == moving.sums(neighbour.id)
    assert {path.name for path in archiving.directory().iterdir()} == set(
        outbox.Archive.objects.values_list("folder", flat=True)
    )
    assert status.verify() == []
