"""What a view needs: exactly one permission per method, or a reason why anybody may call it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver

from apps.accounts.access import catalogue

_READING = {"HEAD": "GET"}
# Views of others that can't say it themselves.
_PUBLIC = {
    "drf_spectacular.views.SpectacularRedocView": "the API's description holds no data",
    "drf_spectacular.views.SpectacularSwaggerSplitView": "the API's description holds no data",
}


@dataclass(frozen=True, slots=True)
class Route:
    """A method of an address, with the permission it needs or, where `permission` is None, why it needs none."""

    method: str
    path: str
    permission: str | None
    public: str = ""
    is_shareable: bool = False


def permission_of(view: Any, method: str) -> str | None:
    """The permission a view declares in `permissions` for a method, or None."""
    permission: str | None = (getattr(view, "permissions", None) or {}).get(_READING.get(method, method))
    return permission


def shared_action(view: Any, method: str) -> str | None:
    """What an explicit sharing of the object must allow to open the view: `read` or `update`; None where none does."""
    action: str | None = (getattr(view, "shareable", None) or {}).get(_READING.get(method, method))
    return action


def routes() -> list[Route]:
    """Every method of every view of the API, as the URLs lead to it."""
    return [route for path, view in api_views() for route in routes_of(path, view)]


def routes_of(path: str, view: Any) -> Iterator[Route]:
    for method in methods_of(view):
        permission, public = permission_of(view, method), public_reason(view)
        yield Route(method, path, permission, public, shared_action(view, method) is not None)


def problems(views: Iterable[tuple[str, Any]]) -> list[str]:
    """What is wrong with the declarations of these views: a method without one, with two, or with an unknown one."""
    found = []
    for path, view in views:
        declared, public = getattr(view, "permissions", None) or {}, public_reason(view)
        for method in methods_of(view):
            if method not in declared and not public:
                found.append(f"{method} {path} declares no permission and is not public")
        if declared and public:
            found.append(f"{path} is public and declares permissions")
        for method, permission in declared.items():
            if method not in methods_of(view):
                found.append(f"{path} declares a permission for {method}, which it does not answer")
            if permission not in catalogue.PERMISSIONS:
                found.append(f"{method} {path} needs {permission}, which is in no catalogue")
    return found


def public_reason(view: Any) -> str:
    """Why a view needs no permission; empty where it needs one."""
    return getattr(view, "public", "") or _PUBLIC.get(f"{view.__module__}.{view.__qualname__}", "")


def methods_of(view: Any) -> list[str]:
    known = ("get", "post", "put", "patch", "delete")
    return [name.upper() for name in known if callable(getattr(view, name, None))]


def api_views() -> list[tuple[str, Any]]:
    """Path and class of every view of the API, in the order of the URLs."""
    return list(_walk(get_resolver().url_patterns, "/"))


def _walk(patterns: Iterable[Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for entry in patterns:
        path = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from _walk(entry.url_patterns, path)
        elif isinstance(entry, URLPattern) and (view := getattr(entry.callback, "cls", None)) is not None:
            yield path, view
