"""Keyset pages: page 2,000 costs what page 1 costs, and rows that come or go never shift a page."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import orjson
from django.core.exceptions import ValidationError
from django.db.models import F, Model, Q, QuerySet
from django.http import HttpRequest
from pydantic_core import PydanticCustomError

from apps.kernel import errors, validation, wording

DEFAULT_LIMIT = 20
MAXIMUM_LIMIT = 100


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
            wording.say('"{value}" is not a whole number from 1 to {limit}.', value=text, limit=MAXIMUM_LIMIT),
        )
    return int(text)


def read_wants_count(request: HttpRequest) -> bool:
    """Whether `count=exact` was asked for. Raises ValidationFailed for another word."""
    text = request.GET.get("count", "none")
    if text not in {"none", "exact"}:
        raise errors.ValidationFailed.for_field(
            "/count", "invalid_count", wording.say('"{value}": use count=exact or count=none.', value=text)
        )
    return text == "exact"


def paginate[Row: Model](queryset: QuerySet[Row, Row], *, order: tuple[str, ...], request: HttpRequest) -> Page[Row]:
    """One page of `queryset` by `limit`, `cursor` and `count` of the request.

    `order` is a tuple of fields that together are unique and not null, all ascending or, each with a leading `-`,
    all descending: one row comparison then serves the index. Raises ValidationFailed for a cursor not made here.
    """
    limit = read_limit(request)
    names = tuple(name.removeprefix("-") for name in order)
    descending = order[0].startswith("-")
    backwards, after = _read_cursor(request.GET.get("cursor"), order, queryset.model)
    count = queryset.count() if read_wants_count(request) else None
    reverse = descending != backwards
    if after is not None:
        queryset = queryset.filter(_beyond(names, after, less=reverse))
    ordering = [F(name).desc() if reverse else F(name).asc() for name in names]
    rows = list(queryset.order_by(*ordering)[: limit + 1])
    more = len(rows) > limit
    rows = rows[:limit]
    if backwards:
        rows.reverse()
    has_next = bool(rows) and (more or backwards)
    has_previous = bool(rows) and (after is not None if not backwards else more)
    return Page(
        rows,
        _write_cursor("n", order, rows[-1]) if has_next else None,
        _write_cursor("p", order, rows[0]) if has_previous else None,
        count,
    )


def link(request: HttpRequest, cursor: str | None) -> str | None:
    """The request's own URL with another cursor, or None."""
    if cursor is None:
        return None
    parameters = [(key, value) for key, value in request.GET.items() if key != "cursor"]
    return request.build_absolute_uri(f"{request.path}?{urlencode([*parameters, ('cursor', cursor)])}")


def _beyond(names: tuple[str, ...], values: list[Any], *, less: bool) -> Q:
    """(a, b, c) < (x, y, z) written out; the first term lets Postgres start at the right place in the index."""
    operator = "lt" if less else "gt"
    condition = Q()
    for depth, name in enumerate(names):
        equal = {names[index]: values[index] for index in range(depth)}
        condition |= Q(**equal, **{f"{name}__{operator}": values[depth]})
    return Q(**{f"{names[0]}__{operator}e": values[0]}) & condition


def _write_cursor(direction: str, order: tuple[str, ...], row: Model) -> str:
    values = [getattr(row, name.removeprefix("-")) for name in order]
    return base64.urlsafe_b64encode(orjson.dumps([direction, ",".join(order), *values])).decode().rstrip("=")


def _read_cursor(text: str | None, order: tuple[str, ...], model: type[Model]) -> tuple[bool, list[Any] | None]:
    if text is None:
        return False, None
    try:
        parts = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        direction, made_for, *values = parts
        if direction in {"n", "p"} and made_for == ",".join(order) and len(values) == len(order):
            fields: list[Any] = [model._meta.get_field(name.removeprefix("-")) for name in order]
            return direction == "p", [_read_value(field, value) for field, value in zip(fields, values, strict=True)]
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
