"""One import or purge of a tenant at a time, in the whole installation."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection

from apps.kernel import errors


class TenantBusy(errors.Conflict):
    """Another process imports or purges the same tenant."""

    code = "tenant_busy"


@contextmanager
def only_one(tenant_id: uuid.UUID) -> Iterator[None]:
    """A session lock: it ends with the block, or with the process. Raises TenantBusy."""
    key = f"lifecycle:{tenant_id}"
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", [key])
        if not cursor.fetchone()[0]:
            raise TenantBusy(f"Another process imports or purges the tenant {tenant_id}; wait for it.")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", [key])
