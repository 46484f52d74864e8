"""Default deny: a view of the management API names the permission on the tenant it needs."""

from __future__ import annotations

from typing import Any

from rest_framework import exceptions
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from apps.accounts import rights
from apps.tenants import scope
from apps.tenants.models import Tenant


class LoggedIn(BasePermission):
    """Any account; without one the answer says how to come with one."""

    def has_permission(self, request: Request, view: Any) -> bool:
        if not request.user.is_authenticated:
            raise exceptions.NotAuthenticated(
                "Send Authorization: Bearer <token>; get one from POST /api/v1/auth/token."
            )
        return True


class TenantPermission(LoggedIn):
    """Grants when the user holds the view's `required_permission` on the tenant in scope."""

    message = "Your account may not do this in this tenant."

    def has_permission(self, request: Request, view: Any) -> bool:
        super().has_permission(request, view)
        required = getattr(view, "required_permission", None)
        at_work = scope.find()
        if required is None or at_work is None:
            return False
        scopes = getattr(request.auth, "scopes", None)
        is_held = request.user.has_perm(required, Tenant(id=at_work.tenant_id))
        return bool(is_held) and rights.scopes_cover(scopes, required)
