"""What can be permitted: an action on a kind of thing, written `resource:action`."""

from __future__ import annotations

RESOURCES = (
    "users", "tenants", "modules", "settings", "products", "categories", "orders", "customers", "inventory",
    "discounts", "posts", "pages", "nodes", "media", "comments", "analytics", "logs", "webhooks",
)  # fmt: skip
# `manage` implies all others on its resource.
ACTIONS = ("create", "read", "update", "delete", "list", "export", "import", "manage")

PERMISSIONS = frozenset(f"{resource}:{action}" for resource in RESOURCES for action in ACTIONS)
