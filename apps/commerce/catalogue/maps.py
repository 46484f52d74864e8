"""The mapping a catalogue comes with: a TOML file that says which column becomes which field."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from apps.kernel import encodings, errors, validation
from apps.kernel.imports import ImportRefused

_LARGEST_MAP = 1_000_000
_MOST = 200
Column = Annotated[str, validation.Prose(500, minimum=1)]
Text = Annotated[str, validation.Prose(2000)]
Mark = Literal[".", ","]
Unit = Literal["g", "kg", "lb", "oz"]


def _of_column(given: Any) -> Any:
    return {"column": given} if isinstance(given, str) else given


class Value(validation.Input):
    """Where a value comes from: a `column`, or a `constant`. `values` exchanges what is in the column for something
    else; `prefix` comes before it, such as the address of a folder of pictures."""

    column: Column | None = None
    constant: Text | None = None
    values: Annotated[dict[str, Text], Field(max_length=_MOST)] = {}
    prefix: Text = ""


class Parts(Value):
    """Several values in a cell, with `split` between them; of a category `path` is between its levels. `only` keeps
    those that begin with it, without it."""

    split: Annotated[str, Field(max_length=10)] = ""
    path: Annotated[str, Field(min_length=1, max_length=10)] = ">"
    only: Text = ""


class Number(Value):
    """A number, with its decimal `mark`; without one it is told from each number."""

    mark: Mark | None = None


class Weight(Number):
    unit: Unit = "g"


type Taken[Kind: Value] = Annotated[Kind, BeforeValidator(_of_column)]


class Words(validation.Input):
    """What is said in a language."""

    title: Taken[Value] | None = None
    subtitle: Taken[Value] | None = None
    description: Taken[Value] | None = None
    handle: Taken[Value] | None = None
    meta_title: Taken[Value] | None = None
    meta_description: Taken[Value] | None = None


class Product(Words):
    """`id` names the product, and rows one after another with the same one are its variants; with `continues` those
    without one are, too."""

    id: Taken[Value]
    title: Taken[Value]
    continues: validation.Flag = False
    vendor: Taken[Value] | None = None
    product_type: Taken[Value] | None = None
    status: Taken[Value] | None = None
    tags: Taken[Parts] | None = None
    categories: Taken[Parts] | None = None
    images: Taken[Parts] | None = None


class Options(validation.Input):
    """Names and values of all options in one column each; what they are called in between is `split`."""

    names: Taken[Parts]
    values: Taken[Parts]


class Variant(validation.Input):
    sku: Taken[Value] | None = None
    barcode: Taken[Value] | None = None
    price: Taken[Number] | None = None
    compare_at: Taken[Number] | None = None
    quantity: Taken[Number] | None = None
    weight: Taken[Weight] | None = None
    image: Taken[Value] | None = None
    options: Annotated[dict[validation.Title, Taken[Value]], Field(max_length=20)] = {}
    options_in: Options | None = None


class Layout(validation.Input):
    """Of the file; what is not given is told by its bytes. `records` is their place in JSON, such as `data.items`."""

    kind: Literal["table", "json", "ndjson"] | None = None
    records: Text = ""
    encoding: encodings.Named = ""


class Map(validation.Input):
    """`source` is the first part of the id by which a product is found again."""

    source: validation.ShortSlug
    file: Layout = Layout()
    product: Product
    variant: Variant = Variant()
    locales: Annotated[dict[validation.Locale, Words], Field(max_length=validation.MAXIMUM_LOCALES)] = {}
    metadata: Annotated[dict[validation.Title, Taken[Value]], Field(max_length=_MOST)] = {}


def read_map(path: Path) -> Map:
    """Raises ImportRefused, which names each wrong entry and the nearest right one."""
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_MAP)
    except OSError as error:
        raise ImportRefused(f'The map "{path}" can\'t be read: {error.strerror}.') from None
    try:
        return validation.parse(Map, tomllib.loads(content.decode()))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ImportRefused(f'The map "{path}" is no TOML: {error}.') from None
    except errors.ValidationFailed as failure:
        said = "; ".join(
            f"{problem.pointer[1:].replace('/', '.')}: {problem.detail}" for problem in failure.problems[:5]
        )
        raise ImportRefused(f'The map "{path}" can\'t be used. {said}') from None


def columns_of(map: Map) -> list[str]:
    """Every column the map speaks of, once."""
    return list(dict.fromkeys(value.column for value in _values(map) if value.column))


def _values(model: Any) -> Iterator[Value]:
    if isinstance(model, Value):
        yield model
    elif isinstance(model, validation.Input):
        for name in type(model).model_fields:
            yield from _values(getattr(model, name))
    elif isinstance(model, dict):
        for entry in model.values():
            yield from _values(entry)
