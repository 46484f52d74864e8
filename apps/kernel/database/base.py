"""The connections of Django: isolated, counted, and never of a role that row policies do not hold."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from django.core.exceptions import ImproperlyConfigured
from django.db.backends.postgresql.base import DatabaseWrapper as PostgresWrapper
from django_prometheus.db.backends.postgresql.base import DatabaseWrapper as CountingWrapper
from django_prometheus.db.common import ExportingCursorWrapper

from apps.kernel.database import cursors, roles
from apps.kernel.database.cursors import IsolatedCursor, IsolatedServerSideCursor


class DatabaseWrapper(CountingWrapper):  # type: ignore[misc] # without types
    """Settings may name a second login, MIGRATOR {"USER", "PASSWORD"}: see `as_migrator`."""

    settings_dict: dict[str, Any]
    _judged: ClassVar[set[tuple[str, str]]] = set()

    def get_connection_params(self) -> dict[str, Any]:
        params: dict[str, Any] = PostgresWrapper.get_connection_params(self)
        params["cursor_factory"] = ExportingCursorWrapper(IsolatedCursor, self.alias, self.vendor)
        return params

    def create_cursor(self, name: str | None = None) -> Any:
        if name is None:
            return super().create_cursor()
        # Outside a transaction it outlives the statement that declares it.
        return IsolatedServerSideCursor(
            self.connection, name=name, scrollable=False, withhold=self.connection.autocommit
        )

    def init_connection_state(self) -> None:
        super().init_connection_state()
        if not self.settings_dict.get("IS_MIGRATOR"):
            self._refuse_powerful_role()
            return
        with self.cursor() as cursor:
            # A role that policies hold after all gets an error, and does not migrate the few rows it sees.
            cursor.execute("SET row_security = off")

    def _commit(self) -> None:
        super()._commit()
        self._forget()

    def _rollback(self) -> None:
        super()._rollback()
        self._forget()

    def _forget(self) -> None:
        if self.connection is not None:
            cursors.forget(self.connection)

    @contextmanager
    def as_migrator(self) -> Iterator[None]:
        """Work as the role that may change tables and sees all rows, on a connection of its own, within the block.

        Raises ImproperlyConfigured when the settings do not say how.
        """
        login = self.settings_dict.get("MIGRATOR")
        if not login:
            raise ImproperlyConfigured("DATABASE_MIGRATOR_URL is not set: this needs the role that may change tables.")
        own = self.settings_dict
        options = {name: value for name, value in own["OPTIONS"].items() if name != "pool"}
        self.close()
        self.settings_dict = own | login | {"OPTIONS": options, "IS_MIGRATOR": True}
        try:
            yield
        finally:
            self.close()
            self.settings_dict = own

    @contextmanager
    def _nodb_cursor(self) -> Iterator[Any]:
        """Only to make and drop the databases of tests, which the role of the application may not."""
        with self.as_migrator(), super()._nodb_cursor() as cursor:
            yield cursor

    def _refuse_powerful_role(self) -> None:
        who = (self.settings_dict["NAME"], self.settings_dict["USER"])
        if who in self._judged:
            return
        try:
            with self.cursor() as cursor:
                roles.refuse_powerful(cursor)
        except roles.RoleTooPowerful:
            self.close()
            raise
        self._judged.add(who)
