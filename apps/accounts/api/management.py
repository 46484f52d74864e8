"""Who else may come into the tenant: `/api/v1/admin/invitations` and `/api/v1/admin/api-keys`."""

from __future__ import annotations

from typing import ClassVar, TypedDict

from django.urls import path
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts import models
from apps.accounts.access import catalogue, granting
from apps.accounts.access import lists as access
from apps.accounts.api.auth import OwnView
from apps.accounts.services import invitations, keys
from apps.kernel import api, errors, filters, ids, validation
from apps.kernel.listing import Expansion, Listing, member
from apps.kernel.operations import Id, Moment, operation
from apps.tenants.endpoint import Endpoint


class Invitation(TypedDict):
    """`role` is what whoever accepts gets; the moments are null until they came."""

    id: Id
    email: str
    role: str
    requested_at: Moment
    sent_at: Moment | None
    expires_at: Moment | None
    accepted_at: Moment | None


class ApiKey(TypedDict):
    """An API key without its secret. `scopes` are permissions, `addresses` where it may be used from; none is all."""

    id: Id
    name: str
    prefix: str
    scopes: list[str]
    addresses: list[str]
    created_by: Id
    created_at: Moment
    expires_at: Moment
    revoked_at: Moment | None
    last_used_at: Moment | None


class IssuedApiKey(ApiKey):
    """`key` is shown once, in the answer that made it; where that answer is given again it is null."""

    key: str | None


def _shown(row: models.Invitation) -> Invitation:
    return {
        "id": ids.encode("inv", row.id),
        "email": row.email,
        "role": row.role,
        "requested_at": validation.to_text(row.requested_at),
        "sent_at": validation.to_text(row.sent_at) if row.sent_at else None,
        "expires_at": validation.to_text(row.expires_at) if row.expires_at else None,
        "accepted_at": validation.to_text(row.used_at) if row.used_at else None,
    }


INVITATIONS = Listing(
    document=Invitation,
    filters={
        "email": filters.words(read=filters.email),
        "role": filters.words(*filters.SAME),
        "requested_at": filters.moments(),
        "expires_at": filters.moments(),
        "accepted_at": filters.moments("used_at"),
    },
)


class InvitationsView(Endpoint):
    listing: ClassVar = INVITATIONS
    permissions: ClassVar = {"GET": "users:list", "POST": "users:create"}

    @operation("invitations", tag="people", answers=Invitation)
    def get(self, request: Request) -> Response:
        """Invitations into the tenant, newest first."""
        rows = models.Invitation.objects.all()
        return INVITATIONS.respond(request, rows, lambda page: [_shown(row) for row in page])

    @operation(
        "invite",
        tag="people",
        takes=invitations.NewInvitation,
        answers=Invitation,
        status=201,
        refuses=(granting.UnknownRole, invitations.RoleNotHeld),
    )
    def post(self, request: Request) -> Response:
        """Have an invitation with a role mailed; it is good for 72 hours."""
        new = api.read_input(request, invitations.NewInvitation)
        row = invitations.invite(new=new, by=OwnView.user_of(request), now=timezone.now())
        return Response(_shown(row), status=201)


class InvitationView(Endpoint):
    permissions: ClassVar = {"DELETE": "users:delete"}

    @operation("invitation_withdraw", tag="people", refuses=(invitations.InvitationNotFound,))
    def delete(self, request: Request, invitation_id: str) -> Response:
        """Withdraw an invitation nobody has accepted yet."""
        invitations.withdraw(invitation_id=ids.decode("inv", invitation_id))
        return Response(status=204)


def _shown_key(row: models.ApiKey) -> ApiKey:
    return {
        "id": ids.encode("key", row.id),
        "name": row.name,
        "prefix": row.prefix,
        "scopes": row.scopes,
        "addresses": row.addresses,
        "created_by": ids.encode("user", row.created_by_id),
        "created_at": validation.to_text(row.created_at),
        "expires_at": validation.to_text(row.expires_at),
        "revoked_at": validation.to_text(row.revoked_at) if row.revoked_at else None,
        "last_used_at": validation.to_text(row.last_used_at) if row.last_used_at else None,
    }


API_KEYS = Listing(
    document=ApiKey,
    filters={
        "name": filters.words(),
        "prefix": filters.words(),
        "created_by": filters.object_id("user"),
        "created_at": filters.moments(),
        "expires_at": filters.moments(),
        "revoked_at": filters.moments(),
        "last_used_at": filters.moments(),
    },
    expansions={"creator": Expansion(
            member("created_by"), access.members_by_id, is_many=False, listing=lambda: access.MEMBERS
        )},
)  # fmt: skip


class ApiKeysView(Endpoint):
    listing: ClassVar = API_KEYS
    secrets: ClassVar = ("key",)
    permissions: ClassVar = {"GET": "api_keys:list", "POST": "api_keys:create"}

    @operation("api_keys", tag="people", answers=ApiKey)
    def get(self, request: Request) -> Response:
        """API keys of the tenant, newest first, without their secrets."""
        rows = models.ApiKey.objects.all()
        return API_KEYS.respond(request, rows, lambda page: [_shown_key(row) for row in page])

    @operation(
        "api_key_create",
        tag="people",
        takes=keys.NewApiKey,
        answers=IssuedApiKey,
        status=201,
        refuses=(keys.ScopeNotHeld, catalogue.UnknownPermission, errors.Forbidden),
    )
    def post(self, request: Request) -> Response:
        """Make an API key with some of one's own rights. The key is shown in this answer only."""
        OwnView.session_of(request)
        new = api.read_input(request, keys.NewApiKey)
        made = keys.create_key(new=new, by=OwnView.user_of(request), now=timezone.now())
        return Response({**_shown_key(made.row), "key": made.key}, status=201)


class ApiKeyView(Endpoint):
    permissions: ClassVar = {"DELETE": "api_keys:delete"}

    @operation("api_key_revoke", tag="people", refuses=(keys.KeyNotFound, errors.Forbidden))
    def delete(self, request: Request, key_id: str) -> Response:
        """Revoke a key; it is refused from now on."""
        OwnView.session_of(request)
        keys.revoke_key(key_id=ids.decode("key", key_id), now=timezone.now())
        return Response(status=204)


class ApiKeyRotationView(Endpoint):
    secrets: ClassVar = ("key",)
    permissions: ClassVar = {"POST": "api_keys:create"}

    @operation(
        "api_key_rotate",
        tag="people",
        takes=keys.Rotation,
        answers=IssuedApiKey,
        status=201,
        refuses=(keys.KeyNotFound, keys.ScopeNotHeld, errors.Forbidden),
    )
    def post(self, request: Request, key_id: str) -> Response:
        """Make another key like this one, which goes on for `overlap_hours`. Only this answer shows it."""
        OwnView.session_of(request)
        made = keys.rotate_key(
            key_id=ids.decode("key", key_id),
            rotation=api.read_input(request, keys.Rotation),
            by=OwnView.user_of(request),
            now=timezone.now(),
        )
        return Response({**_shown_key(made.row), "key": made.key}, status=201)


urlpatterns = [
    path("api-keys", ApiKeysView.as_view()),
    path("api-keys/<str:key_id>", ApiKeyView.as_view()),
    path("api-keys/<str:key_id>/rotate", ApiKeyRotationView.as_view()),
    path("invitations", InvitationsView.as_view()),
    path("invitations/<str:invitation_id>", InvitationView.as_view()),
]
