"""Every list keeps the same promises: pages, counts, filters, sorts, fields, expansions, and what it refuses."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.db.models import UniqueConstraint
from django.test.utils import CaptureQueriesContext
from django.urls import Resolver404, resolve

from apps.kernel import filters, listing, pagination
from apps.tenants import models as tenants
from tests import factories
from tests.accounts import calling
from tests.contracts.lists import CASES, Case
from tests.contracts.test_openapi import document

ROWS = pagination.DEFAULT_LIMIT + 3
WRONG = "x" * 300
FITS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": lambda value, wanted: value == wanted,
    "ne": lambda value, wanted: value != wanted,
    "in": lambda value, wanted: value in wanted,
    "gt": lambda value, wanted: value is not None and value > wanted,
    "gte": lambda value, wanted: value is not None and value >= wanted,
    "lt": lambda value, wanted: value is not None and value < wanted,
    "lte": lambda value, wanted: value is not None and value <= wanted,
}


def operations() -> Iterator[tuple[str, str]]:
    """Operation and address of each GET that has a `limit`."""
    for path, methods in document()["paths"].items():
        for method, operation in methods.items():
            names = {parameter["name"] for parameter in operation.get("parameters", ())} if method == "get" else set()
            if "limit" in names:
                yield operation["operationId"], path


ADDRESSES = dict(operations())


def test_every_list_is_here_and_declared() -> None:
    declared = {
        operation["operationId"]
        for path, methods in document()["paths"].items()
        if (operation := methods.get("get")) and listing_of(path) is not None
    }

    assert set(CASES) == set(ADDRESSES) == declared


@pytest.mark.parametrize("operation", [name for name, case in CASES.items() if case.table])
def test_an_index_of_the_tenant_carries_every_sort(operation: str) -> None:
    table, declared = CASES[operation].table, listing_of(ADDRESSES[operation])
    assert table is not None
    assert declared is not None
    unique = [tuple(rule.fields) for rule in table._meta.constraints if isinstance(rule, UniqueConstraint)]
    indexes = [tuple(name.lstrip("-") for name in index.fields) for index in table._meta.indexes]

    for columns in map(str.split, declared.sorts.values()):
        fields = [table._meta.get_field(name) for name in columns]
        assert not any(each.null for each in fields), columns
        wanted = (*(name for name in columns if name != "id"), "id")
        carried = {fields[1:] for fields in indexes if fields[0] in {"tenant", "tenant_id"}}
        alone = {fields[1:] for fields in unique if fields[0] == "tenant"}
        assert wanted in carried | alone or wanted[:-1] in alone, columns


def listing_of(path: str) -> listing.Listing | None:
    """What the view behind an address declares."""
    try:
        view = resolve(re.sub(r"\{\w+\}", "x", path)).func
    except Resolver404:
        return None
    return getattr(getattr(view, "cls", None), "listing", None)


@dataclass
class List:
    """A list with rows in it, and somebody who may see them all."""

    case: Case
    path: str
    listing: listing.Listing
    caller: calling.Caller

    def ask(self, *, answers: int = 200, **parameters: Any) -> Any:
        answer = self.caller.call("GET", f"{self.path}?{urlencode({**self.case.query, **parameters})}")
        assert answer.status_code == answers, answer.content
        return answer

    def page(self, **parameters: Any) -> Any:
        return self.ask(**parameters).json()

    def follow(self, address: str) -> Any:
        answer = self.caller.call("GET", address.removeprefix("http://testserver"))
        assert answer.status_code == 200, answer.content
        return answer.json()

    def refusal(self, **parameters: Any) -> Any:
        """The one problem a request is refused for."""
        [problem] = self.ask(answers=422, **parameters).json()["errors"]
        return problem

    def names(self, page: Any) -> list[str]:
        return [self.case.identify(row) for row in page["data"]]


@pytest.fixture
def tenant(committed_db: None) -> tenants.Tenant:
    return factories.make_tenant(default_locale="en", locales=["de"], currency="EUR")


@pytest.mark.parametrize("operation", CASES)
def test_the_list_keeps_its_promises(operation: str, tenant: tenants.Tenant) -> None:
    case, path = CASES[operation], ADDRESSES[operation]
    caller = calling.make_caller(tenant, "owner")
    if case.token:
        caller.headers["Authorization"] = f"Bearer {case.token(tenant)}"
    declared = listing_of(path)
    assert declared is not None
    with factories.at_work(tenant):
        case.prepare()
        if case.make:
            case.make(ROWS)
        what = List(case, path.format_map(dict(case.parts())), declared, caller)
        samples = {name: sample() for name, sample in case.samples.items()}

    check_pages_and_counts(what)
    check_filters(what, samples)
    check_refusals(what)
    check_documents(what)
    check_queries(what)
    for sort in what.listing.sorts:
        check_walk(what, tenant, sort)
        check_walk(what, tenant, f"-{sort}")
    if not what.listing.sorts:
        check_walk(what, tenant, None)


def check_pages_and_counts(what: List) -> None:
    answer = what.ask()
    page, whole = answer.json(), what.page(limit=100, count="exact")

    assert set(page) == {"data", "next", "prev", "count"}
    assert len(page["data"]) == min(pagination.DEFAULT_LIMIT, len(whole["data"]))
    assert (page["count"], whole["count"]) == (None, len(whole["data"]))
    assert what.page(count="none")["count"] is None
    assert what.page(count="estimate")["count"] >= 0
    check_link_header(what.ask(limit=1))
    middle = what.ask(limit=1, cursor=re.search(r"cursor=([\w-]+)", what.page(limit=1)["next"])[1])  # type: ignore[index]
    assert middle.json()["prev"]
    check_link_header(middle)


def check_link_header(answer: Any) -> None:
    page = answer.json()
    header = {relation: url for url, relation in re.findall(r'<([^>]+)>; rel="(\w+)"', answer.get("Link", ""))}
    assert header == {relation: page[relation] for relation in ("next", "prev") if page[relation]}


def check_walk(what: List, tenant: tenants.Tenant, sort: str | None) -> None:
    """Every row once and in order, there and back, whatever comes in between."""
    order = {} if sort is None else {"sort": sort}
    before = what.page(limit=100, **order)
    limit = 7 if what.case.make else 2
    pages = [what.page(limit=limit, **order)]
    if what.case.make:
        with factories.at_work(tenant):
            what.case.make(1)
    while pages[-1]["next"]:
        pages.append(what.follow(pages[-1]["next"]))
    back = [pages[-1]]
    while back[-1]["prev"]:
        back.append(what.follow(back[-1]["prev"]))

    old = what.names(before)
    there = [name for page in pages for name in what.names(page)]
    assert len(old) == len(set(old)) > limit
    assert len(there) == len(set(there))
    assert [name for name in there if name in old] == old
    again = [name for page in reversed(back) for name in what.names(page)]
    assert len(again) == len(set(again))
    assert [name for name in again if name in old] == old
    if sort is not None:
        after = what.names(what.page(limit=100, **order))
        assert what.names(what.page(limit=100, sort=sort[1:] if sort[0] == "-" else f"-{sort}")) == after[::-1]
        values = [row[sort.lstrip("-")] for row in before["data"] if sort.lstrip("-") in row]
        assert values == sorted(values, reverse=sort[0] == "-")


def check_filters(what: List, samples: dict[str, str]) -> None:
    whole = what.page(limit=100)
    everything = what.names(whole)
    for name, declared in what.listing.filters.items():
        shown = [] if name in samples else sorted({row[name] for row in whole["data"]} - {None, ""}, key=str)
        assert shown or name in samples, f"no row shows {name}, and no sample is given"
        value = shown[len(shown) // 2] if shown else samples[name]
        sizes = []
        for parameter, operator in declared.names(name).items():
            wanted = [value, *shown[:1]] if operator == "in" else value
            found = what.names(what.page(limit=100, **{parameter: written(wanted)}))
            if shown:
                fitting = [row for row in whole["data"] if FITS[operator](row[name], wanted)]
                assert found == [what.case.identify(row) for row in fitting], parameter
            else:
                assert [each for each in everything if each in found] == found, parameter
            sizes.append(len(found))
            problem = what.refusal(**{parameter: WRONG})
            assert (problem["pointer"], problem["code"]) == (f"/{parameter}", "invalid_filter")
        assert any(0 < size < len(everything) for size in sizes), name


def written(value: Any) -> str:
    """As a parameter says it."""
    if isinstance(value, list):
        return ",".join(map(written, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def check_refusals(what: List) -> None:
    for limit in ("0", "101", "x", "-1", "1.5", ""):
        assert what.refusal(limit=limit)["pointer"] == "/limit"
    assert len(what.page(limit=100)["data"]) > 0
    assert what.refusal(count="all")["pointer"] == "/count"
    assert what.refusal(cursor="x")["pointer"] == "/cursor"
    problem = what.refusal(limitt="1")
    assert (problem["pointer"], problem["code"]) == ("/limitt", "unknown_parameter")
    assert 'Did you mean "limit"?' in problem["detail"]
    twice = what.caller.call("GET", f"{what.path}?{urlencode({**what.case.query, 'limit': 1})}&limit=2")
    assert (twice.status_code, twice.json()["errors"][0]["code"]) == (422, "repeated_parameter")
    for parameter, known in (
        ("sort", what.listing.sorts),
        ("fields", what.listing.members),
        ("expand", what.listing.expansions),
    ):
        problem = what.refusal(**{parameter: f"{min(known)}x" if known else "x"})
        assert problem["pointer"] == f"/{parameter}"
        assert problem["code"] == (f"unknown_{parameter}" if known else "unknown_parameter")
        assert not known or f'Did you mean "{min(known)}"?' in problem["detail"]


def check_documents(what: List) -> None:
    if not what.listing.members:
        return
    whole = what.page()["data"]
    assert {name for row in whole for name in row} == what.listing.members
    picked = sorted(what.listing.members)[:2]
    assert what.page(fields=",".join(picked))["data"] == [{name: row[name] for name in picked} for row in whole]
    for name, expansion in what.listing.expansions.items():
        rows = what.page(expand=name)["data"]
        assert any(row[name] for row in rows), name
        assert [{key: value for key, value in row.items() if key != name} for row in rows] == whole
        assert set(what.page(expand=name, fields=picked[0])["data"][0]) == {name, picked[0]}
        problem = what.refusal(expand=".".join([name] * (listing.MAXIMUM_DEPTH + 1)))
        assert (problem["pointer"], problem["code"]) == ("/expand", "expand_too_deep")
        if expansion.listing is None:
            assert what.refusal(expand=f"{name}.{name}")["code"] == "unknown_expand"


def check_queries(what: List) -> None:
    """As many for two rows as for twenty, expansions of expansions included."""
    order = {"sort": "-created_at"} if "created_at" in what.listing.sorts else {}
    for parameters in ({}, *({"expand": path} for path in expansions(what.listing))):
        what.page(limit=20, **order, **parameters)
        counts = []
        for limit in (2, 20):
            with CaptureQueriesContext(connection) as captured:
                what.page(limit=limit, **order, **parameters)
            # What is cached of the tenant is renewed by one request now and then.
            counts.append(sum('FROM "tenants_tenant"' not in query["sql"] for query in captured))
        assert counts[0] == counts[1], f"{parameters}: {[query['sql'][:200] for query in captured]}"


def expansions(of: listing.Listing, depth: int = 2) -> Iterator[str]:
    for name, expansion in of.expansions.items():
        yield name
        if expansion.listing is not None and depth > 1:
            yield from (f"{name}.{path}" for path in expansions(expansion.listing(), depth - 1))


def test_the_position_of_children_sorts_only_below_a_parent(tenant: tenants.Tenant) -> None:
    caller = calling.make_caller(tenant, "owner")
    with factories.at_work(tenant):
        CASES["store_content_list"].make(1)  # type: ignore[misc]

    assert caller.call("GET", "/api/v1/store/content/post?parent=root&sort=-position").status_code == 200
    refused = caller.call("GET", "/api/v1/store/content/post?sort=position")
    assert refused.json()["errors"][0]["code"] == "unknown_sort"


@pytest.mark.parametrize("address", ["tenant", "me/permissions", "/api/v1/auth/me", "/api/v1/auth/sessions"])
def test_what_is_no_list_refuses_parameters_too(tenant: tenants.Tenant, address: str) -> None:
    caller = calling.make_caller(tenant, "owner")

    assert caller.call("GET", address).status_code == 200
    refused = caller.call("GET", f"{address}?limit=3")
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (422, "unknown_parameter")


def test_what_is_expanded_is_what_the_caller_may_read(tenant: tenants.Tenant) -> None:
    caller = calling.make_caller(tenant, "owner")
    created = caller.call("POST", "roles", {"slug": "picker", "name": "Picker", "grants": [
        {"permission": "products:list"}, {"permission": "products:read"}, {"permission": "users:list"},
    ]})  # fmt: skip
    assert created.status_code == 201, created.content
    with factories.at_work(tenant):
        CASES["product_list"].make(1)  # type: ignore[misc]
    picker = calling.make_caller(tenant, "picker")

    [shown] = caller.call("GET", "products?expand=categories").json()["data"]
    [hidden] = picker.call("GET", "products?expand=categories").json()["data"]

    assert [category["id"] for category in shown["categories"]] == shown["category_ids"]
    assert hidden["categories"] == []
    members = picker.call("GET", "members?expand=held_roles").json()["data"]
    assert members
    assert all(member["held_roles"] == [] for member in members)


def test_filters_take_what_they_say() -> None:
    assert filters.number("-12") == -12
    for read, wrong in (
        (filters.number, "1.0"), (filters.number, "9" * 17), (filters.number, "²"), (filters.boolean, "True"),
        (filters.moment, "2026-01-01"), (filters.moment, "2026-01-01T00:00:00"), (filters.moment, "0001-01-01T00:00Z"),
        (filters.moment, "2026-13-01T00:00:00Z"),
    ):  # fmt: skip
        with pytest.raises(filters.Refused):
            read(wrong)
    with pytest.raises(Exception, match="at most 100 entries"):
        filters.words().value("sku__in", "in", ",".join("x" * 101))
