"""A tenant is rows, not tables: making one costs the same beside a thousand others."""

from __future__ import annotations

import time

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.kernel import ids, isolation
from apps.tenants import models
from tests import factories

pytestmark = pytest.mark.usefixtures("db")

DDL = ("CREATE", "ALTER", "DROP", "GRANT", "COMMENT")
SECONDS = 1.0


def statements() -> list[str]:
    """What the database is told to make a tenant."""
    with CaptureQueriesContext(connection) as told:
        factories.make_tenant()
    return [entry["sql"] for entry in told.captured_queries]


def test_a_tenant_is_made_at_once_and_alike_beside_a_thousand() -> None:
    alone = statements()
    others = [models.Tenant(id=ids.new_id(), slug=f"other-{number}", name="Other") for number in range(1000)]
    with isolation.all_tenants(reason="test"):
        models.Tenant.objects.bulk_create(others)
        models.Domain.objects.bulk_create(models.Domain(host=f"{each.slug}.test", tenant=each) for each in others)
        models.TenantLocale.objects.bulk_create(models.TenantLocale(tenant=each, locale="en") for each in others)

    began = time.perf_counter()
    beside_a_thousand = statements()
    seconds = time.perf_counter() - began

    assert seconds < SECONDS
    assert len(beside_a_thousand) == len(alone)
    assert not [sql for sql in beside_a_thousand if sql.strip().upper().startswith(DDL)]
