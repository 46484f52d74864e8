"""Past managers and filters, by table: no row of another tenant can be seen, counted, changed, removed or made."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.db import DatabaseError, connection, models, transaction
from psycopg import sql

from apps.kernel import isolation
from apps.tenants import models as tenants
from tests import factories
from tests.content import making as content

TABLES = sorted(
    model._meta.label
    for model in apps.get_models()
    if any(field.column == "tenant_id" for field in model._meta.concrete_fields)
)
# Of statements that a grant or a policy refuses, and of those that come past both and fail at a column without value.
INSUFFICIENT_PRIVILEGE, NOT_NULL_VIOLATION = "42501", "23502"
# The views of the read models, which nobody writes through.
VIEWS = {
    f"readmodels.{name}"
    for name in ("LiveAsset", "LiveContent", "LiveMenu", "LivePath", "LiveProduct", "LiveRedirect", "LiveTerm")
}
COUNT = "SELECT count(*) FROM {table} WHERE tenant_id = {tenant}"
INSERT = "INSERT INTO {table} (tenant_id) VALUES ({tenant})"
CHANGES = {
    "SELECT": "SELECT FROM {table} WHERE tenant_id = {tenant}",
    "UPDATE": "UPDATE {table} SET tenant_id = tenant_id WHERE tenant_id = {tenant}",
    "DELETE": "DELETE FROM {table} WHERE tenant_id = {tenant}",
}


def run(statement: str, table: str, tenant: tenants.Tenant) -> Any:
    """The first value or the number of rows; "refused" by a grant or a policy; else the SQLSTATE."""
    query = sql.SQL(statement).format(table=sql.Identifier(table), tenant=sql.Literal(tenant.id))
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchone()[0] if statement == COUNT else cursor.rowcount
    except DatabaseError as error:
        state = getattr(error.__cause__, "sqlstate", None)
        return "refused" if state == INSUFFICIENT_PRIVILEGE else state


@pytest.fixture
def two(db: None) -> Iterator[tuple[tenants.Tenant, tenants.Tenant]]:
    """The tenant at work, and another with rows of its own."""
    here, there = factories.make_tenant(default_locale="en"), factories.make_tenant(default_locale="en")
    for tenant in (here, there):
        with factories.at_work(tenant):
            content.make_node()
            content.make_category()
    with factories.at_work(here):
        yield here, there


def test_the_other_tenant_has_rows_to_be_found(two: tuple[tenants.Tenant, tenants.Tenant]) -> None:
    with factories.at_work(two[1]):
        counts = {label: run(COUNT, apps.get_model(label)._meta.db_table, two[1]) for label in TABLES}

    assert len(TABLES) > 40
    assert counts["content.Node"] == counts["content.NodeTranslation"] == counts["content.Category"] == 1
    assert counts["outbox.Log"] > 2


def test_no_table_gives_away_or_gives_up_rows_of_another_tenant(two: tuple[tenants.Tenant, tenants.Tenant]) -> None:
    reached = {}
    for label in TABLES:
        model: type[models.Model] = apps.get_model(label)
        for verb, statement in {"COUNT": COUNT, **CHANGES}.items():
            result = run(statement, model._meta.db_table, two[1])
            if result not in (0, "refused"):
                reached[label, verb] = result
        if (seen := model._base_manager.filter(tenant_id=two[1].id).count()) != 0:
            reached[label, "_base_manager"] = seen

    assert reached == {}


def test_no_row_can_be_made_or_moved_into_another_tenant(two: tuple[tenants.Tenant, tenants.Tenant]) -> None:
    move = "UPDATE {table} SET tenant_id = {tenant}"
    for table in ("content_node", "content_category", "tenants_domain", "tenants_tenantlocale"):
        assert run(move, table, two[1]) == "refused"


def test_no_row_can_be_made_for_another_tenant(two: tuple[tenants.Tenant, tenants.Tenant]) -> None:
    made = {label: run(INSERT, apps.get_model(label)._meta.db_table, two[1]) for label in TABLES}

    assert {label: result for label, result in made.items() if result != "refused"} == {}


def test_rows_can_be_made_for_the_tenant_at_work_but_for_what_they_lack(
    two: tuple[tenants.Tenant, tenants.Tenant],
) -> None:
    made = {label: run(INSERT, apps.get_model(label)._meta.db_table, two[0]) for label in TABLES}

    assert {label: result for label, result in made.items() if result != NOT_NULL_VIOLATION} == dict.fromkeys(
        VIEWS, "refused"
    )


def test_these_statements_do_reach_rows_where_all_are_shown(two: tuple[tenants.Tenant, tenants.Tenant]) -> None:
    with isolation.all_tenants(reason="test"):
        counts = {label: run(COUNT, apps.get_model(label)._meta.db_table, two[1]) for label in TABLES}
        assert run(CHANGES["UPDATE"], "content_node", two[1]) == 1

    assert {"content.Node", "content.Category", "outbox.Log", "tenants.Domain"} <= {
        label for label, count in counts.items() if count not in (0, "refused")
    }
