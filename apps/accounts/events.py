"""What is published about people and what they may do. Events are for ever, so they carry no e-mail address, no name of
somebody and no secret."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from apps.events import registry

ROLE, MEMBER, BREAK_GLASS = "accounts.role", "accounts.member", "accounts.break_glass"
CUSTOMER = "accounts.customer"


class Grant(registry.Payload):
    """A permission a role gives."""

    permission: Annotated[str, Field(description="resource:action")]
    constraint: Annotated[dict[str, Any], Field(description="What it is limited to; empty for no limit.")]


class RoleState(registry.Payload):
    """A role of the tenant's own making, whole."""

    slug: str
    name: str
    description: str
    grants: list[Grant]


@registry.event("accounts.role.created")
class RoleCreated(RoleState):
    """A tenant made a role of its own."""


@registry.event("accounts.role.updated")
class RoleUpdated(RoleState):
    """A role of a tenant's own changed; carries all of it."""


@registry.event("accounts.role.deleted")
class RoleDeleted(registry.Payload):
    """A role of a tenant's own is gone; nobody held it."""

    slug: str


class MemberState(registry.Payload):
    """The roles somebody holds in the tenant."""

    user_id: uuid.UUID
    roles: Annotated[list[str], Field(description="System roles by name, the tenant's own by slug.")]


@registry.event("accounts.member.added")
class MemberAdded(MemberState):
    """Somebody became a member of the tenant. The stream is the user's."""


@registry.event("accounts.member.roles_changed")
class MemberRolesChanged(MemberState):
    """A member holds other roles than before; carries all of them."""


@registry.event("accounts.member.removed")
class MemberRemoved(registry.Payload):
    """Somebody is no longer a member of the tenant."""

    user_id: uuid.UUID


@registry.event("accounts.break_glass.opened")
class BreakGlassOpened(registry.Payload):
    """Platform staff asked for access to the tenant in an emergency."""

    user_id: uuid.UUID
    reason: str
    ticket: str
    is_read_only: bool
    needs_approval: Annotated[bool, Field(description="It opens nothing before somebody else approves it.")]
    expires_at: datetime


@registry.event("accounts.break_glass.approved")
class BreakGlassApproved(registry.Payload):
    """Somebody else approved the access; from now on it opens the tenant."""

    approved_by: uuid.UUID


@registry.event("accounts.break_glass.closed")
class BreakGlassClosed(registry.Payload):
    """The access was given back before it expired."""


class CustomerState(registry.Payload):
    """A customer without what is personal; that is read from accounts, where it can be erased."""

    is_active: bool
    registered_at: datetime


@registry.event("accounts.customer.registered")
class CustomerRegistered(CustomerState):
    """Somebody confirmed their address and is a customer of the tenant."""


@registry.event("accounts.customer.updated")
class CustomerUpdated(CustomerState):
    """Something of the customer changed; who shows personal data should read them again."""
