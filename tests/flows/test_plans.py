"""Frequent requests find their rows by an index, also as the role of the application and under row policies."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from psycopg import sql

from apps.accounts.services import keys
from apps.commerce import services as commerce
from apps.consumers import tasks
from apps.content import services as content
from apps.kernel import ids
from tests import factories
from tests.accounts import calling
from tests.commerce import making as products
from tests.content import making as nodes

COPIES = 3_000
COLUMNS = """
SELECT attname FROM pg_attribute
WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = '' AND attidentity = ''
"""
# What a copy has of its own; all else is as in the row it is copied from.
OWN = {
    "id": "gen_random_uuid()",
    "handle": "'copy-' || gen_random_uuid()",
    "slug": "'copy-' || gen_random_uuid()",
    "external_id": "gen_random_uuid()::text",
    "prefix": "substr(md5(random()::text), 1, 8)",
    "secret_hash": "md5(random()::text) || md5(random()::text)",
    "token_hash": "md5(random()::text) || md5(random()::text)",
}
TABLES = ("commerce_product", "content_node", "accounts_apikey", "accounts_session")
VIEWS = ("readmodels_productdocument_live", "readmodels_contentdocument_live")


class Shop:
    """A tenant with thousands of products, nodes, keys and sessions, copied from one each."""

    def __init__(self, superuser: psycopg.Connection[Any]) -> None:
        self.tenant = factories.make_tenant(default_locale="en", currency="EUR")
        self.caller = calling.make_caller(self.tenant, "owner")
        with factories.at_work(self.tenant):
            made = products.make_product()
            commerce.publish_product(product_id=made.id, now=products.NOW)
            self.product = ids.encode("prod", made.id)
            node = nodes.make_node("Hello")
            content.publish_node(node_id=node.id, now=products.NOW)
            self.node = ids.encode("node", node.id)
            key = keys.NewApiKey(name="Till", scopes=["products:read"])
            self.key = keys.create_key(new=key, by=self.caller.user, now=timezone.now()).key
        tasks.drain()
        for table in TABLES:
            copy(superuser, table)
        for view in VIEWS:
            copy(superuser, table_behind(superuser, view))
        superuser.execute("ANALYZE")
        superuser.commit()
        self.client = Client(headers={"X-Tenant": self.tenant.slug})
        self.handle = self.read("/api/v1/store/products?limit=1").json()["data"][0]["handle"]

    def read(self, path: str, **headers: str) -> Any:
        answer = self.client.get(path, headers=headers)
        assert answer.status_code == 200, answer.content
        return answer

    def requests(self) -> dict[str, Callable[[], Any]]:
        store, admin = "/api/v1/store", "/api/v1/admin"
        staff = self.caller.headers
        return {
            "a product by handle": lambda: self.read(f"{store}/products/{self.handle}"),
            "a list of products": lambda: self.read(f"{store}/products"),
            "a list of a kind": lambda: self.read(f"{store}/content/page"),
            "a search": lambda: self.read(f"{store}/search?q=nothing-like-it"),
            "a product to edit": lambda: self.read(f"{admin}/products/{self.product}", **staff),
            "the products": lambda: self.read(f"{admin}/products", **staff),
            "a node to edit": lambda: self.read(f"{admin}/nodes/{self.node}", **staff),
            "the nodes": lambda: self.read(f"{admin}/nodes", **staff),
            "a request with a key": lambda: self.read(
                f"{admin}/products/{self.product}", Authorization=f"Bearer {self.key}"
            ),
        }


def table_behind(superuser: psycopg.Connection[Any], view: str) -> str:
    row = superuser.execute(
        "SELECT table_name FROM information_schema.view_table_usage WHERE view_name = %s", [view]
    ).fetchone()
    assert row is not None
    return str(row[0])


def copy(superuser: psycopg.Connection[Any], table: str) -> None:
    """Three thousand rows like the one there is."""
    columns = [name for (name,) in superuser.execute(COLUMNS, [table]).fetchall()]
    values = [sql.SQL(OWN[name]) if name in OWN else sql.SQL("one.") + sql.Identifier(name) for name in columns]
    superuser.execute("SET session_replication_role = replica")
    superuser.execute(
        sql.SQL(
            "INSERT INTO {table} ({columns}) SELECT {values} FROM (SELECT * FROM {table} LIMIT 1) one, "
            "generate_series(1, {copies})"
        ).format(
            table=sql.Identifier(table),
            columns=sql.SQL(", ").join(map(sql.Identifier, columns)),
            values=sql.SQL(", ").join(values),
            copies=sql.Literal(COPIES),
        )
    )
    superuser.execute("SET session_replication_role = origin")


def read_from_end_to_end(statement: str) -> Iterator[str]:
    """The large tables that the plan of a statement scans without an index, and those it reads a third of."""
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}")
        (plans,) = cursor.fetchone()
    waiting = [(plans if isinstance(plans, list) else json.loads(plans))[0]["Plan"]]
    while waiting:
        plan = waiting.pop()
        waiting += plan.get("Plans", [])
        touched = (
            plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0) + plan.get("Rows Removed by Index Recheck", 0)
        )
        if "Relation Name" in plan and (plan["Node Type"] == "Seq Scan" or touched * 3 > COPIES) and touched > 100:
            yield f"{plan['Node Type']} of {plan['Relation Name']}, {touched:,} rows"


@pytest.mark.usefixtures("committed_db")
def test_no_frequent_request_reads_a_table_from_end_to_end(_superuser: psycopg.Connection[Any]) -> None:
    shop = Shop(_superuser)
    found: dict[str, list[str]] = {}
    for name, request in shop.requests().items():
        with CaptureQueriesContext(connection) as captured:
            request()
        # In front stands which tenant they are for.
        asked = [re.sub(r"^SET LOCAL [^;]*;", "", str(query["sql"])).strip() for query in captured]
        selects = [statement for statement in asked if statement.startswith(("SELECT", "WITH"))]
        assert selects, (name, captured.captured_queries)
        with factories.at_work(shop.tenant):
            found[name] = [line for statement in selects for line in read_from_end_to_end(statement)]

    assert {name: lines for name, lines in found.items() if lines} == {}


@pytest.mark.usefixtures("committed_db")
def test_a_plan_that_does_is_noticed(_superuser: psycopg.Connection[Any]) -> None:
    shop = Shop(_superuser)

    with factories.at_work(shop.tenant):
        found = list(read_from_end_to_end("SELECT * FROM commerce_product WHERE metadata->>'nobody' = 'x'"))

    assert len(found) == 1
    assert "commerce_product" in found[0]
