"""What of a new OpenAPI document would break clients written for the old one.

Whatever a client may send it must be able to send on, and whatever it is answered it must have been told of. Unknown
fields and parameters are refused, so one that goes away breaks whoever sends it; a value that is added to an answer
breaks whoever has a case for each.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

type Document = dict[str, Any]
type Schema = dict[str, Any]
# Which side has to cope with more: an input is written by clients, an output read by them.
type Direction = Literal["input", "output"]

_METHODS = ("get", "put", "post", "patch", "delete")
# Bounds that make an input narrower when they grow, or when they shrink.
_LOWER = ("minLength", "minimum", "minItems", "exclusiveMinimum", "minProperties")
_UPPER = ("maxLength", "maximum", "maxItems", "exclusiveMaximum", "maxProperties")


@dataclass(frozen=True, slots=True, order=True)
class Break:
    """One change: `where` is the operation and the place in it."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


def find(old: Document, new: Document) -> list[Break]:
    """Every change that breaks a client, each once, in order."""
    return sorted(set(_Comparison(old, new).operations()))


class _Comparison:
    def __init__(self, old: Document, new: Document) -> None:
        self.old, self.new = old, new
        self._seen: set[tuple[str, str, Direction]] = set()

    def operations(self) -> Iterator[Break]:
        for path, methods in self.old["paths"].items():
            for method in _METHODS:
                if method not in methods:
                    continue
                before, after = methods[method], self.new["paths"].get(path, {}).get(method)
                name = f"{method.upper()} {path}"
                if after is None:
                    yield Break(name, "is gone")
                    continue
                self._seen.clear()  # a schema that two operations share breaks both
                yield from self._operation(name, before, after)

    def _operation(self, name: str, before: Document, after: Document) -> Iterator[Break]:
        if before["operationId"] != after["operationId"]:
            yield Break(name, f"is called {after['operationId']}, and was {before['operationId']}")
        if {} in before.get("security", [{}]) and {} not in after.get("security", [{}]):
            yield Break(name, "needs credentials")
        yield from self._parameters(name, before, after)
        yield from self._body(name, before, after)
        for status, response in before["responses"].items():
            if status < "400":
                yield from self._response(f"{name} {status}", response, after["responses"].get(status))

    def _parameters(self, name: str, before: Document, after: Document) -> Iterator[Break]:
        known = {(each["in"], each["name"]): each for each in before.get("parameters", [])}
        now = {(each["in"], each["name"]): each for each in after.get("parameters", [])}
        for key, parameter in now.items():
            if parameter.get("required") and not known.get(key, {}).get("required"):
                yield Break(f"{name} {key[1]}", "is needed")
        for key, parameter in known.items():
            if key not in now:
                yield Break(f"{name} {key[1]}", "is no parameter any more")
            else:
                yield from self._schema(f"{name} {key[1]}", parameter["schema"], now[key]["schema"], "input")

    def _body(self, name: str, before: Document, after: Document) -> Iterator[Break]:
        old, new = before.get("requestBody"), after.get("requestBody")
        if new is not None and new.get("required") and not (old or {}).get("required"):
            yield Break(f"{name} body", "is needed")
        for kind, content in (old or {}).get("content", {}).items():
            if kind not in (new or {}).get("content", {}):
                yield Break(f"{name} body", f"is not taken as {kind}")
            else:
                yield from self._schema(f"{name} body", content["schema"], new["content"][kind]["schema"], "input")  # type: ignore[index] # it has the kind

    def _response(self, name: str, before: Document, after: Document | None) -> Iterator[Break]:
        if after is None:
            yield Break(name, "is answered no more")
            return
        before, after = self._resolved(before, self.old), self._resolved(after, self.new)
        for header in sorted(before.get("headers", {}).keys() - after.get("headers", {}).keys()):
            yield Break(f"{name} {header}", "is told no more")
        for kind, content in before.get("content", {}).items():
            if kind not in after.get("content", {}):
                yield Break(name, f"is not {kind} any more")
            else:
                yield from self._schema(f"{name} body", content["schema"], after["content"][kind]["schema"], "output")

    def _schema(self, where: str, before: Schema, after: Schema, direction: Direction) -> Iterator[Break]:
        pair = (before.get("$ref", ""), after.get("$ref", ""), direction)
        if pair[0] and pair in self._seen:
            return
        self._seen.add(pair)
        before, after = self._resolved(before, self.old), self._resolved(after, self.new)
        yield from self._types(where, before, after, direction)
        yield from self._values(where, before, after, direction)
        if direction == "input":
            yield from _bounds(where, before, after)
        yield from self._members(where, before, after, direction)
        if "items" in before and "items" in after:
            yield from self._schema(f"{where}[]", before["items"], after["items"], direction)
        rest, rest_now = before.get("additionalProperties"), after.get("additionalProperties")
        if isinstance(rest, dict) and isinstance(rest_now, dict):
            yield from self._schema(f"{where}.*", rest, rest_now, direction)

    def _types(self, where: str, before: Schema, after: Schema, direction: Direction) -> Iterator[Break]:
        old, new = _types_of(before, self.old), _types_of(after, self.new)
        if not old or not new:
            if direction == "input" and new:
                yield Break(where, f"is only {', '.join(sorted(new))}")
            elif direction == "output" and old:
                yield Break(where, f"is not only {', '.join(sorted(old))} any more")
            return
        gone, come = sorted(old - new), sorted(new - old)
        if direction == "input" and gone:
            yield Break(where, f"can't be {', '.join(gone)} any more")
        if direction == "output" and come:
            yield Break(where, f"can be {', '.join(come)} as well")
        for one, other in _alternatives(before, after):
            yield from self._schema(where, one, other, direction)

    def _values(self, where: str, before: Schema, after: Schema, direction: Direction) -> Iterator[Break]:
        old, new = before.get("enum"), after.get("enum")
        if direction == "input" and new is not None:
            for value in [each for each in old or ["anything else"] if each not in new]:
                yield Break(where, f"can't be {value!r} any more")
        if direction == "output" and old is not None:
            for value in [each for each in new or ["anything else"] if each not in old]:
                yield Break(where, f"can be {value!r} as well")

    def _members(self, where: str, before: Schema, after: Schema, direction: Direction) -> Iterator[Break]:
        old, new = before.get("properties", {}), after.get("properties", {})
        needed_before, needed = set(before.get("required", [])), set(after.get("required", []))
        for name in sorted(old.keys() - new.keys()):
            yield Break(f"{where}.{name}", "is no member any more")
        if direction == "input":
            for name in sorted(needed - needed_before):
                yield Break(f"{where}.{name}", "is needed")
        else:
            for name in sorted((needed_before - needed) & new.keys()):
                yield Break(f"{where}.{name}", "can be missing")
        for name in sorted(old.keys() & new.keys()):
            yield from self._schema(f"{where}.{name}", old[name], new[name], direction)

    @staticmethod
    def _resolved(part: Document, document: Document) -> Document:
        while "$ref" in part:
            _, _, section, name = part["$ref"].split("/")
            part = document["components"][section][name]
        return part


