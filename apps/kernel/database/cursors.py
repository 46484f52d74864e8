"""Cursors that tell the database whose rows the work at hand may see: `apps.kernel.isolation` says it.

They put `SET LOCAL app.tenant_id = …` in front of the first statement of a transaction, and of later ones when the
answer has changed. Both travel as one message, so it costs no round trip, and outside a transaction PostgreSQL runs
the two as one. What is set locally ends with the transaction: no pool, here or in front of the database, can carry it
on to somebody else. https://www.postgresql.org/docs/18/protocol-flow.html#PROTOCOL-FLOW-MULTI-STATEMENT
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql
from psycopg.pq import TransactionStatus

from apps.kernel import isolation

if TYPE_CHECKING:  # Django's are without types
    Cursor = psycopg.ClientCursor[Any]
    ServerSideCursor = psycopg.ServerCursor[Any]
else:
    from django.db.backends.postgresql.base import Cursor, ServerSideCursor

TELL = "SET LOCAL app.tenant_id = '{}'"
# What the transaction at work was told last; None when that is not certain, as after a ROLLBACK TO SAVEPOINT.
_TOLD = "_rustok_told"


class TransactionRequired(RuntimeError):
    """A statement that cannot be sent together with another was to run for a tenant outside a transaction."""


class IsolatedCursor(Cursor):
    """A client-side cursor; `execute` may be given several statements, whose first result is the current one."""

    def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
        shown = isolation.shown()
        telling = _telling(self.connection, shown)
        forget(self.connection)
        super().execute(_prefixed(telling, query), params, **options)
        if not _undoes_settings(query):
            _remember(self.connection, shown)
        if telling:
            self.nextset()
        return self

    def executemany(self, query: Any, params_seq: Iterable[Any], **options: Any) -> None:
        _tell_beforehand(self.connection)
        super().executemany(query, params_seq, **options)

    def copy(self, statement: Any, params: Any = None, **options: Any) -> Any:
        _tell_beforehand(self.connection)
        return super().copy(statement, params, **options)

    def stream(self, query: Any, params: Any = None, **options: Any) -> Any:
        _tell_beforehand(self.connection)
        return super().stream(query, params, **options)


class IsolatedServerSideCursor(ServerSideCursor):
    """A named cursor, whose DECLARE travels alone."""

    def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
        if not _is_alone(self.connection):
            _tell_beforehand(self.connection)
            return super().execute(query, params, **options)
        # It is declared WITH HOLD: PostgreSQL reads all rows at this commit, while it knows whose they may be.
        forget(self.connection)
        with self.connection.transaction():
            _tell_beforehand(self.connection)
            return super().execute(query, params, **options)


def _telling(connection: psycopg.Connection[Any], shown: str) -> str:
    """The statement that brings the transaction up to date, or nothing when it is."""
    status = connection.info.transaction_status
    if status == TransactionStatus.INERROR:
        return ""  # only a rollback gets through, and it must travel alone
    told = "" if status == TransactionStatus.IDLE else getattr(connection, _TOLD, None)
    return "" if told == shown else TELL.format(shown)


def _tell_beforehand(connection: psycopg.Connection[Any]) -> None:
    shown = isolation.shown()
    telling = _telling(connection, shown)
    if not telling:
        return
    if _is_alone(connection):
        raise TransactionRequired("COPY, executemany and stream need a transaction when they work for a tenant")
    with psycopg.ClientCursor(connection) as cursor:
        cursor.execute(telling)
    _remember(connection, shown)


def _is_alone(connection: psycopg.Connection[Any]) -> bool:
    return connection.autocommit and connection.info.transaction_status == TransactionStatus.IDLE


def forget(connection: psycopg.Connection[Any]) -> None:
    """Whatever its transaction was told, it is over."""
    setattr(connection, _TOLD, None)


def _remember(connection: psycopg.Connection[Any], shown: str) -> None:
    if connection.info.transaction_status == TransactionStatus.INTRANS:
        setattr(connection, _TOLD, shown)


def _undoes_settings(query: Any) -> bool:
    return isinstance(query, str) and query.startswith("ROLLBACK TO")


def _prefixed(telling: str, query: Any) -> Any:
    if not telling:
        return query
    if isinstance(query, bytes):
        return telling.encode() + b";" + query
    if isinstance(query, str):
        return f"{telling};{query}"
    return sql.SQL(telling + ";") + query
