"""The two kinds of accounts share the machinery of logins and nothing else: a token of one is nothing to the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from apps.accounts import models
from apps.tenants import scope
from apps.tenants.models import TenantModel


@dataclass(frozen=True, slots=True)
class Realm:
    """`audience` is who its tokens are for; the tables are those of its accounts and of what these log in with."""

    audience: str
    accounts: type[Any]
    sessions: type[Any]
    refresh_tokens: type[Any]
    mailed_tokens: type[Any]

    @property
    def counted_as(self) -> str:
        """Whose accounts a guess is at: those of the realm, in the store those of the tenant in scope."""
        at_work = scope.find() if issubclass(self.accounts, TenantModel) else None
        return f"{self.audience}:{at_work.tenant_id}" if at_work else self.audience


STAFF = Realm("staff", models.User, models.Session, models.RefreshToken, models.MailedToken)
STORE = Realm("store", models.Customer, models.CustomerSession, models.CustomerRefreshToken, models.CustomerMailedToken)
