"""The catalogue of events for people: what is published, what it carries and who hears it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path
from django.utils.csp import CSP
from django.views.decorators.csp import csp_override
from django.views.decorators.http import require_safe

from apps.consumers import effects, projections
from apps.events import corpus, registry, schemas

# The page has no script.
POLICY: dict[str, list[str]] = settings.SECURE_CSP | {"script-src": [str(CSP.NONE)]}


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a payload; `path` leads through lists (`[]`) and parts (`.`), `kind` is a type in words."""

    path: str
    kind: str
    is_required: bool
    description: str


@dataclass(frozen=True, slots=True)
class Version:
    """One version on record, with the fields it carries and a stored event of it as JSON text."""

    number: int
    address: str
    is_released: bool
    fields: list[Field]
    example: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A type: versions newest first, and the names of the projections and effects that hear it."""

    name: str
    module: str
    aggregate: str
    description: str
    former_names: tuple[str, ...]
    versions: list[Version]
    projections: list[str]
    effects: list[str]

    @property
    def short_name(self) -> str:
        """Without the module."""
        return self.name.partition(".")[2]


def entries(*, containing: str = "") -> list[Entry]:
    """All types on record, or those whose name or description contains a text; by name."""
    wanted = containing.casefold()
    found = [_entry(entry) for entry in registry.all_types() if entry.name in schemas.published()]
    return [entry for entry in found if wanted in f"{entry.name} {entry.description}".casefold()]


def _entry(entry: registry.EventType) -> Entry:
    versions = schemas.published()[entry.name]
    return Entry(
        name=entry.name,
        module=entry.module,
        aggregate=entry.aggregate,
        description=" ".join((entry.payload.__doc__ or "").split()),
        former_names=entry.aliases,
        versions=[_version(entry.name, number, versions[number]) for number in sorted(versions, reverse=True)],
        projections=[found.name for found in projections.all_projections() if entry.name in found.types],
        effects=[found.name for found in effects.all_effects() if entry.name in found.types],
    )


def _version(name: str, number: int, locked: schemas.Locked) -> Version:
    sample = corpus.find(name, number)
    return Version(
        number=number,
        address=schemas.address(name, number),
        is_released=locked.is_released,
        fields=list(fields_of(locked.schema)),
        example=json.dumps(sample.stored, indent=2, ensure_ascii=False) if sample else "",
    )


def fields_of(schema: schemas.Schema) -> Iterator[Field]:
    """Every field of a schema, those of its parts after the field that holds them; a part inside itself once."""
    yield from _fields(schema, schema.get("$defs", {}), "", frozenset())


def _fields(node: dict[str, Any], definitions: dict[str, Any], prefix: str, inside: frozenset[str]) -> Iterator[Field]:
    required = node.get("required", [])
    for name, field in node.get("properties", {}).items():
        here = f"{prefix}{name}"
        yield Field(here, _kind(field), name in required, field.get("description", ""))
        part, steps = _part(field)
        if part is not None and part not in inside:
            yield from _fields(definitions[part], definitions, f"{here}{steps}.", inside | {part})


def _part(node: dict[str, Any]) -> tuple[str | None, str]:
    """The definition a field holds, if any, and the `[]` that lead to it."""
    if "$ref" in node:
        return str(node["$ref"]).rpartition("/")[2], ""
    if "items" in node:
        part, steps = _part(node["items"])
        return part, f"[]{steps}"
    found = [_part(entry) for entry in node.get("anyOf", [])]
    return next((entry for entry in found if entry[0] is not None), (None, ""))


def _kind(node: dict[str, Any]) -> str:
    if "$ref" in node:
        return str(node["$ref"]).rpartition("/")[2]
    if "anyOf" in node:
        return " or ".join(_kind(entry) for entry in node["anyOf"])
    if "enum" in node:
        return " or ".join(json.dumps(value) for value in node["enum"])
    if node.get("type") == "array":
        return f"list of {_kind(node.get('items', {}))}"
    if isinstance(others := node.get("additionalProperties"), dict):
        return f"object of {_kind(others)} by key"
    return str(node.get("format") or node.get("type") or "anything")


@require_safe
@csp_override(POLICY)
def page(request: HttpRequest) -> HttpResponse:
    """The catalogue, searched with `?q=`: plain HTML and one stylesheet of our own, without a script."""
    words = request.GET.get("q", "").strip()
    found = entries(containing=words)
    modules = [(name, list(group)) for name, group in groupby(found, key=lambda entry: entry.module)]
    return render(request, "consumers/catalogue.html", {"modules": modules, "count": len(found), "words": words})


urlpatterns: Sequence[Any] = [path("events/catalogue", page, name="event-catalogue")]
