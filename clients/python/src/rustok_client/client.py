"""The client: every operation of the API, and logins that renew themselves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rustok_client import models
from rustok_client.operations import Operations
from rustok_client.sending import Answer, ProblemError


@dataclass(frozen=True, slots=True)
class _Session:
    refresh_token: str
    renew: Callable[[models.Refresh], Answer[models.Tokens]]


class Client(Operations):
    """All operations of an installation; safe to use from several threads.

    Give it a `token`, an API key or an access token, or log in: then it renews the token by itself.
    """

    _session: _Session | None = None

    def log_in(self, email: str, password: str, *, code: str | None = None) -> models.StaffLogin:
        """As somebody who works in tenants; `code` is that of the second factor. Raises ProblemError."""
        anybody = self._anybody()
        login = anybody.login({"email": email, "password": password, "code": code}).data
        self.token, self._session = login["access_token"], _Session(login["refresh_token"], anybody.refresh)
        return login

    def log_in_as_customer(self, email: str, password: str) -> models.CustomerLogin:
        """As a customer of the tenant. Raises ProblemError."""
        anybody = self._anybody()
        login = anybody.account_login({"email": email, "password": password}).data
        self.token, self._session = login["access_token"], _Session(login["refresh_token"], anybody.account_refresh)
        return login

    def refresh_token(self, refused: str) -> bool:
        with self._renewing:
            session = self._session
            if self.token != refused or session is None:  # another thread was faster, or there is no session
                return self.token != refused
            try:
                renewed = session.renew({"refresh_token": session.refresh_token}).data
            except ProblemError:
                self._session = None  # it has ended; whoever asks hears of the refusal
                return False
            self.token = renewed["access_token"]
            self._session = _Session(renewed["refresh_token"], session.renew)
            return True

    def _anybody(self) -> Operations:
        """The same without a token: what takes secrets needs none."""
        other = Operations(self._base, timeout=self._timeout, patience=self._patience, pool=self._pool)
        other._always = self._always
        return other
