"""The relay against ceilings of the same run: a bare loop of its step, and what the client can send at all."""

from __future__ import annotations

import asyncio
import time
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import nats
import redis
from django.conf import settings
from django.db import connection

from apps.events import bus
from apps.events.bus import jetstream
from apps.outbox import cursors, pages, relay
from rustok import environment, servers
from tests.benchmarks import filling
from tests.benchmarks.installation import Ratio

EACH = 5
BATCH = 500
WINDOW_EVENTS = 50_000  # enough to know the rate of the slowest ceiling
HEADERS = {"Content-Type": jetstream.STRUCTURED}
EVERYTHING = pages.Lanes(0, 255)
PROGRESS = "UPDATE outbox_sinkcursor SET position = %s, updated_at = now() WHERE sink = 'bus'"
# As plain as it can be: the columns of an event, a row each.
ROWS = """
SELECT p.position, l.event_id::text, l.tenant_id::text, l.aggregate_type, l.aggregate_id::text, l.version, l.type,
       l.schema_version, l.lane, l.occurred_at, l.correlation_id::text, l.causation_id::text, l.data::text
FROM outbox_position p JOIN outbox_log l ON l.id = p.id
WHERE p.position > %s ORDER BY p.position LIMIT %s
"""


def publishing(tenant_id: uuid.UUID, *, nodes: int) -> list[Ratio]:
    """Events a second through the relay, per transport, beside its ceilings and on the same events."""
    servers.ensure_started(environment.current().model_copy(update={"events_transport": "nats"}))
    head = filling.fill(tenant_id, nodes=nodes, events_each=EACH)
    relay.publish_pending(bus.connect("memory"))  # makes the cursor's row, and warms the cache of Postgres
    with redis.Redis.from_url(settings.VALKEY_URL) as client:
        alone = _pipelined_xadd(client, head)
        bare = _bare_loop(client, head)
    valkey = _relayed("valkey", head)
    window = asyncio.run(_async_window(_prepared(min(head, WINDOW_EVENTS))))
    nats_server = _relayed("nats", head)
    print(f"publishing: the bare loop reaches {bare / alone:.2f} of pipelined XADD alone")
    return [
        Ratio("relay to Valkey / bare loop of the same step", valkey, bare, 0.6),
        Ratio("relay to Valkey / pipelined XADD alone", valkey, alone, 0.5),
        Ratio("relay to JetStream / async window of the client", nats_server, window, 0.6),
    ]


def _relayed(transport: str, head: int) -> float:
    """The product's own relay, from an empty bus to the head."""
    to = bus.connect(transport, valkey_url=settings.VALKEY_URL, nats_url=settings.NATS_URL)
    to.wipe()
    cursors.rewind(cursors.BUS, 0)
    began = time.monotonic()
    relay.publish_pending(to)
    rate = head / (time.monotonic() - began)
    if relay.position() != head or to.last() != head:
        raise RuntimeError(f"{transport} ends at {to.last()} and the cursor at {relay.position()}, not at {head}")
    to.wipe()
    to.close()
    return rate


def _prepared(head: int) -> list[list[bus.Message]]:
    """The messages of at least as many events, by batch."""
    batches: list[list[bus.Message]] = []
    after = 0
    while after < head:
        page = pages.read(EVERYTHING, after)
        batches.append(page.batch.messages())
        after = page.until
    return batches


def _pipelined_xadd(client: redis.Redis, head: int) -> float:
    """Adding messages that lie ready, a pipeline per batch, and nothing else."""
    batches = _prepared(head)
    began = time.monotonic()
    for messages in batches:
        pipeline = client.pipeline(transaction=False)
        for message in messages:
            pipeline.xadd("ceiling", message.fields, id=f"{message.position}-0")  # type: ignore[arg-type]
        pipeline.execute()
    rate = head / (time.monotonic() - began)
    client.unlink("ceiling")
    return rate


def _bare_loop(client: redis.Redis, head: int) -> float:
    """Reading a batch by position, adding it in a pipeline and writing down the progress, again and again."""
    began = time.monotonic()
    after = 0
    with connection.cursor() as cursor:
        while after < head:
            cursor.execute(ROWS, [after, BATCH])
            rows = cursor.fetchall()
            pipeline = client.pipeline(transaction=False)
            for row in rows:
                pipeline.xadd("ceiling", _fields(row), id=f"{row[0]}-0")
            pipeline.execute()
            after = rows[-1][0]
            cursor.execute(PROGRESS, [after])
    rate = head / (time.monotonic() - began)
    client.unlink("ceiling")
    return rate


def _fields(row: tuple[Any, ...]) -> dict[Any, Any]:
    """The same attributes as the relay's, so that the server has the same to store."""
    position, event_id, tenant_id, kind, aggregate_id, version, name, schema, lane, occurred, corr, cause, data = row
    fields = {
        "position": position, "id": event_id, "specversion": "1.0", "source": f"/rustok/{name.split('.')[0]}",
        "type": f"com.rustok.{name}", "subject": f"{kind}/{aggregate_id}", "time": occurred.isoformat(),
        "datacontenttype": "application/json", "dataschema": f"/schemas/{name}/{schema}", "tenantid": tenant_id,
        "aggversion": version, "partitionkey": lane, "epoch": 1, "data": data,
    }  # fmt: skip
    if corr:
        fields["correlationid"] = corr
    if cause:
        fields["causationid"] = cause
    return fields


async def _async_window(batches: list[list[bus.Message]]) -> float:
    """Publishing bodies that lie ready through the client's own JetStream, a batch of them unacknowledged at a time."""
    client = await nats.connect(Path(unquote(urlsplit(settings.NATS_URL).path)).read_text().strip())
    stream = client.jetstream()
    await stream.add_stream(name="ceiling", subjects=["ceiling"])
    ready = [[jetstream.to_body(message) for message in messages] for messages in batches]
    began = time.monotonic()
    for window in ready:
        waiting = [await stream.publish_async("ceiling", body, headers=HEADERS) for body in window]
        await asyncio.gather(*waiting)
    rate = sum(map(len, ready)) / (time.monotonic() - began)
    await stream.delete_stream("ceiling")
    await client.close()
    return rate
