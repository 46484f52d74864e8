"""The append-only table: the database refuses to change or delete what was written."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.models.constraints import BaseConstraint

# The one way to delete such rows: a transaction that purges their tenant says so.
FUNCTION = """
CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF TG_OP = 'DELETE' THEN
        IF OLD.tenant_id::text = current_setting('rustok.purged_tenant', true) THEN RETURN OLD; END IF;
    END IF;
    RAISE EXCEPTION 'rows of % are written once and kept: record a new row instead', TG_TABLE_NAME
    USING ERRCODE = 'restrict_violation';
END $$
"""


class AppendOnly(BaseConstraint):
    """A trigger that refuses UPDATE and DELETE of any row, but for the purge of its tenant.

    TRUNCATE, which needs ownership of the table, stays.
    """

    def create_sql(  # type: ignore[override]  # Django never passes None
        self, model: type[models.Model], schema_editor: BaseDatabaseSchemaEditor
    ) -> str:
        name, table = schema_editor.quote_name(self.name), schema_editor.quote_name(model._meta.db_table)
        return (
            f"{FUNCTION.format(name=name)}; "
            f"CREATE TRIGGER {name} BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION {name}()"
        )

    def constraint_sql(  # type: ignore[override]  # Django never passes None
        self, model: type[models.Model], schema_editor: BaseDatabaseSchemaEditor
    ) -> str:
        """Nothing inline: a trigger is made after its table."""
        schema_editor.deferred_sql.append(self.create_sql(model, schema_editor))
        return ""

    def remove_sql(  # type: ignore[override]  # Django never passes None
        self, model: type[models.Model], schema_editor: BaseDatabaseSchemaEditor
    ) -> str:
        name, table = schema_editor.quote_name(self.name), schema_editor.quote_name(model._meta.db_table)
        return f"DROP TRIGGER {name} ON {table}; DROP FUNCTION {name}()"

    def validate(self, model: Any, instance: Any, exclude: Any = None, using: str = "default") -> None:
        """Only the database can."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AppendOnly) and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)
