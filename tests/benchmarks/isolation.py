"""What isolation costs, with and without it in one run, and what 1,000 tenants cost: `make bench-isolation`.

Each request is made in turns on two connections of this process: the product's own, and one without isolation, which
logs in as a role with BYPASSRLS, with cursors that tell nothing and a search that goes through no function of somebody
else's. All else is the same, the filter by tenant in the SQL too: a shop that shares its tables needs that anyway.
Exit code 1 when a ratio is missed.
"""

from __future__ import annotations

import argparse
import gc
import re
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, ClassVar

from tests.benchmarks.installation import Ratio, own_installation

type Work = Callable[[], Any]
WARM = 20
MIGRATIONS = 7
CHECKS = 200
# As readmodels_search() has it, for somebody whom no policy holds.
SEARCH_AS_ONESELF = """
SELECT f.kind, f.id, f.rank, f.document, f.category_ids, f.tag_ids
FROM readmodels_found({words}) f
WHERE %(rank)s::float8 IS NULL OR (f.rank, f.id) < (%(rank)s::float8, %(id)s::uuid)
ORDER BY f.rank DESC, f.id DESC LIMIT %(limit)s
"""
RELATIONS = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=600, help="requests of each kind and side (default: 600)")
    parser.add_argument("--products", type=int, default=300, help="products in the shop (default: 300)")
    parser.add_argument("--tenants", type=int, default=1_000, help="tenants in the end (default: 1,000)")
    options = parser.parse_args()
    with own_installation():
        shop = Shop(options.products)
        ratios = [
            *(cost for name, work in shop.requests() for cost in compare(name, work, options.requests, shop)),
            *checks(shop),
            *many_tenants(shop, options.tenants),
        ]
    print("\n".join(map(str, ratios)))
    sys.exit(0 if all(ratio.is_met for ratio in ratios) else 1)


class Shop:
    """A tenant with published products, and somebody who looks after them."""

    def __init__(self, products: int) -> None:
        from django.core.management import call_command
        from django.test import Client

        from apps.commerce import services
        from apps.kernel import ids
        from tests import factories
        from tests.commerce import making

        self.tenant = factories.make_tenant(currency="EUR")
        with factories.at_work(self.tenant):
            for number in range(products):
                title = f"Walking shoe {number}"
                made = making.make_product(making.sized_fields(*"SML", translations=[{"locale": "en", "title": title}]))
                services.publish_product(product_id=made.id, now=making.NOW)
        call_command("events_run", once=True)
        self.client = Client(headers={"X-Tenant": self.tenant.slug})
        self.owner = factories.make_member(self.tenant)
        self.staff = {"Authorization": f"Bearer {factories.make_tokens(self.owner).access_token}"}
        self.product = f"/api/v1/admin/products/{ids.encode('prod', made.id)}"
        self.handle = self.read("/api/v1/store/products?limit=1")["data"][0]["handle"]
        self._edition = 0

    def requests(self) -> list[tuple[str, Work]]:
        store = "/api/v1/store"
        return [
            ("a product by handle", lambda: self.read(f"{store}/products/{self.handle}")),
            ("a list of 20", lambda: self.read(f"{store}/products?limit=20")),
            ("a search", lambda: self.read(f"{store}/search?q=walking+shoe")),
            ("an update of a product", self.update),
        ]

    def lists(self) -> list[tuple[str, Work]]:
        def lister(path: str, **headers: str) -> tuple[str, Work]:
            return path.removeprefix("/api/v1/"), lambda: self.read(path, **headers)

        admin = ("products", "nodes", "members", "customers", "api-keys", "audit")
        store = ("products", "categories", "content/post")
        return [
            *(lister(f"/api/v1/store/{path}") for path in store),
            *(lister(f"/api/v1/admin/{path}", **self.staff) for path in admin),
        ]

    def read(self, path: str, **headers: str) -> Any:
        answer = self.client.get(path, headers=headers)
        if answer.status_code != 200:
            raise RuntimeError(f"{path}: {answer.status_code} {answer.content[:500]!r}")
        return answer.json()

    def update(self) -> None:
        self._edition += 1
        answer = self.client.patch(
            self.product, {"vendor": str(self._edition)}, content_type="application/json", headers=self.staff
        )
        if answer.status_code != 200:
            raise RuntimeError(f"{answer.status_code} {answer.content[:500]!r}")


# --- with and without ------------------------------------------------------------------------------------------


def compare(name: str, work: Work, times: int, shop: Shop) -> list[Ratio]:
    """Requests a second and round trips to the database of a request, isolated and not."""
    isolated, bare = nullcontext, Bare(shop.tenant.id).in_use
    for side in (isolated, bare):
        with side():
            for _ in range(WARM):
                work()
    counted = [_round_trips(work, side) for side in (isolated, bare)]
    sides: dict[Any, list[float]] = {isolated: [], bare: []}
    gc.disable()  # a collection would fall on one of the two
    try:
        for number in range(times):
            for side in (isolated, bare) if number % 2 else (bare, isolated):
                with side():
                    sides[side].append(_timed(work))
            if number % 50 == 0:
                gc.collect()
    finally:
        gc.enable()
    per_second = [1 / statistics.median(taken) for taken in sides.values()]
    return [
        Ratio(f"{name}, isolated / without", *per_second, 0.9, "req/s"),
        Ratio(f"{name}: round trips, isolated / without", *counted, (counted[1] + 1) / counted[1], "trips", True),
    ]


