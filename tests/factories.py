"""Coherent objects for tests: a tenant of one's own, so that tests never meet in the data."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.utils import timezone

from apps.accounts import clients, realms
from apps.accounts import models as accounts
from apps.accounts import services as account_services
from apps.tenants import models, queries, scope, services


def make_tenant(**fields: Any) -> models.Tenant:
    """An active tenant with a slug, and a domain `<slug>.test`, that no other test has."""
    slug = fields.pop("slug", f"tenant-{uuid.uuid4().hex[:12]}")
    fields = {"name": slug.title(), "domains": [f"{slug}.test"], "locales": ["de"]} | fields
    return services.create_tenant(new=services.NewTenant(slug=slug, **fields))


PASSWORD = "correct horse battery"


@contextmanager
def at_work(tenant: models.Tenant) -> Iterator[scope.Scope]:
    """Work in the tenant's scope."""
    with scope.use(queries.scope_of(tenant)) as entered:
        yield entered


def make_user(**fields: Any) -> accounts.User:
    email = fields.pop("email", f"{uuid.uuid4().hex[:12]}@example.test")
    return accounts.User.objects.create_user(email, fields.pop("password", PASSWORD), **fields)


def make_token(tenant: models.Tenant, role: str = "owner") -> str:
    """An access token of a member of the tenant with this role."""
    return make_tokens(make_member(tenant, role)).access_token


def make_member(tenant: models.Tenant, role: str = "owner", user: accounts.User | None = None) -> accounts.User:
    """The user, a new one if none is given, with this role in the tenant."""
    user = user or make_user()
    with at_work(tenant):
        account_services.grant_role(user=user, tenant=tenant, role=role)
    return user


def make_tokens(user: accounts.User, **facts: Any) -> account_services.Tokens:
    """The tokens of a session of the user, as after a login."""
    now = timezone.now()
    return account_services.open_session(realm=realms.STAFF, account=user, client=clients.Client(), now=now, **facts)


def make_customer_token(tenant: models.Tenant, name: str = "Cara") -> str:
    """An access token of a new customer of the tenant."""
    now = timezone.now()
    with at_work(tenant):
        customer = accounts.Customer.objects.create(
            email=f"{uuid.uuid4().hex[:12]}@example.test", name=name, created_at=now, email_verified_at=now
        )
        client = clients.Client()
        return account_services.open_session(realm=realms.STORE, account=customer, client=client, now=now).access_token


def write_headers(method: str) -> dict[str, str]:
    """What some writes are refused without: which version they replace, here whatever is there, and a key."""
    return {} if method in {"GET", "HEAD"} else {"If-Match": "*", "Idempotency-Key": str(uuid.uuid4())}
