"""Exactly these events, and as many queries for many objects as for few; where not, what differs is listed."""

from __future__ import annotations

import json
import re
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.tenants.models import Tenant
from rustok.testing import recording

# A type, or a type with what its data must have: members that are not named may be anything.
type Expected = str | tuple[str, Mapping[str, Any]]

_VALUES = re.compile(r"'(?:[^']|'')*'|\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\b\d+\b")
_LIST = re.compile(r"\(\?(?:, ?\?)*\)(?:, ?\(\?(?:, ?\?)*\))*")


def assert_events(
    tenant: Tenant, expected: Sequence[Expected], *, of: uuid.UUID | None = None, after: int = 0
) -> list[recording.Recorded]:
    """The tenant's log has exactly these events in this order, and nothing else; returns them.

    `of` looks at one aggregate only, `after` at what came after `recording.mark(tenant)`.
    """
    found = recording.events_of(tenant, of=of, after=after)
    wanted = [each if isinstance(each, tuple) else (each, {}) for each in expected]
    lines, is_right = [], len(found) == len(wanted)
    for number in range(max(len(found), len(wanted))):
        event = found[number] if number < len(found) else None
        want = wanted[number] if number < len(wanted) else None
        differences = _differences(event, want)
        is_right = is_right and not differences
        lines += [f"  {number + 1}. {event.type}"] if event and not differences else differences
    if not is_right:
        raise AssertionError("\n".join([f"{len(wanted)} events were expected, {len(found)} are recorded:", *lines]))
    return found


@contextmanager
def expect_events(tenant: Tenant, expected: Sequence[Expected], *, of: uuid.UUID | None = None) -> Iterator[None]:
    """The block records exactly these events of the tenant, and nothing else."""
    before = recording.mark(tenant)
    yield
    assert_events(tenant, expected, of=of, after=before)


def _differences(event: recording.Recorded | None, want: tuple[str, Mapping[str, Any]] | None) -> list[str]:
    if event is None:
        return [f"- {want[0]} {_json(want[1])}"] if want else []
    if want is None:
        return [f"+ {event.type} {_json(event.data)}"]
    if event.type != want[0]:
        return [f"- {want[0]} {_json(want[1])}", f"+ {event.type} {_json(event.data)}"]
    missing = list(_missing(event.data, want[1], event.type))
    return [*missing, f"+ {event.type} {_json(event.data)}"] if missing else []


def _missing(found: Any, wanted: Any, place: str) -> Iterator[str]:
    """What of `wanted` is not in `found`: mappings may have more members, all else is equal."""
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        for name, value in wanted.items():
            if name in found:
                yield from _missing(found[name], value, f"{place}.{name}")
            else:
                yield f"- {place}.{name} is missing, expected {_json(value)}"
    elif isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        for number, (here, there) in enumerate(zip(found, wanted, strict=True)):
            yield from _missing(here, there, f"{place}[{number}]")
    elif found != wanted:
        yield f"- {place} is {_json(found)}, expected {_json(wanted)}"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)


def count_queries(ask: Callable[[], object]) -> int:
    """How many statements the database gets."""
    return len(_statements(ask))


def assert_same_queries(*asks: Callable[[], object]) -> int:
    """Each of them sends as many statements as the first; returns how many.

    What is read once per process, such as which tenant a host is, is better asked for before.
    """
    first, *others = (_statements(ask) for ask in asks)
    for statements in others:
        _compare(first, statements)
    return len(first)


def assert_constant_queries(
    ask: Callable[[], object], make: Callable[[int], object], *, few: int = 2, many: int = 20
) -> int:
    """`ask` sends as many statements for many objects as for few; `make(number)` makes one. Returns how many it sends.

    It is asked once before it counts: what a process reads once is not its cost.
    """
    for number in range(few):
        make(number)
    ask()
    before = _statements(ask)
    for number in range(few, many):
        make(number)
    _compare(before, _statements(ask))
    return len(before)


def _statements(ask: Callable[[], object]) -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        ask()
    return [query["sql"] for query in captured]


def _compare(before: list[str], after: list[str]) -> None:
    if len(before) == len(after):
        return
    few, many = (Counter(_shape(statement) for statement in statements) for statements in (before, after))
    lines = [f"  {few[shape]} -> {many[shape]} times: {shape}" for shape in few | many if few[shape] != many[shape]]
    raise AssertionError("\n".join([f"{len(before)} statements became {len(after)}:", *lines]))


def _shape(statement: str) -> str:
    """The statement without its values, however many there are."""
    return _LIST.sub("(?)", _VALUES.sub("?", " ".join(statement.split())))
