"""What content keeps: nodes with their words, the terms they are found by, and menus."""

from apps.content.models.menus import Location, Menu
from apps.content.models.nodes import (
    MAXIMUM_DEPTH,
    Body,
    Category,
    CategoryTranslation,
    Format,
    Node,
    NodeCategory,
    NodeTag,
    NodeTranslation,
    NodeUserObjectPermission,
    Redirect,
    Status,
    Tag,
    TagTranslation,
)

__all__ = [
    "MAXIMUM_DEPTH",
    "Body",
    "Category",
    "CategoryTranslation",
    "Format",
    "Location",
    "Menu",
    "Node",
    "NodeCategory",
    "NodeTag",
    "NodeTranslation",
    "NodeUserObjectPermission",
    "Redirect",
    "Status",
    "Tag",
    "TagTranslation",
]
