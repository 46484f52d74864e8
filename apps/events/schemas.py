"""JSON Schemas of the payloads, and the lock file: the record of every version there ever was.

The code knows the newest version of a type only; what an older one looked like is in the lock.
docs/decisions/0015-the-lock-file-is-the-registry.md
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

DIALECT = "https://json-schema.org/draft/2020-12/schema"
LOCK = Path(__file__).with_name("schemas.lock.json")

type Schema = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Locked:
    """One version of one type. What is released is kept as it is for ever; before that it may still change."""

    schema: Schema
    is_released: bool


type Lock = dict[str, dict[int, Locked]]


class LockUnreadable(ValueError):
    """The lock file is not what `events_schema export` writes."""


class _WithoutTitles(GenerateJsonSchema):
    """A field's title would only repeat its name."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def address(name: str, version: int) -> str:
    """The path a schema is served at, which is its `$id`."""
    return f"/schemas/{name}/{version}"


def of(payload: type[BaseModel], *, name: str, version: int) -> Schema:
    """The JSON Schema 2020-12 of a payload: closed, as events are when they are written."""
    schema = payload.model_json_schema(schema_generator=_WithoutTitles)
    return {"$schema": DIALECT, "$id": address(name, version)} | schema


@cache
def published() -> Lock:
    """The lock this code came with."""
    return read(LOCK)


def read(path: Path) -> Lock:
    """The lock in a file, empty when there is none. Raises LockUnreadable."""
    if not path.exists():
        return {}
    try:
        return {
            name: {
                int(version): Locked(schema=dict(entry["schema"]), is_released=bool(entry["released"]))
                for version, entry in versions.items()
            }
            for name, versions in json.loads(path.read_text()).items()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LockUnreadable(
            f"{path.name} can't be read ({error!r}): take the last good one from version control"
        ) from error


def to_text(lock: Lock) -> str:
    """The lock as it is stored: types by name, versions ascending, fields in the order of the payload."""
    shown = {
        name: {
            str(version): {"released": versions[version].is_released, "schema": versions[version].schema}
            for version in sorted(versions)
        }
        for name, versions in sorted(lock.items())
    }
    return json.dumps(shown, indent=2, ensure_ascii=False) + "\n"
