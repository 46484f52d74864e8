"""Keyset pages: page 2,000 costs what page 1 costs, and rows that come or go never shift a page."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial, reduce
from operator import gt, itemgetter, lt
from typing import Any

import orjson
from django.core.exceptions import ValidationError
from django.db.models import F, Model, Q, QuerySet
from django.http import HttpRequest
from drf_spectacular.utils import OpenApiParameter
from pydantic_core import PydanticCustomError
from rest_framework.response import Response

from apps.kernel import errors, validation, wording

DEFAULT_LIMIT = 20
MAXIMUM_LIMIT = 100
COUNTS = ("none", "estimate", "exact")
PARAMETERS = [
    OpenApiParameter(
        "limit",
        {"type": "integer", "minimum": 1, "maximum": MAXIMUM_LIMIT, "default": DEFAULT_LIMIT},
        description=f"1 to {MAXIMUM_LIMIT} rows, {DEFAULT_LIMIT} by default.",
    ),
    OpenApiParameter("cursor", str, description="From the next or prev link of another page."),
    OpenApiParameter(
        "count", str, enum=COUNTS, description="Whether to count all rows: not, roughly and at once, or exactly."
    ),
]


@dataclass(frozen=True, slots=True)
class Page[Row]:
    """`rows` in order; `next` and `previous` are cursors, None at the ends; `count` only when asked for."""

    rows: list[Row]
    next: str | None
    previous: str | None
    count: int | None


def read_limit(request: HttpRequest) -> int:
    """The `limit` parameter, 1 to 100, 20 when absent. Raises ValidationFailed."""
    text = request.GET.get("limit", str(DEFAULT_LIMIT))
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= MAXIMUM_LIMIT:
        raise errors.ValidationFailed.for_field(
            "/limit",
            "invalid_limit",
            wording.say('"{value}" is not a whole number from 1 to {maximum}.', value=text[:60], maximum=MAXIMUM_LIMIT),
        )
    return int(text)


def read_count(request: HttpRequest) -> str:
    """How the rows are to be counted: none, estimate or exact. Raises ValidationFailed for another word."""
    text = request.GET.get("count", "none")
    if text not in COUNTS:
        said = wording.say('"{value}": use count=none, count=estimate or count=exact.', value=text[:60])
        raise errors.ValidationFailed.for_field("/count", "invalid_count", said)
    return text


def count_rows(queryset: QuerySet[Any, Any], how: str) -> int | None:
    """The number of rows: None, as the planner of the database thinks without reading them, or counted."""
    if how == "exact":
        return queryset.count()
    if how == "estimate":
        plan = queryset.order_by().explain(format="json")
        # Without a plan Django itself saw that no row can fit, and asked nobody.
        return int(orjson.loads(plan)[0]["Plan"]["Plan Rows"]) if plan else 0
    return None


def paginate[Row: Model](queryset: QuerySet[Row, Row], *, order: tuple[str, ...], request: HttpRequest) -> Page[Row]:
    """One page of `queryset` by `limit`, `cursor` and `count` of the request.

    `order` is a tuple of fields that together are unique and not null, each ascending or, with a leading `-`,
    descending; all in one direction serves an index. Raises ValidationFailed for a cursor not made here.
    """
    limit = read_limit(request)
    fields: list[Any] = [_field(queryset.model, name.removeprefix("-")) for name in order]
    readers = [partial(_read_value, field) for field in fields]
    backwards, after = _read_cursor(request.GET.get("cursor"), order, readers)
    count = count_rows(queryset, read_count(request))
    # Whether each field falls, read in the direction of the page.
    falls = {name.removeprefix("-"): name.startswith("-") != backwards for name in order}
    if after is not None:
        queryset = queryset.filter(_beyond(falls, after))
    ordering = [F(name).desc() if down else F(name).asc() for name, down in falls.items()]
    rows = list(queryset.order_by(*ordering)[: limit + 1])
    return _page(rows, limit, count, order, backwards=backwards, is_first=after is None, value_of=_value)


def paginate_all(documents: list[dict[str, Any]], *, order: str, request: HttpRequest) -> Page[dict[str, Any]]:
    """The same of what is all at hand: `order` is a member that is text and unique, with a leading `-` descending."""
    limit, name = read_limit(request), order.removeprefix("-")
    backwards, after = _read_cursor(request.GET.get("cursor"), (order,), [_read_text])
    count = None if read_count(request) == "none" else len(documents)
    is_falling = order.startswith("-") != backwards
    rows = sorted(documents, key=itemgetter(name), reverse=is_falling)
    if after is not None:
        is_beyond = lt if is_falling else gt
        rows = [row for row in rows if is_beyond(row[name], after[0])]
    return _page(
        rows[: limit + 1],
        limit,
        count,
        (order,),
        backwards=backwards,
        is_first=after is None,
        value_of=dict.__getitem__,
    )


def _page[Row](
    rows: list[Row],
    limit: int,
    count: int | None,
    order: tuple[str, ...],
    *,
    backwards: bool,
    is_first: bool,
    value_of: Callable[[Any, str], Any],
) -> Page[Row]:
    """Of rows in the direction of the page, one more than the limit if there are more."""
    more = len(rows) > limit
    rows = rows[:limit]
    if backwards:
        rows.reverse()
    has_next = bool(rows) and (more or backwards)
    has_previous = bool(rows) and (more if backwards else not is_first)

    def cursor(direction: str, row: Row) -> str:
        return _write_cursor(direction, order, [value_of(row, name.removeprefix("-")) for name in order])

    return Page(
        rows, cursor("n", rows[-1]) if has_next else None, cursor("p", rows[0]) if has_previous else None, count
    )


def response(request: HttpRequest, page: Page[Any], rows: list[Any]) -> Response:
    """`{"data": [...], "next": url|null, "prev": url|null, "count": int|null}`, and the same links as a Link header."""
    named = links(request, page)
    shown = Response({"data": rows, **named, "count": page.count})
    if header := link_header(named):
        shown["Link"] = header
    return shown


def links(request: HttpRequest, page: Page[Any]) -> dict[str, str | None]:
    """The addresses of the next and the previous page, None at the ends."""
    return {"next": link(request, page.next), "prev": link(request, page.previous)}


def link_header(links: Mapping[str, str | None]) -> str:
    """The same as a Link header (RFC 8288); empty without any."""
    return ", ".join(f'<{url}>; rel="{relation}"' for relation, url in links.items() if url)


def link(request: HttpRequest, cursor: str | None) -> str | None:
    """The request's own URL with another cursor, or None."""
    if cursor is None:
        return None
    parameters = request.GET.copy()
    parameters["cursor"] = cursor
    return request.build_absolute_uri(f"{request.path}?{parameters.urlencode()}")


