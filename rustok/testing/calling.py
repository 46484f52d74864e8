"""People who call the API, with whatever roles they hold in the tenant."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from django.test import Client

from apps.accounts import models
from apps.accounts.access import members
from apps.tenants import models as tenants
from rustok.testing import contexts, factories


@dataclass
class Caller:
    """A user with a token, calling the management API of a tenant."""

    tenant: tenants.Tenant
    user: models.User
    client: Client = field(default_factory=Client)

    def __post_init__(self) -> None:
        token = factories.make_tokens(self.user).access_token
        self.headers = {"X-Tenant": self.tenant.slug, "Authorization": f"Bearer {token}"}

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """The answer of `/api/v1/admin/<path>`; a write brings what it needs, and replaces whatever is there."""
        return self.client.generic(
            method,
            path if path.startswith("/") else f"/api/v1/admin/{path}",
            "" if body is None else json.dumps(body),
            content_type="application/json",
            headers=factories.write_headers(method) | self.headers | headers,
        )


def make_caller(tenant: tenants.Tenant, *roles: str, **fields: Any) -> Caller:
    """A new member of the tenant with these roles; with none, somebody who is no member."""
    user = factories.make_user(**fields)
    if roles:
        with contexts.at_work(tenant):
            members.put_member(user=user, roles=roles, by=None)
    return Caller(tenant, user)
