"""Checks of what an input refers to, shared by creating and editing."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from typing import Protocol

from apps.content import models
from apps.content.services.errors import LocaleNotEnabled
from apps.kernel import errors, ids, wording
from apps.tenants import scope


class Localised(Protocol):
    """A part of an input in one language."""

    @property
    def locale(self) -> str: ...


def check_locales(*, translations: Sequence[Localised] | None, bodies: Sequence[Localised] | None = None) -> None:
    """Raises LocaleNotEnabled, which points at each and names the enabled ones."""
    at_work = scope.current()
    problems = [
        errors.FieldProblem(f"/{part}/{index}/locale", "locale_not_enabled", at_work.refusal_of(entry.locale))
        for part, entries in (("translations", translations), ("bodies", bodies))
        for index, entry in enumerate(entries or ())
        if entry.locale not in at_work.locales
    ]
    if problems:
        details = [
            wording.say("{field}: {problem}", field=problem.pointer.lstrip("/"), problem=problem.detail)
            for problem in problems
        ]
        raise LocaleNotEnabled(wording.join("; ", details), problems=problems)


# What nodes are called where tenants define fields of their own.
FIELDS = "node"


def check_seo_locales(seo: Iterable[str]) -> None:
    """Raises LocaleNotEnabled."""
    at_work = scope.current()
    problems = [
        errors.FieldProblem(f"/seo/{locale}", "locale_not_enabled", at_work.refusal_of(locale))
        for locale in seo
        if locale not in at_work.locales
    ]
    if problems:
        raise LocaleNotEnabled(wording.join("; ", [problem.detail for problem in problems]), problems=problems)


def check_bodies_are_translated(bodies: set[str], translations: set[str]) -> None:
    """Raises ValidationFailed for a body in a locale without title and slug."""
    if untranslated := bodies - translations:
        raise errors.ValidationFailed.for_field(
            "/bodies",
            "body_without_translation",
            wording.say(
                "there is no translation for {untranslated}; a body needs a title beside it.",
                untranslated=", ".join(sorted(untranslated)),
            ),
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
    return errors.ValidationFailed.for_field(
        pointer, "unknown_id", wording.say("there is no {ids} in this tenant.", ids=named)
    )
