"""What the code declares, brought into the database: a live generation of each projection, a row of each effect."""

from __future__ import annotations

from django.db import connection

from apps.consumers import effects, generations, models, projections


def ensure_all() -> None:
    """Idempotent. Run as the application, when tables and functions have their owner: it makes the generations.

    Does nothing before the tables of consumers are migrated.
    """
    if models.Generation._meta.db_table not in connection.introspection.table_names():
        return
    for projection in projections.all_projections():
        generations.ensure_live(projection)
    for effect in effects.all_effects():
        effects.ensure(effect)
