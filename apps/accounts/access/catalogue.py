"""What can be permitted: an action on a kind of thing, written `resource:action`."""

from __future__ import annotations

from apps.kernel import errors, wording

RESOURCES = (
    "users", "tenants", "modules", "settings", "products", "categories", "orders", "customers", "inventory",
    "discounts", "posts", "pages", "nodes", "media", "comments", "analytics", "logs", "webhooks",
    "collections", "content_categories", "tags", "menus", "shares", "roles", "api_keys", "audit", "operations",
)  # fmt: skip
# `manage` implies all others on its resource.
MANAGE = "manage"
ACTIONS = ("create", "read", "update", "delete", "list", "export", "import", MANAGE)

PERMISSIONS = frozenset(f"{resource}:{action}" for resource in RESOURCES for action in ACTIONS)

# These resources are nodes of one kind: a grant on them is a grant on nodes, limited to that kind.
KIND_OF = {"pages": "page", "posts": "post", "comments": "comment"}

# Which constraints a grant on a resource may carry; what is not listed takes none.
CONSTRAINTS: dict[str, tuple[str, ...]] = {
    "nodes": ("own", "kind", "locale", "published"),
    **dict.fromkeys(KIND_OF, ("own", "locale", "published")),
    "media": ("own",),
    "products": ("category", "published"),
    "orders": ("own",),
}

# Of the installation, not of a tenant: held as plain permissions of Django, given to platform staff only.
OPEN_BREAK_GLASS = "accounts.open_break_glass"
PLATFORM_PERMISSIONS = frozenset({"consumers.operate_events", OPEN_BREAK_GLASS})


class UnknownPermission(errors.ValidationFailed):
    """No such resource, or no such action on it. Take a permission from the catalogue of permissions."""

    code = "unknown_permission"


def check(permission: str) -> str:
    """The permission itself. Raises UnknownPermission, which suggests the nearest one."""
    if permission not in PERMISSIONS:
        hint = errors.did_you_mean(permission, PERMISSIONS)
        detail = wording.say(
            '"{permission}" is no permission; one looks like products:update.{hint}', permission=permission, hint=hint
        )
        problem = errors.FieldProblem("/grants", "unknown_permission", detail)
        raise UnknownPermission(detail, problems=[problem])
    return permission
