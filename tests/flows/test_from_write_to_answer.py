"""The one way of the data, from outside: log in, write through the API, let it drain, read it as a storefront."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from apps.consumers import status, tasks
from apps.events import bus
from apps.outbox.models import Log
from tests import factories

pytestmark = pytest.mark.usefixtures("committed_db")


class Shopkeeper:
    """A member of a tenant with HTTP as the only door."""

    def __init__(self) -> None:
        self.tenant = factories.make_tenant(currency="EUR")
        self.headers = {"X-Tenant": self.tenant.slug, "Authorization": f"Bearer {factories.make_token(self.tenant)}"}
        self.client = Client()

    def send(self, method: str, path: str, body: Any = None, *, expect: int = 200) -> Any:
        request = getattr(self.client, method)
        headers = self.headers | factories.write_headers(method.upper())
        answer = request(f"/api/v1/admin/{path}", body or "", content_type="application/json", headers=headers)
        assert answer.status_code == expect, answer.content
        return answer.json() if answer.content else None

    def read(self, path: str) -> Any:
        tasks.drain()
        return self.client.get(f"/api/v1/store/{path}", headers={"X-Tenant": self.tenant.slug})


def test_a_product_from_its_creation_to_its_end() -> None:
    keeper = Shopkeeper()
    fields = {
        "translations": [{"locale": "en", "title": "Enamel mug", "description": "<p>Blue</p><script>x</script>"}],
        "variants": [{"sku": "EM-1", "prices": [{"currency": "EUR", "amount": "14.50"}], "stock": [{"quantity": 2}]}],
        "tags": ["kitchen"],
    }

    product = keeper.send("post", "products", fields, expect=201)
    assert keeper.read("products/enamel-mug").status_code == 404

    keeper.send("post", f"products/{product['id']}/publish")
    shown = keeper.read("products/enamel-mug")
    assert shown.json()["description"] == "<p>Blue</p>"
    assert shown.json()["variants"][0]["prices"][0]["amount"] == "14.50"

    variant_id = product["variants"][0]["id"]
    keeper.send("put", f"variants/{variant_id}/prices", {"prices": [{"currency": "EUR", "amount": "12.00"}]})
    keeper.send("post", f"variants/{variant_id}/inventory/adjust", {"delta": -2, "reason": "sold"})
    changed = keeper.read("products/enamel-mug")
    assert changed.json()["variants"][0]["prices"][0]["amount"] == "12.00"
    assert changed.json()["in_stock"] is False
    assert changed["ETag"] != shown["ETag"]

    refused = keeper.send("delete", f"products/{product['id']}", expect=409)
    assert refused["code"] == "cannot_delete_published"
    keeper.send("post", f"products/{product['id']}/archive")
    keeper.send("delete", f"products/{product['id']}", expect=204)
    assert keeper.read("products/enamel-mug").status_code == 404
    assert status.verify() == []


def test_a_refused_write_leaves_no_event() -> None:
    keeper = Shopkeeper()
    before = Log.objects.count()
    fields = {"translations": [{"locale": "en", "title": "Mug", "handle": "mug"}], "variants": [{"sku": "A"}]}
    keeper.send("post", "products", fields, expect=201)
    recorded = Log.objects.count() - before

    keeper.send("post", "products", fields, expect=409)
    keeper.send("post", "products", fields | {"colour": "red"}, expect=422)

    assert Log.objects.count() - before == recorded


def test_everything_written_reaches_the_bus_in_order() -> None:
    keeper = Shopkeeper()
    for number in range(3):
        node = {"kind": "page", "translations": [{"locale": "en", "title": f"Page {number}"}], "publish": True}
        keeper.send("post", "nodes", node, expect=201)
    tasks.drain()

    messages = bus.default().read(0, limit=1000)

    assert [message.position for message in messages] == list(range(1, status.status()["head"] + 1))
    assert [entry.fields["type"] for entry in messages][-2:] == [
        "com.rustok.content.node.created",
        "com.rustok.content.node.published",
    ]
    assert {entry.fields["tenantid"] for entry in messages} == {str(keeper.tenant.id)}
