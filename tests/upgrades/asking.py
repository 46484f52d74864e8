"""What the installation answers after an upgrade, as JSON: python -m tests.upgrades.asking"""

from __future__ import annotations

import json
from typing import Any

import django

django.setup()

from django.test import Client  # noqa: E402

from apps.kernel import isolation  # noqa: E402
from apps.tenants.models import Tenant  # noqa: E402
from rustok.management.commands import seed_demo  # noqa: E402
from rustok.testing import calling, draining  # noqa: E402

ADMIN = {"email": seed_demo.ADMIN_EMAIL, "password": seed_demo.ADMIN_PASSWORD}
client = Client()


def store(tenant: str, path: str) -> Any:
    answer = client.get(f"/api/v1/store/{path}", headers={"host": f"{tenant}.localhost"})
    assert answer.status_code == 200, answer.content
    return answer.json()


def manage(method: str, path: str, body: Any = None) -> Any:
    answer = caller.call(method, path, body)
    assert answer.status_code in {200, 201}, answer.content
    return answer.json()


logged_in = client.post("/api/v1/auth/token", ADMIN, content_type="application/json")
assert logged_in.status_code == 200, logged_in.content
with isolation.all_tenants(reason="find the demo"):
    caller = calling.make_caller(Tenant.objects.get(slug="demo-shop"), "owner")
told: dict[str, Any] = {
    "products": [each["title"] for each in store("demo-shop", "products?limit=100")["data"]],
    "pages": [each["title"] for each in store("demo-site", "content/page?limit=100")["data"]],
    "managed": len(manage("GET", "products?limit=100")["data"]),
}
first = manage("GET", "products?limit=1")["data"][0]
manage("GET", f"products/{first['id']}")
new = {"translations": [{"locale": "en", "title": "After the upgrade"}], "variants": [{}], "status": "published"}
manage("POST", "products", new)
draining.drain()
told["after"] = store("demo-shop", "products/after-the-upgrade")["title"]
print(json.dumps(told))
