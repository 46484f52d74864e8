"""Keyset pages: every row once, in order, forwards and backwards, whatever comes or goes meanwhile."""

import base64
from typing import Any

import orjson
import pytest
from django.test import RequestFactory

from apps.kernel import errors, pagination
from apps.tenants.models import Tenant

pytestmark = pytest.mark.usefixtures("db", "over_all_tenants")


def page(**parameters: Any) -> pagination.Page[Tenant]:
    request = RequestFactory().get("/things", {"limit": 3} | {key: value for key, value in parameters.items() if value})
    order = ("-name", "-id") if parameters.pop("down", None) else ("name", "id")
    return pagination.paginate(Tenant.objects.all(), order=order, request=request)


@pytest.fixture
def names() -> list[str]:
    # Equal names: only the id tells them apart.
    made = [Tenant.objects.create(slug=f"t{number}", name=f"name {number // 3}") for number in range(10)]
    return [tenant.slug for tenant in sorted(made, key=lambda tenant: (tenant.name, tenant.id))]


def test_walking_forwards_and_back_meets_every_row_once(names: list[str]) -> None:
    forwards, cursor, last = [], None, page()
    while True:
        last = page(cursor=cursor)
        forwards += [tenant.slug for tenant in last.rows]
        if last.next is None:
            break
        cursor = last.next
    backwards = [tenant.slug for tenant in last.rows]
    while last.previous:
        last = page(cursor=last.previous)
        backwards = [tenant.slug for tenant in last.rows] + backwards

    assert forwards == backwards == names


def test_a_new_row_does_not_shift_the_next_page(names: list[str]) -> None:
    first = page()
    Tenant.objects.create(slug="early", name="a")

    second = page(cursor=first.next)

    assert [tenant.slug for tenant in [*first.rows, *second.rows]] == names[:6]


def test_descending_order(names: list[str]) -> None:
    request = RequestFactory().get("/things", {"limit": 100})

    rows = pagination.paginate(Tenant.objects.all(), order=("-name", "-id"), request=request).rows

    assert [tenant.slug for tenant in rows] == names[::-1]


def test_the_count_comes_only_when_asked_for(names: list[str]) -> None:
    assert page().count is None
    assert page(count="exact").count == 10


@pytest.mark.parametrize(
    ("parameter", "value"),
    [("limit", "0"), ("limit", "101"), ("limit", "x"), ("limit", "²"), ("count", "all"), ("cursor", "nonsense"),
     ("cursor", "WyJuIiwieCIsMV0"), ("cursor", "ä"), ("cursor", "W10")],
)  # fmt: skip
def test_a_wrong_parameter_is_named(names: list[str], parameter: str, value: str) -> None:
    with pytest.raises(errors.ValidationFailed) as refused:
        page(**{parameter: value})

    assert refused.value.problems[0].pointer == f"/{parameter}"


def test_a_cursor_of_another_order_is_refused(names: list[str]) -> None:
    request = RequestFactory().get("/things", {"cursor": page().next})

    with pytest.raises(errors.ValidationFailed, match="was not made by this list"):
        pagination.paginate(Tenant.objects.all(), order=("-name", "-id"), request=request)


@pytest.mark.parametrize(
    ("order", "values"),
    [
        (("name", "id"), [None, None]),
        (("name", "id"), ["a\x00", "01890a5d-ac96-774b-bcce-b302099a8057"]),
        (("name", "id"), [5, "01890a5d-ac96-774b-bcce-b302099a8057"]),
        (("name", "id"), [[], "01890a5d-ac96-774b-bcce-b302099a8057"]),
        (("name", "id"), ["a", 7]),
        (("created_at", "id"), ["2026-01-01T00:00:00", "01890a5d-ac96-774b-bcce-b302099a8057"]),
        (("created_at", "id"), ["2026-01-01", "01890a5d-ac96-774b-bcce-b302099a8057"]),
        (("created_at", "id"), ["9999-12-31T23:59:59-14:00", "01890a5d-ac96-774b-bcce-b302099a8057"]),
        (("created_at", "id"), [10**18, "01890a5d-ac96-774b-bcce-b302099a8057"]),
    ],
)
def test_a_cursor_with_values_no_row_has_is_refused(order: tuple[str, ...], values: list[Any]) -> None:
    cursor = base64.urlsafe_b64encode(orjson.dumps(["n", ",".join(order), *values])).decode().rstrip("=")
    request = RequestFactory().get("/things", {"cursor": cursor})

    with pytest.raises(errors.ValidationFailed) as refused:
        pagination.paginate(Tenant.objects.all(), order=order, request=request)

    assert refused.value.problems[0].code == "invalid_cursor"


def test_walking_by_a_moment(names: list[str]) -> None:
    request = RequestFactory().get("/things", {"limit": 3})
    first = pagination.paginate(Tenant.objects.all(), order=("created_at", "id"), request=request)
    request = RequestFactory().get("/things", {"limit": 100, "cursor": first.next})
    rest = pagination.paginate(Tenant.objects.all(), order=("created_at", "id"), request=request)

    assert len({tenant.slug for tenant in [*first.rows, *rest.rows]}) == 10


def test_links_keep_the_other_parameters(names: list[str]) -> None:
    request = RequestFactory().get("/things", {"limit": 3, "locale": "de", "cursor": "old"})

    assert pagination.link(request, "new") == "http://testserver/things?limit=3&locale=de&cursor=new"
    assert pagination.link(request, None) is None


@pytest.mark.parametrize("how", ["estimate", "exact"])
def test_what_can_have_no_rows_is_counted_without_asking(how: str) -> None:
    assert pagination.count_rows(Tenant.objects.filter(id__in=[]), how) == 0
