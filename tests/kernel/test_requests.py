"""What is refused before any endpoint sees it: addresses with NUL, bodies that are not JSON."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.test import Client

from tests import factories

pytestmark = pytest.mark.usefixtures("db")


@pytest.mark.parametrize(
    ("method", "path", "place"),
    [
        ("GET", "/api/v1/store/products/%00", "path"),
        ("GET", "/api/v1/store/products?category=%00", "query"),
        ("GET", "/api/v1/store/products?tag=a%00b", "query"),
        ("DELETE", "/api/v1/admin/tenant/locales/%00", "path"),
        ("GET", "/admin/?q=%00", "query"),
    ],
)
def test_a_nul_in_the_address_is_refused(method: str, path: str, place: str) -> None:
    correlation_id = str(uuid.uuid4())
    client = Client()

    answer: Any = client.generic(method, path, headers={"X-Correlation-Id": correlation_id})

    assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")
    assert (answer.json()["code"], answer.json()["request_id"]) == ("nul_character", correlation_id)
    assert answer["X-Correlation-Id"] == correlation_id
    assert f"The {place} contains" in answer.json()["detail"]


def test_a_percent_sign_before_00_is_no_nul() -> None:
    assert Client().get("/health/live?q=%2500").status_code != 400


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":' * 100_000,
        b"[" * 5000 + b"]" * 5000,
        b'{"name": NaN}',
        b'{"name": 1e999}',
        b'{"name": "\\ud800"}',
        b'{"name": "\xff"}',
        b"{",
    ],
    ids=["open", "deep", "nan", "infinity", "half", "latin", "cut"],
)
def test_a_body_that_is_no_json_is_refused(body: bytes) -> None:
    tenant = factories.make_tenant()
    headers = {"X-Tenant": tenant.slug, "Authorization": f"Bearer {factories.make_token(tenant)}", "If-Match": "*"}

    answer: Any = Client().patch("/api/v1/admin/tenant", body, content_type="application/json", headers=headers)

    assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")
    assert "not JSON" in answer.json()["detail"]


@pytest.mark.parametrize(
    "value", [b"1" + b"0" * 30, b"1e30", b'"\\u0000"', b"[" * 60 + b"]" * 60], ids=["big", "float", "nul", "deep"]
)
def test_settings_that_cannot_be_stored_are_refused(value: bytes) -> None:
    tenant = factories.make_tenant()
    headers = {"X-Tenant": tenant.slug, "Authorization": f"Bearer {factories.make_token(tenant)}", "If-Match": "*"}
    body = b'{"settings": {"a": %s}}' % value

    answer: Any = Client().patch("/api/v1/admin/tenant", body, content_type="application/json", headers=headers)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/settings"
