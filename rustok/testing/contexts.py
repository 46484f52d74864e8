"""In which tenant work is done, and as whom."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from django.utils import timezone

from apps.accounts import models as accounts
from apps.accounts.access import engine, members
from apps.kernel import context
from apps.tenants import models, queries, scope


@contextmanager
def at_work(tenant: models.Tenant) -> Iterator[scope.Scope]:
    """Work in the tenant's scope: its rows are seen, and no others."""
    with scope.use(queries.scope_of(tenant)) as entered:
        yield entered


@contextmanager
def acting(actor: accounts.User | str) -> Iterator[context.Context]:
    """Work of the user, or of an actor such as `command:import`: events and the audit log name them."""
    named = actor if isinstance(actor, str) else f"user:{actor.pk}"
    with context.use(actor=named, correlation_id=uuid.uuid4()) as entered:
        yield entered


@contextmanager
def with_roles(tenant: models.Tenant, user: accounts.User, *roles: str) -> Iterator[scope.Scope]:
    """Work in the tenant as the user, who has exactly these roles there, as a request of theirs would.

    What they may not do raises Forbidden or NotFound where the service asks for it.
    """
    with at_work(tenant) as entered:
        members.put_member(user=user, roles=roles, by=None)
        with acting(user), engine.request():
            engine.act(engine.rights_of(user, tenant.id, now=timezone.now(), fresh=True))
            yield entered
