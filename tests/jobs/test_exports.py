"""An export is everything that passes the filters, of one moment, and never held at once."""

from __future__ import annotations

import csv
import io
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.audit.models import Entry
from apps.commerce import models as commerce
from apps.commerce import services
from apps.commerce.api import shown
from apps.content import shown as shown_nodes
from apps.kernel import ids, streaming
from apps.tenants import models, scope
from tests import factories
from tests.accounts import calling
from tests.commerce import making as shop
from tests.content import making as site

FORMULA = '=HYPERLINK("http://evil.test","x")'


@pytest.fixture
def tenant(db: None) -> models.Tenant:
    return factories.make_tenant(default_locale="en", locales=["de"], currency="EUR")


@pytest.fixture
def owner(tenant: models.Tenant) -> calling.Caller:
    return calling.make_caller(tenant, "owner")


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "PAGE", 2)


def make_products(tenant: models.Tenant, *titles: str, **fields: Any) -> list[str]:
    with factories.at_work(tenant):
        return [ids.encode("prod", shop.make_product(title=title, **fields).id) for title in titles]


def ask(caller: calling.Caller, path: str) -> Any:
    answer = caller.call("GET", path)
    assert answer.status_code == 200, answer.getvalue()
    return answer


def read(caller: calling.Caller, path: str) -> list[Any]:
    return [json.loads(line) for line in ask(caller, path).getvalue().splitlines()]


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


@pytest.mark.usefixtures("small_pages")
def test_every_product_comes_as_its_list_shows_it(tenant: models.Tenant, owner: calling.Caller) -> None:
    made = make_products(tenant, *"abcde")
    make_products(factories.make_tenant(default_locale="en", currency="EUR"), "Foreign")

    answer = ask(owner, "products/export.ndjson")
    lines = [json.loads(line) for line in answer.getvalue().splitlines()]

    assert answer["Content-Type"] == "application/x-ndjson"
    assert answer["Content-Disposition"] == 'attachment; filename="products.ndjson"'
    assert answer["Cache-Control"] == "no-store"
    assert [line["id"] for line in lines] == made
    assert lines == owner.call("GET", "products?sort=created_at").json()["data"]
    with factories.at_work(tenant):
        entry = Entry.objects.get(action="products.exported")
        assert (entry.actor, entry.read_changes()["format"]) == (f"user:{owner.user.pk}", [None, "ndjson"])


def test_nodes_come_whole(tenant: models.Tenant, owner: calling.Caller) -> None:
    with factories.at_work(tenant):
        page = site.make_node(
            "Page", bodies=[{"locale": "en", "body": "<p>Hello</p>"}], tag_ids=[site.make_tag("x").id]
        )
        site.make_node("Post", kind="post")

    lines = read(owner, "nodes/export.ndjson")

    assert [line["kind"] for line in lines] == ["page", "post"]
    assert lines[0] == owner.call("GET", f"nodes/{ids.encode('node', page.id)}").json()
    table = rows_of(ask(owner, "nodes/export.csv").getvalue().decode())
    assert [json.loads(row["bodies"]) for row in table] == [line["bodies"] for line in lines]
    assert list(table[0]) == list(shown_nodes.WholeNode.__annotations__)


def test_no_cell_is_a_formula_and_every_cell_can_be_read_back(tenant: models.Tenant, owner: calling.Caller) -> None:
    vendors = [FORMULA, "+1", "-1", "@x", "two; cells", 'with "quotes", commas', "  =1", "plain"]
    for vendor in vendors:
        make_products(tenant, "Shoes", vendor=vendor, product_type=vendor)
    with factories.at_work(tenant):  # as from before there was a rule
        commerce.Product.objects.filter(vendor="two; cells").update(vendor="two\r\nlines")

    answer = ask(owner, "products/export.csv")
    text = answer.getvalue().decode()
    table = rows_of(text)

    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert answer["Content-Disposition"] == 'attachment; filename="products.csv"'
    assert list(table[0]) == list(shown.Product.__annotations__)
    assert text.count("\r\n") == len(vendors) + 1 + 1
    assert [row["vendor"] for row in table] == [
        f"'{FORMULA}", "'+1", "'-1", "'@x", "two\r\nlines", 'with "quotes", commas', "'=1", "plain",
    ]  # fmt: skip
    assert not any(cell.lstrip().startswith(("=", "+", "-", "@")) for row in table for cell in row.values())
    assert json.loads(table[0]["translations"])[0]["title"] == "Shoes"
    assert (table[0]["is_gift_card"], table[0]["published_at"]) == ("false", "")


def test_the_filters_of_the_list_narrow_it_and_nothing_else_is_taken(
    tenant: models.Tenant, owner: calling.Caller
) -> None:
    make_products(tenant, "One", vendor="Acme")
    [other] = make_products(tenant, "Other", vendor="Bolt", status="published")
    with factories.at_work(tenant):
        site.make_node("English")
        site.make_node("Both", translations=[{"locale": locale, "title": locale} for locale in ("en", "de")])

    assert [line["id"] for line in read(owner, "products/export.ndjson?status=published&vendor__ne=Acme")] == [other]
    assert len(rows_of(ask(owner, "products/export.csv?vendor__in=Acme,Bolt").getvalue().decode())) == 2
    assert [len(line["translations"]) for line in read(owner, "nodes/export.ndjson?locale=de")] == [2]
    for wrong, code in (
        ("status=shiny", "invalid_filter"), ("limit=3", "unknown_parameter"), ("sort=vendor", "unknown_parameter"),
        ("vendr=Acme", "unknown_parameter"),
    ):  # fmt: skip
        refused = owner.call("GET", f"products/export.ndjson?{wrong}")
        assert (refused.status_code, refused.json()["errors"][0]["code"]) == (422, code)


