"""People who call the management API of a tenant, and the permissions they are given on the platform."""

from __future__ import annotations

from django.contrib.auth.models import Permission

from rustok.testing.calling import Caller, make_caller

__all__ = ["Caller", "make_caller", "platform_permission"]


def platform_permission(name: str) -> Permission:
    """The row of a permission of the platform, such as `accounts.open_break_glass`."""
    app_label, _, codename = name.partition(".")
    return Permission.objects.get(codename=codename, content_type__app_label=app_label)
