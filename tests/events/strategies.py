"""Any data a schema of ours allows, with the edges that hurt: empty texts, big numbers, open objects."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from apps.events import compatibility
from apps.events.schemas import Schema

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=5,
)


def data_for(schema: Schema) -> st.SearchStrategy[Any]:
    """Raises KeyError for a keyword it does not know: then it would make data the schema refuses."""
    return _node(compatibility.canonical(schema))


def _node(schema: Schema) -> st.SearchStrategy[Any]:
    if "anyOf" in schema:
        return st.one_of(*(_node(entry) for entry in schema["anyOf"]))
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "type" not in schema:
        return ANY_JSON
    return {
        "object": _object,
        "array": lambda node: st.lists(_node(node.get("items", {})), max_size=3),
        "string": _string,
        "integer": lambda node: st.integers(-(2**53), 2**53),
        "number": lambda node: st.floats(allow_nan=False, allow_infinity=False),
        "boolean": lambda node: st.booleans(),
        "null": lambda node: st.none(),
    }[schema["type"]](schema)


def _object(schema: Schema) -> st.SearchStrategy[dict[str, Any]]:
    properties = {name: _node(entry) for name, entry in schema.get("properties", {}).items()}
    required = set(schema.get("required", []))
    fixed = st.fixed_dictionaries(
        {name: made for name, made in properties.items() if name in required},
        optional={name: made for name, made in properties.items() if name not in required},
    )
    others = schema.get("additionalProperties", True)
    if others is False:
        return fixed
    keys = st.text(max_size=10).filter(lambda key: key not in properties)
    more = st.dictionaries(keys, ANY_JSON if others is True else _node(others), max_size=3)
    return st.builds(lambda one, other: one | other, fixed, more)


def _string(schema: Schema) -> st.SearchStrategy[str]:
    return {
        None: st.text(max_size=20),
        "uuid": st.uuids().map(str),
        "date-time": st.datetimes().map(lambda moment: f"{moment.isoformat()}Z"),
    }[schema.get("format")]
