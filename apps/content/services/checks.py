"""Checks of what an input refers to, shared by creating and editing."""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from apps.content import models
from apps.content.services.errors import LocaleNotEnabled
from apps.kernel import errors, ids
from apps.tenants import scope


def check_locales(locales: Iterable[str]) -> None:
    """Raises LocaleNotEnabled, which names the enabled ones."""
    at_work = scope.current()
    unknown = sorted(set(locales) - set(at_work.locales))
    if unknown:
        details = [at_work.not_enabled(locale) for locale in unknown]
        raise LocaleNotEnabled(
            "; ".join(details),
            problems=[errors.FieldProblem("/locale", "locale_not_enabled", detail) for detail in details],
        )


def check_bodies_are_translated(bodies: set[str], translations: set[str]) -> None:
    """Raises ValidationFailed for a body in a locale without title and slug."""
    if untranslated := bodies - translations:
        raise errors.ValidationFailed.for_field(
            "/bodies",
            "body_without_translation",
            f"there is no translation for {', '.join(sorted(untranslated))}; a body needs a title beside it.",
        )


def check_terms(*, category_ids: set[uuid.UUID], tag_ids: set[uuid.UUID]) -> None:
    """Raises ValidationFailed for a category or tag that is not there."""
    if category_ids:
        known = set(models.Category.objects.filter(id__in=category_ids).values_list("id", flat=True))
        if missing := category_ids - known:
            raise unknown_ids("/category_ids", "cat", missing)
    if tag_ids:
        known = set(models.Tag.objects.filter(id__in=tag_ids).values_list("id", flat=True))
        if missing := tag_ids - known:
            raise unknown_ids("/tag_ids", "tag", missing)


def unknown_ids(pointer: str, prefix: str, missing: Iterable[uuid.UUID]) -> errors.ValidationFailed:
    """The error for references to objects that are not there."""
    named = ", ".join(ids.encode(prefix, value) for value in sorted(missing)[:5])
    return errors.ValidationFailed.for_field(pointer, "unknown_id", f"there is no {named} in this tenant.")
