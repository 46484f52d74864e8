"""The two renderings of an event, in SQL for the bus and in Python for edges, are one."""

import uuid
from datetime import UTC, datetime, timedelta, timezone

import pytest
from django.db import connection

from apps.content import events as content_events
from apps.events import asyncapi, cloudevents
from apps.kernel import context
from apps.outbox import log, pages, sequencer
from apps.outbox.append import append, unit_of_work

pytestmark = pytest.mark.usefixtures("committed_db")

TENANT = uuid.UUID("01900000-0000-7000-8000-000000000001")
TAG = uuid.UUID("01900000-0000-7000-8000-000000000002")


def record(name: str, occurred_at: datetime | None = None) -> None:
    translation = content_events.TermTranslation(locale="de", name=name, slug="ueber-uns", description="")
    with unit_of_work():
        append(
            content_events.TagCreated(translations=[translation]),
            tenant_id=TENANT,
            aggregate_type=content_events.TAG,
            aggregate_id=TAG,
            occurred_at=occurred_at,
        )


def test_every_attribute_is_rendered_alike() -> None:
    east = timezone(timedelta(hours=5, minutes=30))
    record('Über uns \u2028 \x1f \\ "')
    with context.use(correlation_id=uuid.uuid4(), causation_id=uuid.uuid4()):
        record("x", occurred_at=datetime(2026, 1, 2, 3, 4, 5, 60, tzinfo=east))
        record("x", occurred_at=datetime(2026, 1, 2, tzinfo=UTC))
    sequencer.assign_positions()

    messages = pages.read(pages.Lanes(0, 255), 0).batch.messages()

    assert len(messages) == 3
    for message in messages:
        event = log.find_at(message.position)
        assert event is not None
        assert cloudevents.structured_of(message.fields) == cloudevents.structured(event, epoch=1)


def test_an_event_is_a_cloudevent() -> None:
    record("x", occurred_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    sequencer.assign_positions()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE outbox_log SET meta = jsonb_build_object('traceparent', '00-4bf9-00f0-01')")

    (message,) = pages.read(pages.Lanes(0, 255), 0).batch.messages()

    fields = dict(message.fields)
    assert uuid.UUID(fields.pop("id")).version == 7
    assert fields.pop("data").startswith('{"translations": [{')
    assert fields == {
        "specversion": "1.0",
        "source": "/rustok/content",
        "type": "com.rustok.content.tag.created",
        "subject": f"content.tag/{TAG}",
        "time": "2026-01-02T03:04:05.000000Z",
        "datacontenttype": "application/json",
        "dataschema": "/schemas/content.tag.created/1",
        "tenantid": str(TENANT),
        "aggversion": "1",
        "position": "1",
        "epoch": "1",
        "partitionkey": "91",
        "traceparent": "00-4bf9-00f0-01",
    }


def test_the_published_description_of_the_bus_names_the_same_attributes() -> None:
    assert {*asyncapi.HEADERS, "data"} == set(cloudevents.NAMES)


def test_names_are_those_cloudevents_allows() -> None:
    assert all(name.isascii() and name.isalnum() and name == name.lower() for name in cloudevents.NAMES)
    assert len(set(cloudevents.NAMES)) == len(cloudevents.NAMES)