def _beyond(falls: Mapping[str, bool], values: list[Any]) -> Q:
    """(a, b, c) beyond (x, y, z), written out; the first term lets Postgres start at the right place in the index."""
    condition, names = Q(), list(falls)
    for depth, name in enumerate(names):
        equal = {names[index]: values[index] for index in range(depth)}
        condition |= Q(**equal, **{f"{name}__{_operator(falls[name])}": values[depth]})
    return Q(**{f"{names[0]}__{_operator(falls[names[0]])}e": values[0]}) & condition


def _operator(is_falling: bool) -> str:
    return "lt" if is_falling else "gt"


def _value(row: Any, name: str) -> Any:
    return reduce(getattr, name.split("__"), row)


def _field(model: Any, name: str) -> Any:
    """The field of a name that may lead through others, such as location__code."""
    *through, last = name.split("__")
    for each in through:
        model = model._meta.get_field(each).related_model
    return model._meta.get_field(last)


def _write_cursor(direction: str, order: tuple[str, ...], values: list[Any]) -> str:
    return base64.urlsafe_b64encode(orjson.dumps([direction, ",".join(order), *values])).decode().rstrip("=")


def _read_cursor(
    text: str | None, order: tuple[str, ...], readers: Sequence[Callable[[Any], Any]]
) -> tuple[bool, list[Any] | None]:
    if text is None:
        return False, None
    try:
        parts = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        direction, made_for, *values = parts
        if direction in {"n", "p"} and made_for == ",".join(order):
            return direction == "p", [read(value) for read, value in zip(readers, values, strict=True)]
    # Refused below, like a cursor of another list.
    except (  # noqa: S110
        binascii.Error,
        ValueError,
        TypeError,
        ArithmeticError,
        ValidationError,
        PydanticCustomError,
    ):
        pass
    raise errors.ValidationFailed.for_field(
        "/cursor",
        "invalid_cursor",
        wording.say("the cursor was not made by this list; follow the next and prev links instead."),
    )


def _read_text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _read_value(field: Any, value: Any) -> Any:
    """The value of a row, spelled as `_write_cursor` spells it. Raises ValueError and others for anything else."""
    found = field.to_python(value)
    if isinstance(found, datetime):
        if found.tzinfo is None:
            raise ValueError
        validation.to_moment(found)
    validation.check_json(value)
    if found is None or orjson.dumps(found) != orjson.dumps(value):
        raise ValueError
    return found
