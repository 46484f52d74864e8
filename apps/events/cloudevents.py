"""How an event looks outside: CloudEvents 1.0. Every attribute is defined here, once for SQL and once for Python.

The relay renders a whole batch in Postgres, edges render one event at a time; a test holds both to the same result.
Binary mode is attributes as text beside the data, structured mode one JSON object.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC
from typing import Any, NamedTuple

import orjson

from apps.events import envelope

TIME = "%Y-%m-%dT%H:%M:%S.%fZ"


class Attribute(NamedTuple):
    """One attribute: `sql` over the log `l` and its position `p`, and the same of an Event. Empty means it has none."""

    name: str
    sql: str
    of: Callable[[envelope.Event], str]


# Position and id come first: the bus goes by them.
ATTRIBUTES = (
    Attribute("position", "p.position", lambda event: str(event.position)),
    Attribute("id", "l.event_id", lambda event: str(event.event_id)),
    Attribute("specversion", "'1.0'", lambda event: "1.0"),
    Attribute(
        "source", "'/rustok/' || split_part(l.type, '.', 1)", lambda event: f"/rustok/{event.type.split('.')[0]}"
    ),
    Attribute("type", "'com.rustok.' || l.type", lambda event: f"com.rustok.{event.type}"),
    Attribute(
        "subject",
        "l.aggregate_type || '/' || l.aggregate_id",
        lambda event: f"{event.aggregate_type}/{event.aggregate_id}",
    ),
    Attribute(
        "time",
        """to_char(l.occurred_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')""",
        lambda event: event.occurred_at.astimezone(UTC).strftime(TIME),
    ),
    Attribute("datacontenttype", "'application/json'", lambda event: "application/json"),
    Attribute(
        "dataschema",
        "'/schemas/' || l.type || '/' || l.schema_version",
        lambda event: f"/schemas/{event.type}/{event.schema_version}",
    ),
    Attribute("tenantid", "l.tenant_id", lambda event: str(event.tenant_id)),
    Attribute("aggversion", "l.version", lambda event: str(event.version)),
    Attribute("partitionkey", "l.lane", lambda event: str(envelope.lane_of(event.tenant_id, event.aggregate_id))),
    Attribute("correlationid", "COALESCE(l.correlation_id::text, '')", lambda event: _text(event.correlation_id)),
    Attribute("causationid", "COALESCE(l.causation_id::text, '')", lambda event: _text(event.causation_id)),
)
# What the event itself does not know is given by whoever renders it.
NAMES = (*(attribute.name for attribute in ATTRIBUTES), "epoch", "traceparent", "data")
COLUMNS = ", ".join([*(attribute.sql for attribute in ATTRIBUTES), "%(epoch)s", "COALESCE(l.meta->>'traceparent', '')"])


def structured(event: envelope.Event, *, epoch: int, traceparent: str = "") -> dict[str, Any]:
    """The event as one JSON object; all attributes are strings, `data` is the payload as it was recorded."""
    attributes = {attribute.name: attribute.of(event) for attribute in ATTRIBUTES}
    attributes |= {"epoch": str(epoch), "traceparent": traceparent}
    return {name: value for name, value in attributes.items() if value} | {"data": event.data}


def structured_of(fields: dict[str, str]) -> dict[str, Any]:
    """The same of an event that came in binary mode."""
    return fields | {"data": orjson.loads(fields["data"])}


def _text(value: object) -> str:
    return "" if value is None else str(value)
