"""The composite foreign key: a row may only reference a row of its own tenant, and the database says so."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models.constraints import BaseConstraint


class SameTenant(BaseConstraint):
    """FOREIGN KEY (tenant_id, <field>) REFERENCES <target> (tenant_id, id).

    The target needs a unique constraint on (tenant_id, id). `on_delete` is the database's action: CASCADE, RESTRICT
    or SET NULL, which clears only the field, never the tenant.
    """

    def __init__(self, *, field: str, name: str, on_delete: str = "CASCADE") -> None:
        super().__init__(name=name)
        if on_delete not in {"CASCADE", "RESTRICT", "SET NULL"}:
            raise ValueError(f"{name}: on_delete is CASCADE, RESTRICT or SET NULL, not {on_delete}")
        self.field = field
        self.on_delete = on_delete

    def create_sql(self, model: Any, schema_editor: Any) -> str:
        """Run last in the migration: the target's unique constraint may come later in it."""
        quote = schema_editor.quote_name
        field = model._meta.get_field(self.field)
        target = field.related_model._meta.db_table
        column = field.column
        action = f"SET NULL ({quote(column)})" if self.on_delete == "SET NULL" else self.on_delete
        schema_editor.deferred_sql.append(
            f"ALTER TABLE {quote(model._meta.db_table)} ADD CONSTRAINT {quote(self.name)} "
            f"FOREIGN KEY ({quote('tenant_id')}, {quote(column)}) "
            f"REFERENCES {quote(target)} ({quote('tenant_id')}, {quote('id')}) "
            f"ON DELETE {action} DEFERRABLE INITIALLY IMMEDIATE"
        )
        return ""

    def constraint_sql(self, model: Any, schema_editor: Any) -> str:
        return self.create_sql(model, schema_editor)

    def remove_sql(self, model: Any, schema_editor: Any) -> str:
        quote = schema_editor.quote_name
        return f"ALTER TABLE {quote(model._meta.db_table)} DROP CONSTRAINT {quote(self.name)}"

    def validate(self, model: Any, instance: Any, exclude: Any = None, using: str = "default") -> None:
        """The database checks it; a query here would only be a race."""

    def deconstruct(self) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
        path, arguments, options = super().deconstruct()
        options["field"] = self.field
        if self.on_delete != "CASCADE":
            options["on_delete"] = self.on_delete
        return path, tuple(arguments), options

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SameTenant) and self.deconstruct() == other.deconstruct()

    def __hash__(self) -> int:
        return hash((self.name, self.field, self.on_delete))


def tenant_key(name: str) -> models.UniqueConstraint:
    """Unique (tenant, id): what SameTenant constraints of other tables point at."""
    return models.UniqueConstraint(fields=["tenant", "id"], name=name)
