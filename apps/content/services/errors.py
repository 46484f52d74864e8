"""The anticipated errors of content that more than one service raises."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import IntegrityError

from apps.kernel import errors, wording


class NodeNotFound(errors.NotFound):
    """The tenant has no such node, or it is not for whoever asks. List its nodes."""

    code = "node_not_found"


class CategoryNotFound(errors.NotFound):
    """The tenant has no such category of content. List its categories."""

    code = "category_not_found"


class TagNotFound(errors.NotFound):
    """The tenant has no such tag. List its tags."""

    code = "tag_not_found"


class MenuNotFound(errors.NotFound):
    """The tenant has no such menu. List its menus."""

    code = "menu_not_found"


class MenuItemNotFound(errors.NotFound):
    """The menu has no such item. Read the menu again."""

    code = "menu_item_not_found"


class TranslationNotFound(errors.NotFound):
    """The node is not translated into this locale. `detail` names those it is translated into."""

    code = "translation_not_found"


class SlugTaken(errors.Conflict):
    """Another object has this slug in the same kind (or taxonomy) and locale. Choose another one, or leave it out."""

    code = "slug_taken"
    title = "The slug is taken"


class ExternalIdTaken(errors.Conflict):
    """Another node, or menu, carries this external id. Update that one instead."""

    code = "external_id_taken"
    title = "The external id is taken"


class PathTaken(errors.Conflict):
    """An old path leads to another node already. Take it from there first, or leave it out."""

    code = "path_taken"
    title = "The path leads elsewhere"


class LocationTaken(errors.Conflict):
    """Another menu is shown at this location. Take it from there first, or choose another one."""

    code = "location_taken"
    title = "Another menu is shown there"


class LocaleNotEnabled(errors.ValidationFailed):
    """The tenant does not publish in this locale. Use one of those it has, or enable it first."""

    code = "locale_not_enabled"


class TreeCycle(errors.Conflict):
    """A node or category would become its own ancestor. Choose a parent outside of it."""

    code = "tree_cycle"
    title = "A tree has no circles"


class TreeTooDeep(errors.Conflict):
    """A node or category would have more ancestors than a tree may have levels. Choose a parent further up."""

    code = "tree_too_deep"
    title = "The tree would be too deep"


class WrongChildren(errors.ValidationFailed):
    """The list to order by is not exactly the children. Read them again and send each once."""

    code = "wrong_children"


class LastTranslation(errors.Conflict):
    """A node has at least one translation. Add another one first, or delete the node."""

    code = "last_translation"
    title = "A node keeps one translation"


_SLUG_TAKEN = wording.mark("The slug was taken a moment ago; choose another one.")
_EXTERNAL_ID_TAKEN = wording.mark("The external id was taken a moment ago.")
_BY_CONSTRAINT: dict[str, tuple[type[errors.Conflict], str]] = {
    "content_nodetranslation_slug": (SlugTaken, _SLUG_TAKEN),
    "content_categorytranslation_slug": (SlugTaken, _SLUG_TAKEN),
    "content_tagtranslation_slug": (SlugTaken, _SLUG_TAKEN),
    "content_node_external_id": (ExternalIdTaken, _EXTERNAL_ID_TAKEN),
    "content_menu_external_id": (ExternalIdTaken, _EXTERNAL_ID_TAKEN),
    "content_menu_location": (LocationTaken, wording.mark("Another menu was put there a moment ago.")),
}


@contextmanager
def named_integrity_errors() -> Iterator[None]:
    """Give a violation of a unique constraint the name a caller knows; all others go on as they are."""
    try:
        yield
    except IntegrityError as error:
        diagnostics = getattr(error.__cause__, "diag", None)
        named = _BY_CONSTRAINT.get(getattr(diagnostics, "constraint_name", None) or "")
        if named is None:
            raise
        kind, detail = named
        raise kind(wording.say(detail)) from error
