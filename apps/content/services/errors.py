"""The anticipated errors of content that more than one service raises."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import IntegrityError

from apps.kernel import errors


class NodeNotFound(errors.NotFound):
    code = "node_not_found"


class CategoryNotFound(errors.NotFound):
    code = "category_not_found"


class TagNotFound(errors.NotFound):
    code = "tag_not_found"


class TranslationNotFound(errors.NotFound):
    code = "translation_not_found"


class SlugTaken(errors.Conflict):
    """Another object has this slug in the same kind (or taxonomy) and locale."""

    code = "slug_taken"


class ExternalIdTaken(errors.Conflict):
    """Another node carries this external id."""

    code = "external_id_taken"


class LocaleNotEnabled(errors.ValidationFailed):
    """The tenant does not publish in this locale."""

    code = "locale_not_enabled"


class TreeCycle(errors.Conflict):
    """A node would become its own ancestor."""

    code = "tree_cycle"


class TreeTooDeep(errors.Conflict):
    """A node would have more ancestors than a tree may have levels."""

    code = "tree_too_deep"


class WrongChildren(errors.ValidationFailed):
    """The list to order by is not exactly the children."""

    code = "wrong_children"


class LastTranslation(errors.Conflict):
    """A node has at least one translation."""

    code = "last_translation"


_BY_CONSTRAINT: dict[str, tuple[type[errors.Conflict], str]] = {
    "content_nodetranslation_slug": (SlugTaken, "The slug was taken a moment ago; choose another one."),
    "content_categorytranslation_slug": (SlugTaken, "The slug was taken a moment ago; choose another one."),
    "content_tagtranslation_slug": (SlugTaken, "The slug was taken a moment ago; choose another one."),
    "content_node_external_id": (ExternalIdTaken, "The external id was taken a moment ago."),
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
        raise kind(detail) from error
