"""What stands in a tenant's rows, asked of the database: by table, whole, and field by field."""

from __future__ import annotations

import json
import uuid
from typing import Any

from django.apps import apps
from django.contrib.postgres.fields import ArrayField
from django.db import connection, models
from psycopg import sql

from apps.consumers import projections
from apps.kernel import isolation
from apps.readmodels.models import RegConfigField
from rustok.lifecycle import catalogue
from tests.sweep import canaries

# Fields of text whose words are those of the program, or made by it, so that no word of a tenant can stand in them.
OF_THE_PROGRAM = {
    "action": "names of actions",
    "addresses": "networks",
    "aggregate_type": "names of aggregates",
    "combination": "made of ids",
    "constraint": "words of the catalogue of permissions",
    "digest": "a hash",
    "kind": "one of the registered kinds",
    "meta": "set by imports only, with words of the program",
    "object_id": "an id, and looked for as such",
    "object_type": "names of aggregates",
    "password": "a hash",
    "permission": "one of the catalogue of permissions",
    "prefix": "made of the id",
    "scopes": "permissions of the catalogue",
    "source": "names of aggregates",
    "system_role": "one of the program's roles",
    "type": "names of events",
}
OF_THE_PROGRAM_IN = {
    ("imports.Run", "format"): "one of the registered formats",
    ("imports.Run", "file_digest"): "a hash",
    **dict.fromkeys((("media.Asset", "media_type"), ("media.Rendition", "media_type")), "told by the bytes"),
    ("media.Asset", "place"): "drawn at random",
    ("media.Source", "url_sha256"): "a hash",
    **dict.fromkeys((("media.Asset", "sha256"), ("media.Asset", "sent_sha256")), "a hash"),
    **dict.fromkeys((("media.Rendition", "name"), ("media.Rendition", "stored_name")), "one of the program's sizes"),
    ("jobs.Operation", "written_id"): "an id, and looked for as such",
    ("tenants.TenantModule", "slug"): "one of the registered modules",
}
_SHORTEST = 16


def texts_of(tenant_id: uuid.UUID) -> dict[str, str]:
    """Every table's rows of the tenant as text, in a constant order; "" for none."""
    found = {}
    with isolation.all_tenants(reason="test"), connection.cursor() as cursor:
        for table in catalogue.tables():
            query = sql.SQL("SELECT COALESCE(string_agg(t::text, '\n' ORDER BY t::text), '') FROM {} t WHERE {} = %s")
            cursor.execute(query.format(table.identifier(), sql.Identifier(table.tenant_column)), [tenant_id])
            found[table.name] = cursor.fetchone()[0]
    return found


class Watch:
    """Two tenants' rows in one statement, cheap enough to be asked after every request: a checksum of those of `other`,
    and what of `here` has a word in it that is the other's."""

    def __init__(self, here: uuid.UUID, other: uuid.UUID, mark: str) -> None:
        self._values = {"here": here, "other": other, "word": f"%{mark}%"}
        parts = [
            sql.SQL(
                "SELECT {name} AS name, (SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM {table} t "
                "WHERE {tenant} = %(other)s) AS sum, (SELECT string_agg(t::text, '|') FROM {table} t "
                "WHERE {tenant} = %(here)s AND t::text ILIKE %(word)s) AS words"
            ).format(name=sql.Literal(table.name), table=table.identifier(), tenant=sql.Identifier(table.tenant_column))
            for table in catalogue.tables()
        ]
        self._query = sql.SQL(
            "SELECT jsonb_object_agg(name, sum)::text, COALESCE(string_agg(words, '|'), '') FROM ({}) r"
        ).format(sql.SQL(" UNION ALL ").join(parts))

    def look(self) -> tuple[dict[str, str | None], str]:
        """(table → checksum of the other's rows, the rows here with a word of the other's)."""
        with isolation.all_tenants(reason="test"), connection.cursor() as cursor:
            cursor.execute(self._query, self._values)
            sums, words = cursor.fetchone()
        return json.loads(sums), words


def ids_of(tenant_id: uuid.UUID) -> set[uuid.UUID]:
    """Every id in the tenant's rows, that of the tenant included."""
    return {found for text in texts_of(tenant_id).values() for found in canaries.ids_in(text)} | {tenant_id}


def tenant_models() -> list[type[models.Model]]:
    """Those with rows of tenants. The templates of read models are empty for everybody: rows are in the views."""
    templates = {
        relation.template for projection in projections.all_projections() for relation in projection.all_relations
    }
    return [
        model
        for model in apps.get_models()
        if any(field.column == "tenant_id" for field in model._meta.concrete_fields)
        and model._meta.db_table not in templates
    ]


def empty_models(tenant_id: uuid.UUID) -> list[str]:
    """The models without a row of the tenant."""
    with isolation.all_tenants(reason="test"):
        return [
            model._meta.label
            for model in tenant_models()
            if not model._base_manager.filter(tenant_id=tenant_id).exists()
        ]


def unmarked_fields(tenant_id: uuid.UUID, mark: str) -> list[str]:
    """The fields that can hold a word of the tenant and hold none in any row."""
    return [
        f"{model._meta.label}.{field.name}"
        for model in tenant_models()
        for field in model._meta.concrete_fields
        if _can_hold_a_word(field)
        and field.name not in OF_THE_PROGRAM
        and (model._meta.label, field.name) not in OF_THE_PROGRAM_IN
        and not _holds(model, field, tenant_id, mark)
    ]


def _can_hold_a_word(field: Any) -> bool:
    if isinstance(field, ArrayField):
        return _can_hold_a_word(field.base_field)
    if isinstance(field, RegConfigField) or field.choices:
        return False
    is_long = field.max_length is None or field.max_length > _SHORTEST
    return isinstance(field, models.JSONField) or (isinstance(field, _TEXTS) and is_long)


_TEXTS = (models.CharField, models.TextField, models.FileField)


def _holds(model: type[models.Model], field: Any, tenant_id: uuid.UUID, mark: str) -> bool:
    query = sql.SQL("SELECT EXISTS (SELECT 1 FROM {} WHERE tenant_id = %s AND {}::text LIKE %s)").format(
        sql.Identifier(model._meta.db_table), sql.Identifier(field.column)
    )
    with isolation.all_tenants(reason="test"), connection.cursor() as cursor:
        cursor.execute(query, [tenant_id, f"%{mark}%"])
        return bool(cursor.fetchone()[0])
