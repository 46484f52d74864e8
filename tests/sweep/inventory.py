"""What can be called, and whose rows it works on: `tenant`, `platform` or `public`; None where it is unsaid."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.contrib.admin import ModelAdmin
from django.urls import URLPattern, URLResolver

from apps.accounts.access import declaring
from apps.consumers.projections import Projection
from apps.tenants import middleware

type Item = tuple[str, str | None]

CLASSES = ("tenant", "platform", "public")
# Screens of rows that belong to no tenant, and why they do not; only the platform's operators are let in.
PLATFORM_SCREENS = {
    "accounts.User": "people are the same in every tenant",
    "consumers.Consumer": "a consumer works the events of all tenants",
    "consumers.OperatorAction": "what operators did to consumers",
    "tenants.Purge": "receipts outlive their tenants",
    "tenants.Tenant": "the list of tenants itself",
}


def pages(patterns: Iterable[Any], prefix: str = "/") -> Iterator[tuple[str, Any]]:
    """Path and callback of every address but those of the admin, whose screens are counted by their models."""
    for entry in patterns:
        path = prefix + str(entry.pattern)
        if path.startswith("/admin/"):
            continue
        if isinstance(entry, URLResolver):
            yield from pages(entry.url_patterns, path)
        elif isinstance(entry, URLPattern):
            yield path, entry.callback


def of_page(path: str, callback: Any) -> str | None:
    """By the path where the middleware lets it by without a tenant; else by what view or page (`tenancy`) declares."""
    if path == "/" or path.startswith((*middleware._ANY_HOST, *middleware._PLATFORM)):
        return "public"
    view = getattr(callback, "cls", None)
    if view is None:
        return getattr(getattr(callback, "view_class", None), "tenancy", None)
    public, methods = declaring.public_reason(view), declaring.methods_of(view)
    says_all = all(public or declaring.permission_of(view, method) for method in methods)
    return "tenant" if methods and says_all else None


def of_screen(screen: ModelAdmin[Any]) -> str | None:
    if any(field.column == "tenant_id" for field in screen.model._meta.concrete_fields):
        return "tenant"
    return "platform" if screen.model._meta.label in PLATFORM_SCREENS else None


def of_projection(projection: Projection) -> str | None:
    """A row of a projection is a tenant's, or nobody knows whose."""
    tenanted = all("tenant_id" in relation.columns for relation in projection.all_relations)
    return "tenant" if tenanted else None


def of_declared(thing: Any) -> str | None:
    """Of a task, a command or an effect, which say it themselves."""
    said = getattr(thing, "tenancy", None)
    return said if said in CLASSES else None


def undeclared(items: Iterable[Item]) -> list[str]:
    return sorted(name for name, tenancy in items if tenancy is None)
