"""Invitations into a tenant: mailed, and accepted by whoever reads the mail."""

from __future__ import annotations

import uuid
from contextlib import nullcontext
from datetime import datetime
from typing import NamedTuple

from django.contrib.auth.hashers import make_password
from django.db import transaction

from apps.accounts import access, models
from apps.accounts.access import granting, members, roles
from apps.accounts.models import Purpose
from apps.accounts.services import mailed, passwords, trail
from apps.kernel import errors, isolation, validation, wording
from apps.tenants import queries, scope


class NewInvitation(validation.Input):
    email: validation.Email
    role: roles.RoleName


class Acceptance(validation.Input):
    """`password` and `name` are for whoever has no account yet."""

    token: validation.Token
    name: validation.ShortText = ""
    password: passwords.NewPassword | None = None


class Joined(NamedTuple):
    """The slug of the tenant, and the role that came with the invitation."""

    tenant: str
    role: str


class RoleNotHeld(errors.Forbidden):
    """Nobody invites into a role that may do what they may not. Invite into another role."""

    code = "role_not_held"
    title = "You cannot give what you do not hold"


class InvitationNotFound(errors.NotFound):
    """There is no such invitation that is still open. List those that are, or invite anew."""

    code = "invitation_not_found"


def invite(*, new: NewInvitation, by: models.User, now: datetime) -> models.Invitation:
    """Invite an address into the tenant in scope. Raises ValidationFailed, UnknownRole, RoleNotHeld."""
    granting.check_assignable([new.role], pointer="/role")
    if not _may_give(by, new.role, now):
        raise RoleNotHeld(wording.say('The role "{role}" may do what you may not in this tenant.', role=new.role))
    with transaction.atomic():
        row: models.Invitation = mailed.ask(
            table=models.Invitation,
            purpose=Purpose.INVITATION,
            email=new.email,
            now=now,
            role=new.role,
            invited_by=by,
        )
        trail.tell_of_tenant("invitation", row, "made", after={"email": row.email, "role": row.role})
    return row


def withdraw(*, invitation_id: uuid.UUID) -> None:
    """Make an invitation that nobody accepted yet worthless. Raises InvitationNotFound."""
    with transaction.atomic():
        row = models.Invitation.objects.select_for_update().filter(id=invitation_id, used_at=None).first()
        if row is None:
            raise InvitationNotFound(wording.say("There is no such invitation that is still open."))
        trail.tell_of_tenant("invitation", row, "withdrawn", before={"email": row.email, "role": row.role})
        row.delete()


def accept(*, acceptance: Acceptance, now: datetime) -> Joined:
    """Join the tenant with the role of the invitation. The token shows who it was mailed to, so it says which account.

    Whoever invited must still be allowed to. Raises TokenUnusable, ValidationFailed without a password where an account
    has to be made, Busy.
    """
    # On the host of a tenant there are its own only; elsewhere the token says whose it is.
    with nullcontext() if scope.find() else isolation.all_tenants(reason="accept an invitation"):
        found = mailed.find_usable(table=models.Invitation, purpose=Purpose.INVITATION, token=acceptance.token, now=now)
        tenant = queries.get_tenant(slug_or_id=str(found.tenant_id))
        at_work = queries.scope_of(tenant)
    with scope.use(at_work):
        if not _may_give(found.invited_by, found.role, now):
            raise mailed.TokenUnusable(wording.say("The token is unknown, used or expired; ask for another mail."))
    user = models.User.objects.filter(email=found.email).first()
    if user is None:
        user = _new_user(found.email, acceptance, now)
    elif not user.is_active:
        raise mailed.TokenUnusable(wording.say("The token is unknown, used or expired; ask for another mail."))
    with (
        scope.use(at_work),
        mailed.using(table=models.Invitation, purpose=Purpose.INVITATION, token=acceptance.token, now=now),
    ):
        if user._state.adding:
            user.save()
            trail.tell(user, "user.created", after={"email": user.email, "name": user.name})
        trail.tell_of_tenant("invitation", found, "accepted", after={"user": user.pk, "role": found.role})
        members.add_role(user=user, role=found.role)
    return Joined(at_work.slug, found.role)


def _may_give(user: models.User, role: str, now: datetime) -> bool:
    return not access.rights_of(user, scope.current_id(), now=now).lacking(granting.grants_of([role]))


def _new_user(email: str, acceptance: Acceptance, now: datetime) -> models.User:
    user = models.User(email=email, name=acceptance.name, email_verified_at=now)
    if acceptance.password is None:
        raise errors.ValidationFailed.for_field(
            "/password", "password_needed", wording.say("choose a password; there is no account with this address yet.")
        )
    passwords.check_new(password=acceptance.password, account=user, pointer="/password")
    user.password = make_password(acceptance.password)
    return user
