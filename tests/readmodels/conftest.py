"""A shop and a site written through the services, drained, and a client on the tenant's host."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from apps.commerce import services as commerce
from apps.consumers import tasks
from apps.content import services as content
from apps.kernel import validation
from apps.tenants.models import Tenant
from tests import factories

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)

type Get = Callable[..., Any]


@pytest.fixture
def tenant(committed_db: None) -> Iterator[Tenant]:
    """English by default and German; work happens in its scope."""
    tenant = factories.make_tenant(currency="EUR", default_locale="en", locales=["de"])
    with factories.at_work(tenant):
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
    fields = {
        "translations": [{"locale": "en", "title": title}],
        "variants": [{"prices": [{"currency": "EUR", "amount": "19.90"}], "stock": [{"quantity": 5}]}],
        "status": "published",
    } | fields
    new = validation.parse(commerce.NewProduct, fields)
    return commerce.create_product(new=new, now=NOW + timedelta(minutes=at))


def make_node(title: str = "Hello", *, at: int = 0, **fields: Any) -> Any:
    """A published post, `at` minutes after NOW."""
    fields = {"kind": "post", "translations": [{"locale": "en", "title": title}], "publish": True} | fields
    new = validation.parse(content.NewNode, fields)
    return content.create_node(new=new, now=NOW + timedelta(minutes=at))
