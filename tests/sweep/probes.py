"""Every probe of the API there is: made of its description, so that what comes new is probed without being listed."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tests.sweep import canaries, inputs, mirrored
from tests.sweep.probing import Asking, Probe, Request, Sweep

# What a request may carry beside its address and body: the name of a tenant, and what people and machines come in with.
TENANT_HEADERS = [inputs.Input("header", ("X-Tenant",), kind) for kind in ("tenant", "tenant_id")]
BEARERS = {"admin": ("key", "owner_token"), "store/account": ("customer_token",), "auth": ("key",)}


def probes(sweep: Sweep) -> Iterator[Probe]:
    """All of them."""
    for operation in inputs.operations():
        yield from of_inputs(sweep, operation)
        yield from _of_headers(sweep, operation)


def of_inputs(sweep: Sweep, operation: inputs.Operation) -> Iterator[Probe]:
    """Each input by itself, so that children meet parents of the other tenant and the other way round; then all."""
    asking, other = Asking(sweep.here), sweep.other
    named, texts = [], []
    for found in operation.inputs():
        if found.kind == "text":
            texts += [found] if found.name not in inputs.SAMPLES else []
            continue
        pair = _cursors(sweep, operation) if found.kind == "cursor" else _names(other, found.kind)
        if pair is None:
            continue
        own = asking.own(operation, None if found.kind == "cursor" else found)
        requests = (asking.put(operation, own, found, value) for value in pair)
        yield Probe(operation.name, str(found), *requests)
        if found.kind != "cursor":
            named.append(found)
    if texts:
        yield Probe(
            operation.name, "all texts", *(_all_at_once(asking, operation, texts, each) for each in _both(other))
        )
    if len(named) > 1:
        yield Probe(
            operation.name, "all at once", *(_all_at_once(asking, operation, named, names) for names in _both(other))
        )


def _all_at_once(
    asking: Asking, operation: inputs.Operation, named: list[inputs.Input], names: mirrored.Names
) -> Request:
    """The path and query, and of the body what is needed anyway."""
    request = asking.own(operation)
    for found in named:
        if found.place != "body" or _is_in(request.body, found.path):
            request = asking.put(operation, request, found, names[found.kind])
    return request


def _of_headers(sweep: Sweep, operation: inputs.Operation) -> Iterator[Probe]:
    asking, own = Asking(sweep.here), Asking(sweep.here).own(operation)

    def probe(name: str, values: tuple[str, str]) -> Probe:
        where = inputs.Input("header", (name,), "")
        return Probe(operation.name, f"header {name}", *(asking.put(operation, own, where, value) for value in values))

    for header in TENANT_HEADERS if operation.method == "GET" else TENANT_HEADERS[:1]:
        yield probe(header.name, _names(sweep.other, header.kind))
    area = next((start for start in sorted(BEARERS, reverse=True) if operation.area.startswith(start)), None)
    for kind in BEARERS.get(area or "", ()):
        others, nobodys = (f"Bearer {value}" for value in _names(sweep.other, kind))
        yield probe("Authorization", (others, nobodys))
    if operation.method == "GET" and operation.area.startswith("store/"):
        etag = sweep.ask(Asking(sweep.other).own(operation)).headers.get("ETag")
        if etag is not None:
            yield probe("If-None-Match", (etag, etag[::-1]))


def _names(other: mirrored.Side, kind: str) -> tuple[str, str]:
    """(the other tenant's, nobody's)."""
    return other.names[kind], other.unknown[kind]


def _both(other: mirrored.Side) -> tuple[mirrored.Names, mirrored.Names]:
    return other.names, other.unknown


def _cursors(sweep: Sweep, operation: inputs.Operation) -> tuple[str, str] | None:
    """A cursor the other tenant was given by this operation; None where there are no further pages."""
    request = Asking(sweep.other).own(operation)
    request.query["limit"] = "1"
    found = re.search(r'"next":"[^"]*?cursor=([\w-]+)', sweep.ask(request).text)
    return (found[1], canaries.twin_cursor(found[1], sweep.other.words.mark)) if found else None


def _is_in(body: object, path: inputs.Path) -> bool:
    for part in path:
        places = body if isinstance(body, dict) else range(len(body)) if isinstance(body, list) else ()
        if part not in places:
            return False
        body = body[part]  # type: ignore[index]
    return True