def _types_of(schema: Schema, document: Document) -> set[str]:
    """The JSON types it allows; none where it does not say."""
    schema = _Comparison._resolved(schema, document)
    if "anyOf" in schema:
        found = [_types_of(each, document) for each in schema["anyOf"]]
        return set().union(*found) if all(found) else set()
    kind = schema.get("type", [])
    return {kind} if isinstance(kind, str) else set(kind)


def _alternatives(before: Schema, after: Schema) -> Iterator[tuple[Schema, Schema]]:
    """What can be held against each other of two `anyOf`, or of one and a plain schema: the parts that are no null."""
    old, new = ([each for each in side.get("anyOf", [side]) if each.get("type") != "null"] for side in (before, after))
    if ("anyOf" in before or "anyOf" in after) and len(old) == len(new):
        yield from zip(old, new, strict=True)


def _bounds(where: str, before: Schema, after: Schema) -> Iterator[Break]:
    for name in _LOWER:
        if after.get(name, float("-inf")) > before.get(name, float("-inf")) and after.get(name) not in {0, None}:
            yield Break(where, f"{name} is {after[name]}, and was {before.get(name, 'none')}")
    for name in _UPPER:
        if after.get(name, float("inf")) < before.get(name, float("inf")):
            yield Break(where, f"{name} is {after[name]}, and was {before.get(name, 'none')}")
    if "pattern" in after and after["pattern"] != before.get("pattern"):
        yield Break(where, f"has the pattern {after['pattern']}")
