"""What rows point at by a number of this installation is found again where another number stands for it."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.management import CommandError
from django.db import connection
from django.test.utils import CaptureQueriesContext
from psycopg import sql

from apps.accounts import models as accounts
from apps.content.models import NodeUserObjectPermission
from apps.tenants import models
from rustok.lifecycle import archive, catalogue, checksum, exporting, importing, rows
from tests import factories
from tests.lifecycle import moving

HELD = accounts.MembershipRole._meta.db_table
MEMBERS = accounts.Membership._meta.db_table
SHARES = NodeUserObjectPermission._meta.db_table
SWAP = "UPDATE auth_permission SET codename = %s WHERE codename = %s"


@pytest.fixture
def other_numbers(_superuser: psycopg.Connection[Any]) -> Iterator[None]:
    """The numbers of two permissions mean each other from now on, as in an installation that migrated differently."""
    names = [("swapped", "view_node"), ("view_node", "change_node"), ("change_node", "swapped")]
    for change in names:
        _superuser.execute(SWAP, change)
    yield
    for change in names:
        _superuser.execute(SWAP, change)


def test_a_shared_node_is_shared_with_the_same_person_for_the_same_elsewhere(
    tenant: models.Tenant, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    share = NodeUserObjectPermission.objects.select_related("user", "permission").get(tenant=tenant)
    moving.suspend(tenant)
    before = moving.sums(tenant.id)
    moving.export(tenant, tmp_path / "acme.zip")
    moving.purge(tenant)
    share.user.delete()
    request.getfixturevalue("other_numbers")

    moving.run("tenant_import", tmp_path / "acme.zip", quiet=True)

    moved = NodeUserObjectPermission.objects.select_related("user", "permission").get(tenant=tenant)
    assert (moved.user.email, moved.content_object_id) == (share.user.email, share.content_object_id)
    assert moved.permission.codename == share.permission.codename == "change_node"
    assert moved.permission_id != share.permission_id
    assert moving.sums(tenant.id) == before


@pytest.mark.parametrize(
    ("table", "old", "new", "complaint"),
    [
        (SHARES, b"content.change_node", b"content.paint_node", 'points with "permission_id" at "content.paint_node"'),
        (HELD, b'"membership_id":1', b'"membership_id":7', 'points with "membership_id" at "7"'),
        (MEMBERS, b"@people.test", b"@people.best", 'points with "user_id" at ".*@people.best"'),
    ],
)
def test_a_row_that_points_at_nothing_here_is_refused(
    tenant: models.Tenant, tmp_path: Path, table: str, old: bytes, new: bytes, complaint: str
) -> None:
    moving.suspend(tenant)
    moving.export(tenant, tmp_path / "acme.zip")
    moving.purge(tenant)
    rewrite(tmp_path / "acme.zip", table, old, new)

    with pytest.raises(CommandError, match=complaint):
        moving.run("tenant_import", tmp_path / "acme.zip", quiet=True)

    assert not models.Tenant.objects.filter(pk=tenant.pk).exists()


def rewrite(path: Path, table: str, old: bytes, new: bytes) -> None:
    """Change the rows of a table in an archive, and all its checksums with them."""
    new_path, reader = path.with_name("new.zip"), archive.Reader(path)
    with archive.Writer(new_path) as writer, zipfile.ZipFile(path) as whole:
        for part in reader.manifest.parts:
            if part.name.startswith("files/"):
                writer.file(part.name, whole.open(part.name))
                continue
            with writer.lines(part.name, table=part.table, columns=tuple(part.columns)) as content:
                for line in reader.lines(part):
                    content.write(line.replace(old, new) if part.table == table else line)
        total = checksum.total(exporting.summed(writer.parts))
        writer.finish(replace(reader.manifest, parts=writer.parts, checksum=total))
    reader.close()
    new_path.replace(path)


@pytest.mark.usefixtures("db")
def test_whatever_of_the_installation_rows_point_at_has_a_name_outside() -> None:
    theirs = {table.name for table in catalogue.tables()}
    pointed_at = {reference.target for table in catalogue.exported() for reference in table.references}

    assert pointed_at - theirs == set(catalogue.NAMES)
    assert catalogue.TENANTS in pointed_at & theirs


def test_places_take_work_in_proportion_to_the_rows(
    committed_db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "BATCH", 10)
    few, many = with_members(10), with_members(200)

    assert worked_through(many) < 21 * worked_through(few)
    assert asked_when_imported(few, tmp_path) == asked_when_imported(many, tmp_path) == 1


def with_members(count: int) -> models.Tenant:
    tenant = factories.make_tenant()
    with factories.at_work(tenant):
        users = accounts.User.objects.bulk_create(
            accounts.User(email=f"{number}@{tenant.slug}.test") for number in range(count)
        )
        members = accounts.Membership.objects.bulk_create(
            accounts.Membership(tenant=tenant, user=user) for user in users
        )
        accounts.MembershipRole.objects.bulk_create(
            accounts.MembershipRole(membership=member, system_role="editor") for member in members
        )
    return tenant


def worked_through(tenant: models.Tenant) -> int:
    """The rows that reading the roles of its members takes into the hand, over all steps of the plan."""
    table = next(table for table in catalogue.exported() if table.name == HELD)
    query = sql.SQL("EXPLAIN (ANALYZE, FORMAT JSON) {}").format(rows.selection(table, tenant.id))
    with connection.cursor() as cursor:
        cursor.execute(query)
        return round(rows_in(cursor.fetchone()[0][0]["Plan"]))


def rows_in(step: dict[str, Any]) -> float:
    own = step["Actual Loops"] * (step["Actual Rows"] + step.get("Rows Removed by Filter", 0))
    return float(own) + sum(rows_in(each) for each in step.get("Plans", []))


def asked_when_imported(tenant: models.Tenant, folder: Path) -> int:
    """How often an import reads the numbers of the members."""
    moving.suspend(tenant)
    moving.export(tenant, folder / "acme.zip")
    moving.purge(tenant)
    with CaptureQueriesContext(connection) as asked:
        moving.run("tenant_import", folder / "acme.zip", quiet=True)
    return sum("row_number()" in query["sql"] and MEMBERS in query["sql"] for query in asked.captured_queries)
