"""The records of a catalogue by the columns its map speaks of, and the rows of one product after another."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from apps.commerce.catalogue.maps import Map, Value, columns_of
from apps.commerce.importing.mapped import Note
from apps.commerce.importing.rows import Header, Row
from apps.kernel import errors, records
from apps.kernel.imports import ImportRefused, Source

LARGEST_JSON = 64 * 1024 * 1024
MAXIMUM_ROWS_OF_A_PRODUCT = 5_000

type Complain = Callable[[Note], None]


@dataclass(slots=True)
class Group:
    """The rows of one product; `refusal` says that the report has the reason why it is not taken."""

    id: str
    rows: list[Row] = field(default_factory=list)
    refusal: bool = False


def header_of(map: Map, names: Sequence[str]) -> Header:
    """Raises ImportRefused for a column of the map that the file does not have, with the nearest one."""
    found = {name.strip(): index for index, name in reversed(list(enumerate(names)))}
    wanted = columns_of(map)
    for name in wanted:
        if name not in found:
            hint = errors.did_you_mean(name, found)
            raise ImportRefused(
                f'The file has no column "{name}", which the map names; it has {", ".join(found)}.{hint}'
            )
    header = Header(list(names), {})
    header.fields = {name: found[name] for name in wanted}
    header.ignored = [name for name in found if name and name not in header.fields]
    return header


def objects(path: Path, map: Map, *, is_by_line: bool) -> Iterator[dict[str, Any]]:
    """The objects of a JSON or NDJSON file. Raises ImportRefused."""
    with Source(path) as source:
        if is_by_line:
            layout = records.Layout("utf-8", ",")
            for number, line in enumerate(records.read_lines(source, layout), start=1):
                if line.strip():
                    yield _object(_parsed(path, line, f"line {number}"), path, number)
            return
        content = source.stream.read(LARGEST_JSON + 1)
    if len(content) > LARGEST_JSON:
        raise ImportRefused(f'"{path}" is larger than {LARGEST_JSON >> 20} MiB; write it as NDJSON, an object a line.')
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ImportRefused(f'"{path}" is not UTF-8: {error}.') from None
    found = _parsed(path, text, "the file")
    for step in filter(None, map.file.records.split(".")):
        found = found.get(step) if isinstance(found, dict) else None
    if not isinstance(found, list):
        where = f'at "{map.file.records}"' if map.file.records else "at its top"
        raise ImportRefused(f'"{path}" has no list {where}; name its place as file.records in the map.')
    for number, entry in enumerate(found, start=1):
        yield _object(entry, path, number)


def cells_of(entry: dict[str, Any], columns: Sequence[str]) -> list[str]:
    """What is at the places the columns name, such as `price.amount` or `images.0`; lists are joined by `|`."""
    return [_text(_at(entry, column)) for column in columns]


def read_groups(rows: Iterator[Row], map: Map, complain: Complain) -> Iterator[tuple[int, Group]]:
    """Each product with the number of its last row."""
    group: Group | None = None
    seen: set[int] = set()
    last = 0
    for row in rows:
        id = text_of(map.product.id, row)
        if not id and group is not None and map.product.continues:
            id = group.id
        if not id:
            complain(Note(row.number, map.product.id.column or "id", "", "the row has no id; row skipped"))
            continue
        if group is None or id != group.id:
            if group is not None:
                yield last, group
            group = Group(id, refusal=hash(id) in seen)
            if group.refusal:
                problem = "the id comes back after another product; these rows are skipped"
                complain(Note(row.number, map.product.id.column or "id", id, problem))
            seen.add(hash(id))
        group.rows.append(row)
        last = row.number
        if len(group.rows) > MAXIMUM_ROWS_OF_A_PRODUCT and not group.refusal:
            group.refusal = True
            complain(Note(row.number, map.product.id.column or "id", id, "more rows than a product may have; skipped"))
    if group is not None:
        yield last, group


def text_of(value: Value | None, row: Row) -> str:
    """What the map makes of the cell; empty where it says nothing."""
    if value is None:
        return ""
    given = row.get(value.column) if value.column else (value.constant or "")
    given = value.values.get(given, given) or (value.constant or "")
    return f"{value.prefix}{given}" if given and value.prefix else given


def _parsed(path: Path, text: str, where: str) -> Any:
    try:
        return json.loads(text, parse_float=str)
    except (ValueError, RecursionError) as error:
        raise ImportRefused(f'"{path}": {where} is no JSON: {str(error)[:200]}.') from None


def _object(entry: Any, path: Path, number: int) -> dict[str, Any]:
    if not isinstance(entry, dict):
        raise ImportRefused(f'"{path}": record {number:,} is no object.')
    return entry


def _at(entry: Any, column: str) -> Any:
    if isinstance(entry, dict) and column in entry:
        return entry[column]
    for step in column.split("."):
        if isinstance(entry, list) and step.isdigit() and int(step) < len(entry):
            entry = entry[int(step)]
        elif isinstance(entry, dict):
            entry = entry.get(step)
        else:
            return None
    return entry


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "|".join(_text(entry) for entry in value)
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)
