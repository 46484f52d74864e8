"""The AsyncAPI 3.0 document: what this installation sends on the bus, generated from the catalogue and the lock."""

from __future__ import annotations

from typing import Any

from apps.events import bus, corpus, registry, schemas

VERSION = "3.0.0"
CHANNEL = "events"
_SCHEMA_FORMAT = "application/schema+json;version=2020-12"
_NUMBER = {"type": "string", "pattern": "^[0-9]+$"}
_ID = {"type": "string", "format": "uuid"}

# CloudEvents 1.0 in binary mode: attributes and our extensions beside the data, all as text.
HEADERS: dict[str, dict[str, Any]] = {
    "specversion": {"const": "1.0", "description": "Of CloudEvents."},
    "id": _ID | {"description": "Of the event: the same at every delivery."},
    "source": {"type": "string", "format": "uri-reference", "description": "Who sends it: /rustok/ and the module."},
    "type": {"type": "string", "description": "com.rustok. and the name in the catalogue, without a version."},
    "subject": {"type": "string", "description": "The aggregate it is about: its type, a slash, its id."},
    "time": {"type": "string", "format": "date-time", "description": "When it happened."},
    "datacontenttype": {"const": "application/json"},
    "dataschema": {"type": "string", "format": "uri-reference", "description": "Where the schema of the data is."},
    "tenantid": _ID | {"description": "Whose event it is."},
    "aggversion": _NUMBER | {"description": "1..n within the aggregate, without a hole."},
    "position": _NUMBER | {"description": "Place in the log, dense from 1 in an epoch: what to deduplicate by."},
    "epoch": _NUMBER | {"description": "Goes up when the log was restored elsewhere; positions start anew."},
    "correlationid": {"type": "string", "description": "What it belongs to; empty or absent when unknown."},
    "causationid": {"type": "string", "description": "The event that caused it; empty or absent when none did."},
    "partitionkey": {"type": "string", "description": "Events with the same key arrive in order."},
    "traceparent": {"type": "string", "description": "W3C trace context of the writer; empty or absent when unknown."},
}
REQUIRED = ["specversion", "id", "source", "type", "subject", "time", "tenantid", "aggversion", "position"]


def document() -> dict[str, Any]:
    """The whole document: one channel, one message per version on record, one operation per type."""
    messages = {
        f"{entry.name}.{version}": _message(entry, version)
        for entry in registry.all_types()
        for version in sorted(schemas.published().get(entry.name, {}))
    }
    return {
        "asyncapi": VERSION,
        "info": {
            "title": "RusToK events",
            "version": "1",
            "description": (
                "Every change of every tenant, in the order of the log. Delivered at least once: drop a position that "
                "is not above the last one seen. Older versions of a type are sent only when old events are."
            ),
        },
        "defaultContentType": "application/json",
        "channels": {
            CHANNEL: {
                "address": bus.STREAM,
                "title": "The log on the bus",
                "messages": {key: {"$ref": f"#/components/messages/{key}"} for key in messages},
            }
        },
        "operations": {entry.name: _operation(entry) for entry in registry.all_types() if _is_on_record(entry)},
        "components": {
            "messages": messages,
            "messageTraits": {
                "cloudEvent": {"headers": {"type": "object", "required": REQUIRED, "properties": HEADERS}}
            },
        },
    }


def _is_on_record(entry: registry.EventType) -> bool:
    return entry.version in schemas.published().get(entry.name, {})


def _message(entry: registry.EventType, version: int) -> dict[str, Any]:
    address = schemas.address(entry.name, version)
    message = {
        "name": entry.name,
        "title": f"{entry.name} {version}",
        "summary": schemas.published()[entry.name][version].schema.get("description", ""),
        "contentType": "application/json",
        "tags": [{"name": entry.module}],
        "traits": [{"$ref": "#/components/messageTraits/cloudEvent"}],
        "headers": {
            "type": "object",
            "properties": {"type": {"const": f"com.rustok.{entry.name}"}},
        },
        "correlationId": {"location": "$message.header#/correlationid"},
        "payload": {"schemaFormat": _SCHEMA_FORMAT, "schema": {"$ref": address}},
    }
    sample = corpus.find(entry.name, version)
    return message | ({"examples": [{"payload": sample.data}]} if sample else {})


def _operation(entry: registry.EventType) -> dict[str, Any]:
    return {
        "action": "send",
        "channel": {"$ref": f"#/channels/{CHANNEL}"},
        "summary": " ".join((entry.payload.__doc__ or "").split()),
        "tags": [{"name": entry.module}],
        "messages": [{"$ref": f"#/channels/{CHANNEL}/messages/{entry.name}.{entry.version}"}],
    }
