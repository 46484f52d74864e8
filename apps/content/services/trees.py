"""What nodes and categories share as trees: ancestors, descendants and order among siblings. Needs the content lock."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from typing import Any

from django.db import connection
from django.db.models import Max, Model, QuerySet

from apps.content import models
from apps.content.services.errors import TreeTooDeep
from apps.kernel import errors, wording
from apps.tenants import scope

_ANCESTORS = """
WITH RECURSIVE up AS (
    SELECT id, parent_id FROM {table} WHERE tenant_id = %s AND id = %s
    UNION ALL
    SELECT t.id, t.parent_id FROM {table} t JOIN up ON t.id = up.parent_id WHERE t.tenant_id = %s
)
SELECT id FROM up
"""

_DESCENDANTS = """
WITH RECURSIVE down AS (
    SELECT id FROM {table} WHERE tenant_id = %s AND id = %s
    UNION ALL
    SELECT t.id FROM {table} t JOIN down ON t.parent_id = down.id WHERE t.tenant_id = %s
)
SELECT id FROM down WHERE id <> %s
"""

_UPDATE_PLACES = """
UPDATE {table} t SET parent_id = v.parent_id, position = v.position, depth = v.depth, updated_at = now()
FROM unnest(%s::uuid[], %s::uuid[], %s::int[], %s::smallint[]) AS v(id, parent_id, position, depth)
WHERE t.tenant_id = %s AND t.id = v.id
"""


def ancestors_and_self(model: type[Model], id: uuid.UUID) -> list[uuid.UUID]:
    """From the object up to its root."""
    tenant_id = scope.current_id()
    return _column(_ANCESTORS, model, [tenant_id, id, tenant_id])


def descendants(model: type[Model], id: uuid.UUID) -> list[uuid.UUID]:
    """Everything below the object, in no particular order."""
    tenant_id = scope.current_id()
    return _column(_DESCENDANTS, model, [tenant_id, id, tenant_id, id])


def check_depth(depth: int, what: str) -> None:
    """Raises TreeTooDeep."""
    if depth > models.MAXIMUM_DEPTH:
        detail = wording.say(
            "{what} would have {depth} ancestors; a tree has {maximum_depth} levels at most.",
            what=what,
            depth=depth,
            maximum_depth=models.MAXIMUM_DEPTH,
        )
        raise TreeTooDeep(detail, problems=[errors.FieldProblem("/parent_id", "depth_too_large", detail)])


def last_position(siblings: QuerySet[Any, Any]) -> int:
    """The position after which a new sibling goes, -1 when it is the first."""
    position: int | None = siblings.aggregate(last=Max("position"))["last"]
    return -1 if position is None else position


def positions_with(siblings: Sequence[tuple[uuid.UUID, int]], *, id: uuid.UUID, index: int) -> dict[uuid.UUID, int]:
    """Positions that put `id` at `index` among `siblings` (in order, without it), changing as few as possible."""
    index = min(index, len(siblings))
    wanted = {id: siblings[index - 1][1] + 1 if index else 0}
    previous = wanted[id]
    for sibling, position in siblings[index:]:
        if position > previous:
            break
        previous += 1
        wanted[sibling] = previous
    return wanted


def update_places(model: type[Model], rows: Iterable[tuple[uuid.UUID, uuid.UUID | None, int, int]]) -> None:
    """Write (id, parent_id, position, depth) of many rows in one statement."""
    columns: list[list[Any]] = [list(column) for column in zip(*rows, strict=True)]
    if not columns:
        return
    with connection.cursor() as cursor:
        cursor.execute(_UPDATE_PLACES.format(table=model._meta.db_table), [*columns, scope.current_id()])


def _column(statement: str, model: type[Model], parameters: list[Any]) -> list[uuid.UUID]:
    with connection.cursor() as cursor:
        cursor.execute(statement.format(table=model._meta.db_table), parameters)
        return [row[0] for row in cursor.fetchall()]
