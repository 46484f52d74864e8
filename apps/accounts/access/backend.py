"""The admin asks the same engine: Django's `content.view_node` becomes `nodes:read` in the tenant of the host."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import admin
from django.contrib.auth.backends import ModelBackend
from django.utils import timezone

from apps.accounts import models
from apps.accounts.access import catalogue, engine, matrix, rights
from apps.tenants import scope

ACTIONS = {"view": "read", "add": "create", "change": "update", "delete": "delete"}


class AccessBackend(ModelBackend):
    """What is behind the door is the engine's to say, never that of Django's groups.

    Superusers may everything, as Django has it. On a host of no tenant nobody else may anything but what the platform
    itself gives to its staff.
    """

    def has_perm(self, user_obj: Any, perm: str, obj: Any = None) -> bool:
        if perm in catalogue.PLATFORM_PERMISSIONS:
            return bool(getattr(user_obj, "is_staff", False)) and super().has_perm(user_obj, perm, obj)
        permission = permission_behind(perm)
        return permission is not None and rights_here(user_obj).allows(permission)

    def has_module_perms(self, user_obj: Any, app_label: str) -> bool:
        """Whether any screen of the app opens."""
        if any(
            name.startswith(f"{app_label}.") and self.has_perm(user_obj, name)
            for name in catalogue.PLATFORM_PERMISSIONS
        ):
            return True
        held = rights_here(user_obj)
        shown = {resource for (app, _), resource in resources().items() if app == app_label}
        return any(held.allows(f"{resource}:read") for resource in shown)


def rights_here(user: Any) -> rights.Rights:
    """What the user may do in the tenant of the host; read once for all questions of a page."""
    at_work = scope.find()
    if at_work is None or not isinstance(user, models.User) or not user.is_active:
        return rights.NOTHING
    known: dict[uuid.UUID, rights.Rights] = user.__dict__.setdefault("_rights_by_tenant", {})
    if at_work.tenant_id not in known:
        known[at_work.tenant_id] = engine.rights_of(user, at_work.tenant_id, now=timezone.now())
        engine.act(known[at_work.tenant_id])
    return known[at_work.tenant_id]


def works_here(user: Any) -> bool:
    """Whether the user does more in the tenant of the host than customers do, or was let in for an emergency.

    Superusers do so everywhere, as long as they are staff.
    """
    if user.is_superuser and not user.is_staff:
        return False
    held = rights_here(user)
    return bool(held.alternatives) and not {*held.roles} <= {matrix.CUSTOMER}


def permission_behind(perm: str) -> str | None:
    """`nodes:read` for `content.view_node`; None where no screen shows the model to tenants."""
    app_label, _, codename = perm.partition(".")
    verb, _, model = codename.partition("_")
    resource = resources().get((app_label, model))
    return f"{resource}:{ACTIONS[verb]}" if resource and verb in ACTIONS else None


def resources() -> dict[tuple[str, str], str]:
    """By app and model: the `resource` its screen names, and for rows shown within a screen that screen's."""
    found: dict[tuple[str, str], str] = {}
    for model, screen in admin.site._registry.items():
        if resource := getattr(screen, "resource", None):
            for shown in (model, *(inline.model for inline in screen.inlines)):
                found.setdefault((shown._meta.app_label, str(shown._meta.model_name)), str(resource))
    return found
