"""Content in the admin: nodes with their tree, the terms they are found by, and where old addresses lead."""

from apps.content.admin import menus, nodes, panels, redirects, terms

__all__ = ["menus", "nodes", "panels", "redirects", "terms"]
