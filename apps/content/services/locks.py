"""The content lock: whoever changes a tenant's trees or slugs holds it until the transaction ends.

Cycles, depths, positions among siblings and free slugs are facts about many rows; one lock per tenant makes reading
and then writing them safe, and there is only one to take, so nobody waits in a circle. It is taken before any row lock.
"""

from __future__ import annotations

from django.db import connection

from apps.tenants import scope


def lock_content() -> None:
    """Wait until no other transaction changes trees or slugs of this tenant. Needs an open transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"content:{scope.current_id()}"])
