"""Slugs: given or derived, free within their space."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable
from enum import Enum
from typing import Any

from django.db.models import Model

from apps.content.services.errors import SlugTaken
from apps.kernel import ids, text, wording


class WhenTaken(Enum):
    """What to do with a given slug that another object has. A derived one always gets a number."""

    REFUSE = "refuse"
    NUMBER = "number"


class SlugSpace:
    """The slugs of one kind (or taxonomy) and locale, those of the rows about to be written included.

    Right only while the content lock is held.
    """

    def __init__(self, model: type[Model], **space: Any) -> None:
        self._model, self._space = model, space
        self._checked: set[str] = set()
        self._taken: set[str] = set()
        self._numbered: dict[str, set[str]] = {}
        self._next_number: dict[str, int] = {}

    def load(self, slugs: Iterable[str]) -> None:
        """Ask about many slugs at once."""
        unknown = set(slugs) - self._checked
        if unknown:
            self._checked |= unknown
            self._taken |= self._found(slug__in=unknown)

    def claim(
        self,
        *,
        given: str | None,
        title: str,
        prefix: str,
        owner: uuid.UUID,
        when_taken: WhenTaken = WhenTaken.REFUSE,
    ) -> str:
        """The slug to write: the given one, or one from the title, or one from the id. Raises SlugTaken."""
        wanted = given or derive(title=title, prefix=prefix, owner=owner)
        self.load([wanted])
        if wanted in self._taken:
            if given is not None and when_taken is WhenTaken.REFUSE:
                where = " ".join(str(value) for value in self._space.values())
                raise SlugTaken(
                    wording.say(
                        'The slug "{given}" is taken in {where}; choose another one, or leave it out to get '
                        "a free one.",
                        given=given,
                        where=where,
                    ),
                    slug=given,
                )
            wanted = self._next(wanted)
        self._taken.add(wanted)
        return wanted

    def _next(self, base: str) -> str:
        """`base-2`, or the first free number after it."""
        stem = base[: text.MAXIMUM_SLUG_LENGTH - 8].rstrip("-")
        if stem not in self._numbered:
            pattern = re.compile(re.escape(stem) + r"-\d+")
            alike = self._found(slug__startswith=f"{stem}-")
            self._numbered[stem] = {slug for slug in alike if pattern.fullmatch(slug)}
        number = self._next_number.get(stem, 2)
        while (slug := f"{stem}-{number}") in self._numbered[stem] or slug in self._taken:
            number += 1
        self._next_number[stem] = number + 1
        return slug

    def _found(self, **condition: Any) -> set[str]:
        rows = self._model._default_manager.filter(**self._space, **condition)
        return set(rows.values_list("slug", flat=True))


def derive(*, title: str, prefix: str, owner: uuid.UUID) -> str:
    """The slug the title spells in any script, or one of the id when it spells nothing."""
    return text.to_slug(title) or ids.encode(prefix, owner).replace("_", "-")
