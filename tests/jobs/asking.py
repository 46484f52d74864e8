"""Bulk requests of tests, and the jobs they lead to."""

from __future__ import annotations

import json
import uuid
from typing import Any

from apps.commerce import models as commerce
from apps.commerce.bulk import PRODUCTS
from apps.jobs import bulk, models, services
from apps.kernel import context, ids
from apps.tenants import models as tenants
from tests import factories
from tests.accounts import calling
from tests.commerce import making

PATH = "products/bulk"


def new(title: str = "Blue Shoes", **fields: Any) -> dict[str, Any]:
    """An operation that makes a product."""
    return {"op": "create", "data": making.product_fields(title, **fields)}


def made(tenant: tenants.Tenant, **fields: Any) -> str:
    """The id of a product of the tenant."""
    with factories.at_work(tenant):
        return ids.encode("prod", making.make_product(**fields).id)


def make_job(caller: calling.Caller, *operations: Any, kind: bulk.Kind = PRODUCTS) -> models.Job:
    """As if it had been asked for over HTTP, of however few operations."""
    acting = context.use(actor=f"user:{caller.user.pk}", correlation_id=uuid.uuid4(), languages="de", origin="http://x")
    with factories.at_work(caller.tenant), acting:
        return services.ask(kind=kind, operations=operations, by=caller.user, now=making.NOW)


def shown(caller: calling.Caller, job: models.Job) -> Any:
    """The job as the API shows it."""
    answer = caller.call("GET", f"jobs/{ids.encode('job', job.id)}")
    assert answer.status_code == 200, answer.content
    return answer.json()


def lines(caller: calling.Caller, job: models.Job, what: str) -> list[Any]:
    """Of its errors or results."""
    answer = caller.call("GET", f"jobs/{ids.encode('job', job.id)}/{what}")
    assert answer.status_code == 200, answer.content
    assert answer["Content-Type"] == "application/x-ndjson"
    return [json.loads(line) for line in b"".join(answer.streaming_content).splitlines()]


def titles(tenant: tenants.Tenant) -> list[str]:
    """Of all products, in the order they were made."""
    with factories.at_work(tenant):
        rows = commerce.ProductTranslation.objects.order_by("product_id")
        return list(rows.values_list("title", flat=True))
