"""Default deny: a view declares for each method the one permission it needs, and this checks it."""

from __future__ import annotations

from typing import Any, ClassVar

from django.utils import timezone
from rest_framework import exceptions
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from apps.accounts.access import declaring, engine, limiting
from apps.kernel import errors, operations, problems, wording
from apps.tenants import scope


class LoggedIn(BasePermission):
    """Any account; without one the answer says how to come with one."""

    refuses: ClassVar[operations.Refusals] = (problems.NotAuthenticated,)

    def has_permission(self, request: Request, view: Any) -> bool:
        if not request.user.is_authenticated:
            raise problems.NotAuthenticated(
                wording.say("Send Authorization: Bearer <token>; get one from POST /api/v1/auth/token.")
            )
        return True


class InTenant(LoggedIn):
    """Any account, with its rights in the tenant the request is for; what it asks for is about itself."""

    refuses = (*LoggedIn.refuses, errors.Forbidden)

    def has_permission(self, request: Request, view: Any) -> bool:
        super().has_permission(request, view)
        at_work = scope.find()
        if at_work is None:
            return False
        held = engine.rights_of(request.user, at_work.tenant_id, now=timezone.now())
        # A key or token may be limited to scopes: then the grant is needed, and the scope.
        engine.act(held.limited_to(getattr(request.auth, "scopes", None)))
        return True


class TenantPermission(InTenant):
    """Grants when the account holds what the view declares in `permissions`, in the tenant in scope.

    Where a view is `shareable`, a member without the permission may have been given this one object: `is_shared`.
    """

    refuses = (*InTenant.refuses, limiting.NotPermitted)
    message = "Your account may not do this in this tenant."
    limited = "The key or token you came with may not do this in this tenant."

    def has_permission(self, request: Request, view: Any) -> bool:
        super().has_permission(request, view)
        if request.method not in view.allowed_methods:
            raise exceptions.MethodNotAllowed(request.method or "")  # nobody may, whatever they hold
        permission, acting = declaring.permission_of(view, request.method or ""), engine.acting()
        if permission is None or acting is None:
            return False
        if acting.allows(permission):
            return True
        said = TenantPermission.message if getattr(request.auth, "scopes", None) is None else TenantPermission.limited
        self.message = f'{said} It needs "{permission}".'
        shared = declaring.shared_action(view, request.method or "")
        return acting.is_member and shared is not None and bool(view.is_shared(shared))
