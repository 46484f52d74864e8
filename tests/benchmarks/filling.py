"""A log of any length in seconds: the same rows `append` would write, made by Postgres itself."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import connection, transaction
from psycopg import sql

from apps.consumers.writing import LANE
from apps.outbox import sequencer

STEP_NODES = 20_000

# Node `n` is created with a body, published, and given a new title in each further event.
NODES = """
CREATE TEMPORARY TABLE filled ON COMMIT DROP AS
SELECT %(tenant)s::uuid AS tenant_id, uuidv7() AS id, n FROM generate_series(%(low)s::int, %(high)s::int) n
"""
STREAMS = """
INSERT INTO outbox_stream (tenant_id, aggregate_type, aggregate_id, version)
SELECT tenant_id, 'content.node', id, %(each)s FROM filled
"""
EVENTS = """
INSERT INTO outbox_log (tenant_id, aggregate_type, aggregate_id, version, lane, type, schema_version, actor,
                        occurred_at, data, meta)
SELECT tenant_id, 'content.node', id, v, {lane},
       CASE v WHEN 1 THEN 'content.node.created' WHEN 2 THEN 'content.node.published'
              ELSE 'content.translation.updated' END,
       1, 'system', clock_timestamp(),
       CASE v WHEN 1 THEN jsonb_build_object(
            'kind', 'post', 'author_name', 'Ann Author', 'metadata', jsonb_build_object('number', n),
            'category_ids', '[]'::jsonb, 'tag_ids', '[]'::jsonb, 'parent_id', NULL, 'position', n, 'depth', 0,
            'translations', jsonb_build_array(jsonb_build_object(
                'locale', 'en', 'title', 'Node ' || n, 'slug', 'node-' || n, 'excerpt', 'What node ' || n || ' says')),
            'bodies', jsonb_build_array(jsonb_build_object('locale', 'en', 'format', 'html', 'body',
                '<p>' || repeat('Words about node ' || n || '. ', 12) || '</p>')))
       WHEN 2 THEN jsonb_build_object('published_at', '2026-01-02T03:04:05Z')
       ELSE jsonb_build_object('locale', 'en', 'title', 'Node ' || n || ', edition ' || v, 'slug', 'node-' || n,
                               'excerpt', 'What edition ' || v || ' of node ' || n || ' says') END, '{{}}'
FROM filled, generate_series(1, %(each)s) v ORDER BY n, v
"""


def fill(tenant_id: uuid.UUID, *, nodes: int, events_each: int) -> int:
    """`nodes` published nodes with `events_each` (at least 2) events, committed and positioned; returns the head."""
    for low in range(1, nodes + 1, STEP_NODES):
        with transaction.atomic(), connection.cursor() as cursor:
            parameters: dict[str, Any] = {
                "tenant": tenant_id, "low": low, "high": min(low + STEP_NODES - 1, nodes), "each": events_each,
            }  # fmt: skip
            cursor.execute(NODES, parameters)
            cursor.execute(STREAMS, parameters)
            cursor.execute(EVENTS.format(lane=LANE.as_string()), parameters)
        sequencer.assign_positions()
    as_owner("ANALYZE outbox_log, outbox_position, outbox_stream")
    return sequencer.head()


def as_owner(statement: str | sql.Composed) -> None:
    """Do to tables what the application may not."""
    database: Any = connection
    with database.as_migrator(), connection.cursor() as cursor:
        cursor.execute(statement)
