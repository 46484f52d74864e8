"""Whatever is sent to whichever operation that takes a body, the answer is a problem of the sender, not of ours."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from django.test import Client
from drf_spectacular.generators import SchemaGenerator

from tests import factories

# Each is the whole body.
BODIES: dict[str, bytes] = {
    "nothing": b"",
    "not JSON": b"{",
    "a list": b"[]",
    "null": b"null",
    "deep": b'{"a":' * 900 + b"1" + b"}" * 900,
    "too deep to parse": b"[" * 50_000,
    "wrong UTF-8": b'{"title": "\xff\xfe"}',
    "half a character": b'{"title": "\\ud800"}',
    "NaN": b'{"position": NaN}',
    "a long number": b'{"position": ' + b"9" * 100_000 + b"}",
    "unknown field": b'{"constructor": 1, "__proto__": {"is_staff": true}}',
    "NUL in a name": b'{"\\u0000": 1}',
}
# Each is the value of every field the operation knows.
VALUES: dict[str, Any] = {
    "NUL": "a\x00b",
    "long text": "x" * 300_000,
    "direction marks": "\u202e\u2066\ufeff\U000e0001" * 300,
    "combining": "Z" + "\u0335" * 5_000,
    "SQL": "'; DROP TABLE x; --",
    "number beyond 64 bits": 1e300,
    "negative": -(2**63),
    "fraction": 0.1,
    "true": True,
    "list": [[[]]],
    "object": {"": {"\x00": None}},
}
# A change of nothing changes nothing, and code is a name like any other where no more than a text is asked for.
MAY_PASS = {"nothing", "SQL"}
SOME_ID = "01890a5d-ac96-774b-bcce-b302099a8057"
_addresses = (f"10.{a}.{b}.{c}" for a, b, c in itertools.product(range(256), repeat=3))


def operations() -> Iterator[tuple[str, str, list[str]]]:
    """Method, path and names of fields of every operation with a body."""
    document = SchemaGenerator().get_schema(request=None, public=True)
    schemas = document["components"]["schemas"]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            content = operation.get("requestBody", {}).get("content", {}) if isinstance(operation, dict) else {}
            if "application/json" in content:
                schema = content["application/json"]["schema"]
                schema = schemas.get(schema.get("$ref", "").rpartition("/")[2], schema)
                yield method, path, sorted(schema.get("properties", {}))


@pytest.mark.django_db
def test_hostile_bodies_are_refused_by_every_operation() -> None:
    tenant = factories.make_tenant()
    client = Client(raise_request_exception=False)
    headers = {"X-Tenant": tenant.slug, "Authorization": f"Bearer {factories.make_token(tenant)}"}
    found = list(operations())
    wrong = []

    for method, path, fields in found:
        bodies = BODIES | {name: orjson.dumps(dict.fromkeys(fields, value)) for name, value in VALUES.items() if fields}
        for name, body in bodies.items():
            answer = client.generic(
                method,
                re.sub(r"{\w+}", SOME_ID, path),
                body,
                content_type="application/json",
                headers=headers | factories.write_headers(method.upper()),
                REMOTE_ADDR=next(_addresses),
            )
            is_refused = 400 <= answer.status_code < 500 and answer["Content-Type"] == "application/problem+json"
            if path.endswith("/bulk") and answer.status_code == 200:  # each operation fails alone
                is_refused = answer.json()["succeeded"] == 0
            if not is_refused and not (name in MAY_PASS and answer.status_code < 300):
                wrong.append(f"{method} {path}, {name}: {answer.status_code}")

    assert len(found) > 40
    assert wrong == [], "\n".join(wrong)


@pytest.mark.django_db
@pytest.mark.parametrize("kind", ["text/plain", "application/xml", "multipart/form-data; boundary=x", "text/json", ""])
def test_other_media_types_are_refused(kind: str) -> None:
    tenant = factories.make_tenant()
    headers = {"X-Tenant": tenant.slug, "Authorization": f"Bearer {factories.make_token(tenant)}"}

    answer = Client().generic("POST", "/api/v1/admin/products", b"{}", content_type=kind, headers=headers)

    assert answer.status_code == 415
