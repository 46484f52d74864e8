"""A shop and a site written through the services, drained, and a client on the tenant's host."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from apps.consumers import tasks
from apps.tenants.models import Tenant
from rustok.testing import factories
from rustok.testing.contexts import at_work

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)

type Get = Callable[..., Any]


@pytest.fixture
def tenant(committed_db: None) -> Iterator[Tenant]:
    """English by default and German; work happens in its scope."""
    tenant = factories.make_tenant(currency="EUR", default_locale="en", locales=["de"])
    with at_work(tenant):
        yield tenant


@pytest.fixture
def get(tenant: Tenant, client: Client) -> Get:
    """GET on the tenant's host after everything has been drained."""

    def request(path: str, *, headers: dict[str, str] | None = None, **parameters: Any) -> Any:
        tasks.drain()
        host = {"host": f"{tenant.slug}.test"}
        return client.get(f"/api/v1/store/{path}", parameters, headers=host | (headers or {}))

    return request


def make_product(title: str = "Red shoes", *, at: int = 0, **fields: Any) -> Any:
    """A published product, `at` minutes after NOW."""
    fields = {"variants": [factories.variant_fields(stock=[{"quantity": 5}])], "status": "published"} | fields
    return factories.make_product(title, now=NOW + timedelta(minutes=at), **fields)


def make_node(title: str = "Hello", *, at: int = 0, **fields: Any) -> Any:
    """A published post, `at` minutes after NOW."""
    return factories.make_node(title, now=NOW + timedelta(minutes=at), **{"kind": "post", "publish": True} | fields)
