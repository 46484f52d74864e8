"""What is said in every language: its fields, its place in a document, and what services take of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from apps.accounts.desk.asking import Asked
from apps.accounts.desk.sheets import Document, Field, Languages
from apps.tenants import scope

GROUP = "translations"


def languages(*, fields: Sequence[Field], shown_by: str, document: Mapping[str, Any]) -> Languages:
    """The fields in the languages of the tenant, its own first, and in those the document has beside them."""
    return Languages(
        title="Words", fields=fields, locales=locales_of(document), shown_by=f"{GROUP}/{{locale}}/{shown_by}"
    )


def locales_of(document: Mapping[str, Any]) -> list[str]:
    at_work = scope.current()
    used = {path.split("/")[1] for path in document if path.startswith(f"{GROUP}/")}
    return [at_work.default_locale, *sorted({*at_work.locales, *used} - {at_work.default_locale})]


def stored(rows: Iterable[Any], *names: str) -> Document:
    """Translations as they are stored."""
    return {f"{GROUP}/{row.locale}/{name}": getattr(row, name) for row in rows for name in names}


def asked(wanted: Asked, *, only_changed: bool = False) -> list[dict[str, Any]]:
    """The languages something is written in, as services take them."""
    filled = {
        locale: {"locale": locale, **fields}
        for locale, fields in wanted.group(GROUP).items()
        if any(str(value).strip() for value in fields.values())
        and (not only_changed or wanted.changes(f"{GROUP}/{locale}"))
    }
    return wanted.listed(GROUP, filled)
