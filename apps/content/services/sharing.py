"""Sharing one node with one member, to read or to update it, beside what their roles give."""

from __future__ import annotations

import uuid
from typing import Literal

from django.contrib.auth.models import Permission
from guardian.shortcuts import assign_perm

from apps.accounts.models import Membership, User
from apps.content import models, permitted
from apps.content.services import records
from apps.content.services.editing import locked_node
from apps.kernel import errors, ids, validation, wording
from apps.outbox.append import unit_of_work
from apps.tenants import scope

Action = Literal["read", "update"]
_CODENAMES: dict[Action, str] = {"read": "view_node", "update": "change_node"}


class NotAMember(errors.ValidationFailed):
    """Nodes are shared with members of the tenant only. Invite the person first."""

    code = "not_a_member"


class ShareNotFound(errors.NotFound):
    """The node is not shared with this user. List with whom it is."""

    code = "share_not_found"


class NewShare(validation.Input):
    """Updating includes reading; what was shared with the user before is replaced."""

    email: validation.Email
    action: Action


def share_node(*, node_id: uuid.UUID, new: NewShare) -> models.NodeUserObjectPermission:
    """Let a member read or update this node. Raises NodeNotFound, NotAMember; NotPermitted for what one lacks."""
    with unit_of_work():
        node = locked_node(node_id)
        permitted.check(new.action, node)
        user = _member(new.email)
        before = _find(node_id, user.pk)
        if before is None or action_of(before.permission) != new.action:
            if before is not None:
                before.delete()
            assign_perm(_CODENAMES[new.action], user, node)
            records.of_share(node_id, user.pk, before=_told(before), after=new.action)
    return models.NodeUserObjectPermission.objects.select_related("user", "permission").get(
        content_object=node, user=user
    )


def unshare_node(*, node_id: uuid.UUID, user_id: uuid.UUID) -> None:
    """Raises NodeNotFound, ShareNotFound."""
    with unit_of_work():
        permitted.check("read", locked_node(node_id))
        share = _find(node_id, user_id)
        if share is None:
            raise ShareNotFound(wording.say("The node is not shared with {user}.", user=ids.encode("user", user_id)))
        share.delete()
        records.of_share(node_id, user_id, before=_told(share), after=None)


def action_of(permission: Permission) -> Action:
    """What a stored permission lets the user do."""
    return "update" if permission.codename == _CODENAMES["update"] else "read"


def _find(node_id: uuid.UUID, user_id: uuid.UUID) -> models.NodeUserObjectPermission | None:
    shares = models.NodeUserObjectPermission.objects.select_related("permission")
    return shares.filter(content_object_id=node_id, user_id=user_id).first()


def _told(share: models.NodeUserObjectPermission | None) -> Action | None:
    return action_of(share.permission) if share else None


def _member(email: str) -> User:
    found = Membership.objects.filter(tenant_id=scope.current_id(), user__email=email, user__is_active=True)
    membership = found.select_related("user").first()
    if membership is None:
        raise NotAMember.for_field(
            "/email", "not_a_member", wording.say('"{email}" is no active member of this tenant.', email=email)
        )
    return membership.user
