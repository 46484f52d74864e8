"""Every probe of the API there is: made of its description, so that what comes new is probed without being listed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from tests.sweep import canaries, inputs, mirrored
from tests.sweep.probing import Asking, Probe, Request, Sweep

# What a request may carry beside its address and body: the name of a tenant, and what people and machines come in with.
TENANT_HEADERS = [inputs.Input("header", ("X-Tenant",), kind) for kind in ("tenant", "tenant_id")]
# Beside the "*" of all edits: no version, and one that nobody has read. Of reads: one that is not to be sent again.
VERSIONS: dict[str, tuple[str, tuple[str | None, ...]]] = {
    "GET": ("If-None-Match", ("*",)),
    **dict.fromkeys(("PUT", "PATCH", "DELETE"), ("If-Match", (None, '"v999999"'))),
}
BEARERS = {"admin": ("key", "owner_token"), "store/account": ("customer_token",), "auth": ("key",)}


def probes(sweep: Sweep) -> Iterator[Probe]:
    """All of them."""
    for operation in inputs.operations():
        yield from of_inputs(sweep, operation)
        yield from of_keys(sweep, operation)
        yield from _of_versions(sweep, operation)
        yield from _of_headers(sweep, operation)


def of_inputs(sweep: Sweep, operation: inputs.Operation) -> Iterator[Probe]:
    """Each input by itself, so that children meet parents of the other tenant and the other way round; then all."""
    asking, other = Asking(sweep.here), sweep.other
    named, texts = [], []
    for found in operation.inputs():
        if found.kind == "text":
            texts += [] if found.is_sampled else [found]
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


def of_keys(sweep: Sweep, operation: inputs.Operation) -> Iterator[Probe]:
    """The idempotency key under which the other tenant has answered the same write of the same caller."""
    if operation.takes_key:
        own = Asking(sweep.here).own(operation)
        where = inputs.Input("header", ("Idempotency-Key",), "")
        pair = (Asking.put(operation, own, where, key) for key in _names(sweep.other, "idempotency_key"))
        yield Probe(operation.name, str(where), *pair)


def _of_versions(sweep: Sweep, operation: inputs.Operation) -> Iterator[Probe]:
    """Things of the other tenant in the address, with versions that tell nothing of them."""
    for found in operation.inputs():
        if operation.method in VERSIONS and found.place == "path" and found.kind != "text":
            own = Asking(sweep.here).own(operation, found)
            header, versions = VERSIONS[operation.method]
            for version in versions:
                asked = with_version(own, header, version)
                pair = (Asking.put(operation, asked, found, name) for name in _names(sweep.other, found.kind))
                yield Probe(operation.name, f"{found} {header} {version}", *pair)


def with_version(request: Request, header: str, version: str | None) -> Request:
    """The request with this version instead of its own; None for without any."""
    others = {name: value for name, value in request.headers.items() if name != header}
    return replace(request, headers=others if version is None else others | {header: version})


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