class Bare:
    """The connection without isolation, in the place of the product's own for a block."""

    connection: ClassVar[Any] = None

    def __init__(self, tenant_id: uuid.UUID) -> None:
        self._tenant_id = tenant_id

    @contextmanager
    def in_use(self) -> Iterator[None]:
        from django.db import connections

        from apps.readmodels import search

        own, page = connections["default"], search.PAGE
        connections["default"] = self._connect(own)
        search.PAGE = SEARCH_AS_ONESELF.format(words=search._WORDS)
        try:
            yield
        finally:
            search.PAGE = page
            connections["default"] = own

    def _connect(self, own: Any) -> Any:
        if Bare.connection is None:
            Bare.connection = _bare_wrapper(own)
            with Bare.connection.cursor() as cursor:  # what the search asks for; once and for all
                cursor.execute("SELECT set_config('app.tenant_id', %s, false)", [str(self._tenant_id)])
        return Bare.connection


def _bare_wrapper(own: Any) -> Any:
    from django_prometheus.db.backends.postgresql.base import DatabaseWrapper

    options = {name: value for name, value in own.settings_dict["OPTIONS"].items() if name != "pool"}
    login = own.settings_dict["MIGRATOR"]
    return DatabaseWrapper(own.settings_dict | login | {"OPTIONS": options}, "default")


def _round_trips(work: Work, side: Any) -> int:
    """How often the server said that it is ready for the next message: libpq's own account of the wire."""
    from django.db import connections
    from psycopg import pq

    with side(), tempfile.TemporaryFile() as trace:
        connections["default"].ensure_connection()
        wire = connections["default"].connection.pgconn
        wire.trace(trace.fileno())
        wire.set_trace_flags(pq.Trace.SUPPRESS_TIMESTAMPS)
        work()
        wire.untrace()
        trace.seek(0)
        return len(re.findall(rb"^B\t\d+\tReadyForQuery", trace.read(), re.MULTILINE))


# --- checks ----------------------------------------------------------------------------------------------------


def checks(shop: Shop) -> list[Ratio]:
    """What a permission check takes, first where nothing is known and then again, and finding a known tenant."""
    from django.utils import timezone

    from apps.accounts.access import engine
    from apps.tenants import resolution
    from tests import factories

    def check() -> None:
        engine.rights_of(shop.owner, shop.tenant.id, now=timezone.now())

    with factories.at_work(shop.tenant):
        engine._kept.clear()
        first, again = _queries(check), _queries(check)
        taken = statistics.median(_timed(check) for _ in range(CHECKS))
    host = f"{shop.tenant.slug}.test"
    resolution.find_by_host(host)
    found = _queries(lambda: resolution.find_by_host(host))
    return [
        Ratio("a permission check, nothing known: queries / one", first, 1, 1, "queries", True),
        Ratio("a permission check, again: queries / one", again, 1, 1, "queries", True),
        Ratio("a permission check / 2 ms", 1000 * taken, 2, 1, "ms", True),
        Ratio("finding a tenant that is cached: queries / one", found, 1, 0, "queries", True),
    ]


def _queries(work: Work, *, times: int = 1) -> int:
    """The fewest of so many times: now and then one request renews an entry of the cache for all."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    counts = []
    for _ in range(times):
        with CaptureQueriesContext(connection) as asked:
            work()
        counts.append(len(asked))
    return min(counts)


# --- many tenants ----------------------------------------------------------------------------------------------


def many_tenants(shop: Shop, count: int) -> list[Ratio]:
    """What a tenant more takes, and what is no slower or longer with all of them than with the one there was."""
    from django.db import connection

    from tests import factories
    from tests.benchmarks import filling

    listed = dict(shop.lists())
    before = {path: _queries(work, times=3) for path, work in listed.items()}
    relations = _one(RELATIONS)
    few = connection.settings_dict["NAME"] + "_few"
    _copy_database(few)
    taken = [_timed(factories.make_tenant) for _ in range(count - 1)]
    made = _one(RELATIONS) - relations
    filling.as_owner("ANALYZE")
    after = {path: _queries(work, times=3) for path, work in listed.items()}
    migrated = _migrate_in_turns(few, connection.settings_dict["NAME"])
    return [
        Ratio(f"the slowest of {count:,} tenants made / 1 s", max(taken), 1, 1, "s", True),
        Ratio("tables and indexes made with them / one", made, 1, 0, "", True),
        Ratio(f"migrate with nothing to do, {count:,} tenants / 1", migrated[1], migrated[0], 1.1, "s", True),
        *(
            Ratio(f"queries of {path}, {count:,} tenants / 1", after[path], before[path], 1, "queries", True)
            for path in listed
        ),
    ]


def _one(query: str) -> int:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(query)
        return int(cursor.fetchone()[0])


def _copy_database(name: str) -> None:
    """Another database like this one."""
    from django.db import connection
    from psycopg import sql

    from rustok import servers

    connection.close()
    if Bare.connection is not None:
        Bare.connection.close()
    facts = servers.connection_facts().superuser
    assert facts is not None
    names = sql.Identifier(name), sql.Identifier(connection.settings_dict["NAME"])
    with facts.connect(database="postgres") as superuser:
        superuser.autocommit = True
        superuser.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(*names))


def _migrate_in_turns(*databases: str) -> list[float]:
    """Seconds of a migrate that finds nothing to do, in each of them."""
    from django.core.management import call_command
    from django.db import connection

    own, taken = connection.settings_dict["NAME"], [list[float]() for _ in databases]
    for _ in range(MIGRATIONS):
        for number, database in enumerate(databases):
            connection.close()
            connection.settings_dict["NAME"] = database
            taken[number].append(_timed(lambda: call_command("migrate", verbosity=0)))
    connection.close()
    connection.settings_dict["NAME"] = own
    return [statistics.median(seconds) for seconds in taken]


def _timed(work: Work) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
