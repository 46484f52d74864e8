"""Many new rows of one table in one statement.

The rows travel as one JSON document: several times faster than bulk_create, which prepares every value by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Any

import orjson
from django.db import connection
from django.db.models import AutoField, Field, Model


def insert(rows: Sequence[Model]) -> None:
    """Write new rows. Keys the database draws are not read back: load such rows anew before you change them."""
    if not rows:
        return
    meta = rows[0]._meta
    fields: list[Field[Any, Any]] = [field for field in meta.local_concrete_fields if not isinstance(field, AutoField)]
    for field in fields:
        if getattr(field, "auto_now", False) or getattr(field, "auto_now_add", False):
            for row in rows:
                field.pre_save(row, add=True)
    names = [str(field.column) for field in fields]
    values = attrgetter(*(field.attname for field in fields))
    insert_values(type(rows[0]), [dict(zip(names, values(row), strict=True)) for row in rows])
    for row in rows:
        row._state.adding = False
        row._state.db = connection.alias


def insert_values(model: type[Model], rows: Sequence[dict[str, Any]]) -> None:
    """The same for rows nobody needs as objects, as values by column; each row has the same columns."""
    if not rows:
        return
    table = connection.ops.quote_name(model._meta.db_table)
    columns = ", ".join(connection.ops.quote_name(name) for name in rows[0])
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({columns}) "  # noqa: S608 - names of our own tables and columns
            f"SELECT {columns} FROM json_populate_recordset(NULL::{table}, %s::json)",
            [orjson.dumps(rows).decode()],
        )