@pytest.mark.usefixtures("small_pages")
def test_limits_of_a_grant_hold_to_the_last_line(tenant: models.Tenant, owner: calling.Caller) -> None:
    with factories.at_work(tenant):
        category = shop.make_category("Shoes")
        for locale in ("en", "de"):
            site.make_node(locale, translations=[{"locale": locale, "title": locale}])
        site.make_node("Both", translations=[{"locale": locale, "title": locale} for locale in ("en", "de")])
    make_products(tenant, "Hidden")
    placed = make_products(tenant, *"abc", category_ids=[str(category.id)])
    make_products(tenant, "Hidden too")
    grants = [
        {"permission": "products:export", "constraint": {"category": [str(category.id)]}},
        {"permission": "nodes:export", "constraint": {"locale": ["de"]}},
    ]
    owner.call("POST", "roles", {"slug": "reporter", "name": "Reporter", "grants": grants})
    reporter, manager = calling.make_caller(tenant, "reporter"), calling.make_caller(tenant, "manager")

    nodes = read(reporter, "nodes/export.ndjson")

    assert [line["id"] for line in read(reporter, "products/export.ndjson")] == placed
    assert [[text["locale"] for text in node["translations"]] for node in nodes] == [["de"], ["de"]]
    for path in ("products/export.ndjson", "products/export.csv", "nodes/export.ndjson", "nodes/export.csv"):
        assert manager.call("GET", path).status_code == 403


@pytest.mark.usefixtures("small_pages")
def test_a_page_is_read_when_the_one_before_was_taken_and_all_cost_the_same(
    tenant: models.Tenant, owner: calling.Caller
) -> None:
    make_products(tenant, *"abcde")
    sizes: list[int] = []
    counts: list[int] = []

    parts = iter(ask(owner, "products/export.ndjson").streaming_content)
    while True:
        with CaptureQueriesContext(connection) as captured:
            part = next(parts, None)
        if part is None:
            break
        sizes.append(part.count(b"\n"))
        counts.append(len(captured))

    assert sizes == [0, 2, 2, 1]  # the head of NDJSON is empty
    assert counts[0] == 0
    assert counts[1] == counts[2] == counts[3] > 1


class Reader(Iterator[bytes]):
    """The parts of an export, taken one by one."""

    def __init__(self, answer: Any) -> None:
        self.answer, self.parts = answer, iter(answer.streaming_content)

    def __next__(self) -> bytes:
        return next(self.parts)


@pytest.fixture
def begun(small_pages: None, committed_db: None, tenant: models.Tenant) -> Iterator[tuple[list[str], Reader]]:
    """The ids of five products and an export of which two were taken."""
    made = make_products(tenant, *"abcde")
    reader = Reader(ask(calling.make_caller(tenant, "owner"), "products/export.ndjson"))
    assert (next(reader), next(reader).count(b"\n")) == (b"", 2)
    yield made, reader
    reader.answer.close()


def elsewhere(work: Callable[[], Any]) -> None:
    """On another connection."""

    def run() -> None:
        try:
            work()
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()


def test_it_shows_one_moment_whatever_is_written_meanwhile(
    tenant: models.Tenant, begun: tuple[list[str], Reader]
) -> None:
    made, reader = begun

    def write() -> None:
        with factories.at_work(tenant):
            services.delete_product(product_id=ids.decode("prod", made[3]))
            shop.update(ids.decode("prod", made[4]), vendor="Changed")
            shop.make_product(title="Late")

    elsewhere(write)
    rest = [json.loads(line) for part in reader for line in part.splitlines()]

    assert [line["id"] for line in rest] == made[2:]
    assert rest[-1]["vendor"] == ""
    with factories.at_work(tenant):
        assert commerce.Product.objects.count() == 5


def test_the_transaction_ends_with_the_answer_or_with_the_client(begun: tuple[list[str], Reader]) -> None:
    _, reader = begun
    assert connection.in_atomic_block
    assert scope.find() is None

    reader.answer.close()

    assert not connection.in_atomic_block
    assert list(reader.parts) == []


def test_within_the_snapshot_nothing_can_be_written_and_the_database_ends_it_in_time(
    tenant: models.Tenant, committed_db: None, settings: Any
) -> None:
    settings.EXPORT_SECONDS = 77

    with factories.at_work(tenant), streaming.snapshot(), connection.cursor() as cursor:
        found = []
        for name in ("transaction_isolation", "transaction_read_only", "transaction_timeout"):
            cursor.execute(f"SHOW {name}")
            found.append(cursor.fetchone()[0])

    assert found == ["repeatable read", "on", "77s"]


def test_what_fails_on_the_way_is_told_in_a_last_line(
    tenant: models.Tenant, begun: tuple[list[str], Reader], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, reader = begun
    monkeypatch.setattr(shown, "product", lambda snapshot: 1 / 0)

    [last] = [json.loads(line) for part in reader for line in part.splitlines()]

    assert last["problem"]["code"] == "internal_error"
    assert "request_id" in last["problem"]
    assert not connection.in_atomic_block
    assert streaming.csv_of(["id"]).failure(last["problem"]).startswith(b"problem,internal_error,")


@pytest.mark.usefixtures("committed_db", "small_pages")
def test_one_that_takes_too_long_is_ended_by_the_database(
    tenant: models.Tenant, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_products(tenant, *"abc")
    settings.EXPORT_SECONDS = 1

    def load_slowly(rows: Any) -> Any:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(30)")

    monkeypatch.setattr("apps.commerce.queries.load_products", load_slowly)
    [last] = read(calling.make_caller(tenant, "owner"), "products/export.ndjson")

    assert last["problem"]["code"] == "internal_error"
    with factories.at_work(tenant):
        assert commerce.Product.objects.count() == 3
