"""django-prometheus and Django's connection pool, together.

Version 2.4.0, which a resolver prefers for its missing upper bound on Django, wraps the cursor class of a pooled
connection once more at every checkout: queries become slower and are counted many times over.
"""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django_prometheus.db import execute_total
from django_prometheus.db.common import ExportingCursorWrapper

CHECKOUTS = 50


@pytest.fixture
def pooled(committed_db: None) -> Iterator[BaseDatabaseWrapper]:
    """The default database as the web process has it: with a pool and no persistent connections."""
    plain = connections["default"]
    pooled = plain.copy()
    pooled.settings_dict["CONN_MAX_AGE"] = 0
    # The pool asks each connection whether it still works, and that is counted as well.
    pooled.settings_dict["CONN_HEALTH_CHECKS"] = False
    pooled.settings_dict["OPTIONS"] = {**plain.settings_dict["OPTIONS"], "pool": {"min_size": 1, "max_size": 2}}
    yield pooled
    pooled.close()
    pooled.close_pool()


def counted() -> float:
    return execute_total.labels("default", "postgresql")._value.get()


def wrappers(cursor: Any) -> int:
    return sum(
        base.__name__ == "CursorWrapper" and "django_prometheus" in base.__module__ for base in type(cursor).__mro__
    )


def test_each_query_is_counted_once_over_many_checkouts(pooled):
    with pooled.cursor():
        pass  # the first checkout opens the pool and asks for the server's version
    pooled.close()
    before = counted()

    for _ in range(CHECKOUTS):
        with pooled.cursor() as cursor:
            cursor.execute("SELECT 1")
            assert wrappers(cursor.cursor) == 1
        pooled.close()

    assert counted() - before == CHECKOUTS


def test_the_count_of_wrappers_notices_a_second_one():
    once = ExportingCursorWrapper(psycopg.Cursor, "default", "postgresql")
    twice = ExportingCursorWrapper(once, "default", "postgresql")

    assert wrappers(once.__new__(once)) == 1
    assert wrappers(twice.__new__(twice)) == 2
