"""Handles: a given one is taken as it is or refused, a derived one gets a number where it is taken."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db.models import Q

from apps.commerce import errors, models
from apps.kernel import text, wording
from apps.kernel.errors import FieldProblem
from apps.tenants import scope

type Translations = (
    type[models.ProductTranslation] | type[models.CategoryTranslation] | type[models.CollectionTranslation]
)
NOUNS = {
    "product": wording.say("product"),
    "category": wording.say("category"),
    "collection": wording.say("collection"),
}


@dataclass(frozen=True, slots=True)
class Wish:
    """`given` wins; without it a handle is made of `source`. `pointer` names the input in an error."""

    locale: str
    given: str | None
    source: str
    pointer: str = "/translations/0/handle"


def check_seo_locales(seo: Iterable[str]) -> None:
    """Raises LocaleNotEnabled."""
    at_work = scope.current()
    for locale in seo:
        if locale not in at_work.locales:
            raise errors.LocaleNotEnabled.for_field(f"/seo/{locale}", "locale_not_enabled", at_work.refusal_of(locale))


def check_locales(locales: Sequence[str], *, pointer: str = "/translations") -> None:
    """Raises LocaleNotEnabled for one the tenant does not publish in, or one given twice."""
    at_work = scope.current()
    for index, locale in enumerate(locales):
        if locale not in at_work.locales:
            raise errors.LocaleNotEnabled.for_field(
                f"{pointer}/{index}/locale", "locale_not_enabled", at_work.refusal_of(locale)
            )
        if locale in locales[:index]:
            raise errors.LocaleNotEnabled.for_field(
                f"{pointer}/{index}/locale",
                "locale_given_twice",
                wording.say('"{name}" is given twice.', name=locale),
            )


def settle(
    *,
    of: Translations,
    owner: str,
    groups: Sequence[Sequence[Wish]],
    owner_id: uuid.UUID | None = None,
) -> list[list[str] | errors.DuplicateHandle]:
    """The handles of each group of wishes, or why it can't have them; earlier groups have the first choice.

    `owner` is the name of the field that leads to the object; the handles of `owner_id` are free for it. One query,
    and one more when a derived handle is taken.
    """
    bases = {wish: wish.given or text.to_slug(wish.source) or owner for group in groups for wish in group}
    taken = _stored(of, owner, owner_id, Q(handle__in=set(bases.values()))) if bases else set()
    crowded = {(wish.locale, base) for wish, base in bases.items() if not wish.given and (wish.locale, base) in taken}
    if crowded:
        condition = Q()
        for locale, base in crowded:
            condition |= Q(locale=locale, handle__startswith=f"{base[:240]}-")
        taken |= _stored(of, owner, owner_id, condition)
    return [_settle_group(group, bases, taken, owner) for group in groups]


def _settle_group(
    group: Sequence[Wish], bases: dict[Wish, str], taken: set[tuple[str, str]], noun: str
) -> list[str] | errors.DuplicateHandle:
    handles = []
    for wish in group:
        handle = bases[wish]
        if (wish.locale, handle) in taken:
            if wish.given:
                detail = wording.say(
                    'The handle "{handle}" is taken by another {kind} in "{locale}"; choose another one.',
                    handle=handle,
                    kind=NOUNS[noun],
                    locale=wish.locale,
                )
                return errors.DuplicateHandle(
                    detail, problems=[FieldProblem(wish.pointer, "duplicate_handle", detail)], handle=handle
                )
            number = 2
            while (wish.locale, f"{handle[:240]}-{number}") in taken:
                number += 1
            handle = f"{handle[:240]}-{number}"
        handles.append(handle)
    taken.update((wish.locale, handle) for wish, handle in zip(group, handles, strict=True))
    return handles


def _stored(of: Translations, owner: str, owner_id: uuid.UUID | None, condition: Q) -> set[tuple[str, str]]:
    rows = of.objects.filter(condition)
    if owner_id is not None:
        rows = rows.exclude(**{f"{owner}_id": owner_id})
    return set(rows.values_list("locale", "handle"))
