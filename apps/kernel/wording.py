"""What people are told, in their language: English where it is written and in logs, translated where it is answered.

`say` marks a sentence for the translators; `manage.py messages` collects them into `rustok/locale`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.utils import translation
from django.utils.translation.trans_real import parse_accept_lang_header
from pydantic_core import PydanticCustomError


class Said(str):
    """English text that still knows its template, so that it can be said in another language."""

    __slots__ = ("template", "values")
    template: str
    values: dict[str, object]


def say(template: str, /, **values: object) -> Said:
    """The English sentence; `{name}` in the template stands for a value, which may itself have been said."""
    said = Said(template.format(**values))
    said.template, said.values = template, values
    return said


def mark(template: str) -> str:
    """A template that is said elsewhere, shown to whoever collects them for the translators."""
    return template


def join(separator: str, parts: Iterable[str]) -> Said:
    """The parts as one text, each of which is translated by itself."""
    values = {f"part{number}": part for number, part in enumerate(parts)}
    return say(separator.join(f"{{{name}}}" for name in values), **values)


def in_language(text: str, language: str) -> str:
    """What was said, in a language of `settings.LANGUAGES`; any other text, and what nobody translated, as it is."""
    if language == settings.LANGUAGE_CODE or not isinstance(text, Said):
        return str(text)
    with translation.override(language):
        return str(_translated(text))


def _translated(text: object) -> Any:
    if not isinstance(text, Said):
        return text
    template = translation.gettext(text.template) if text.template else ""
    return template.format(**{name: _translated(value) for name, value in text.values.items()})


def best_language(accepted: str) -> str:
    """The language of ours an Accept-Language header likes best (RFC 9110, 12.5.4); English when it likes none."""
    for tag, _quality in parse_accept_lang_header(accepted.lower()):
        if tag == "*":
            break
        try:
            return str(translation.get_supported_language_variant(tag))
        except LookupError:  # noqa: S112 - not one of ours; the next may be
            continue
    return str(settings.LANGUAGE_CODE)


def refusal(code: str, template: str, /, **values: object) -> PydanticCustomError:
    """What a validator of an input model raises; `code` is stable, the sentence is for people."""
    return PydanticCustomError(code, "{said}", {"said": say(template, **values)})
