"""What can be filled in on the page of a product; its columns follow what the document holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from django.http import HttpRequest
from django.urls import reverse

from apps.accounts.desk import choosing, words
from apps.accounts.desk.sheets import Field, Section, Sheet, Table
from apps.commerce import queries
from apps.tenants import scope

MOST_VARIANTS = 200
ALL_COMBINATIONS = "variants/all"


def sheet(document: Mapping[str, Any], *, is_new: bool, may_count: bool, may_collect: bool) -> Sheet:
    locales = words.locales_of(document)
    return Sheet(
        [
            words.languages(fields=_WORDS, shown_by="title", document=document),
            _images(),
            _options(locales),
            _variants(document, may_count=may_count),
            Section(title="Organisation", fields=_organisation(may_collect=may_collect), is_aside=True),
            Section(title="More", fields=_MORE, is_aside=True, is_folded=True),
        ]
    )


def names_of(request: HttpRequest, document: Mapping[str, Any]) -> Mapping[str, str]:
    """What the categories and collections chosen are called."""
    return {
        **choosing.names_of(request, "commerce.category", document.get("category_ids", [])),
        **choosing.names_of(request, "commerce.collection", document.get("collections", [])),
    }


_WORDS = (
    Field(name="translations/{locale}/title", label="Title", is_required=True),
    Field(name="translations/{locale}/subtitle", label="Subtitle"),
    Field(name="translations/{locale}/description", label="Description (HTML)", kind="body", lines=8),
    Field(
        name="translations/{locale}/handle", label="Handle", help="In the address; made of the title if it is empty."
    ),
    Field(name="translations/{locale}/meta_title", label="Title for search engines"),
    Field(name="translations/{locale}/meta_description", label="Description for search engines", kind="text", lines=2),
)
_MORE = (
    Field(name="is_gift_card", label="This is a gift card", kind="flag"),
    Field(name="seo", label="For search engines, by language (JSON)", kind="code", lines=4),
    Field(name="fields", label="Custom fields (JSON)", kind="code", lines=4),
    Field(name="metadata", label="Metadata (JSON)", kind="code", lines=5),
)


def _organisation(*, may_collect: bool) -> tuple[Field, ...]:
    return (
        Field(name="product_type", label="Type"),
        Field(name="vendor", label="Vendor"),
        Field(name="tags", label="Tags", help="Separated by commas."),
        Field(
            name="category_ids",
            label="Categories",
            kind="find_many",
            find=reverse("admin:commerce_category_find"),
        ),
        Field(
            name="collections",
            label="Collections",
            kind="find_many",
            find=reverse("admin:commerce_collection_find"),
            is_fixed=not may_collect,
        ),
    )


def _images() -> Table:
    columns = (
        Field(
            name="images/{row}/url",
            label="Address",
            kind="image",
            find=choosing.address_of("media.asset"),
            is_required=True,
        ),
        Field(name="images/{row}/alt", label="What it shows"),
    )
    return Table(name="images", title="Images", row="an image", columns=columns, picture="images/{row}/url")


def _options(locales: list[str]) -> Table:
    def fields(locale: str) -> tuple[Field, Field]:
        several = f" ({locale})" if len(locales) > 1 else ""
        return (
            Field(name=f"options/{{row}}/names/{locale}", label=f"Option{several}"),
            Field(name=f"options/{{row}}/values/{locale}", label=f"Values{several}, one a line", kind="text", lines=3),
        )

    return Table(
        name="options",
        title="Options",
        row="an option",
        columns=fields(locales[0]),
        details=[each for locale in locales[1:] for each in fields(locale)],
        note="What customers choose by, such as size and colour. Values stand in the same order in every language.",
    )


def _variants(document: Mapping[str, Any], *, may_count: bool) -> Table:
    stored = [row for row in document.get("variants", []) if not row.startswith("new")]
    is_fixed = len(stored) > MOST_VARIANTS
    note = (
        f"With more than {MOST_VARIANTS} variants they are changed by an import or the API; here they are shown."
        if is_fixed
        else ""
    )
    return Table(
        name="variants",
        title="Variants",
        row="a variant",
        columns=[_fixed(each, is_fixed) for each in _columns(document, may_count=may_count)],
        details=[_fixed(each, is_fixed) for each in _details(document)],
        more=[(ALL_COMBINATIONS, f"Add all combinations, {MOST_VARIANTS} at most")] if document.get("options") else [],
        note=note,
        is_fixed=is_fixed,
    )


def _columns(document: Mapping[str, Any], *, may_count: bool) -> Iterable[Field]:
    at_work = scope.current()
    for index, option in enumerate(document.get("options", [])):
        values = str(document.get(f"options/{option}/values/{at_work.default_locale}", "")).split("\n")
        name = document.get(f"options/{option}/names/{at_work.default_locale}") or f"Option {index + 1}"
        yield Field(
            name=f"variants/{{row}}/values/{index}",
            label=str(name),
            suggestions=tuple(value.strip() for value in values if value.strip()),
        )
    yield Field(name="variants/{row}/sku", label="SKU")
    for currency in currencies(document):
        yield Field(name=f"variants/{{row}}/prices/{currency}/amount", label=f"Price {currency}", kind="number")
        yield Field(name=f"variants/{{row}}/prices/{currency}/compare_at", label="Compare at", kind="number")
    for code in locations(document):
        yield Field(
            name=f"variants/{{row}}/stock/{code}",
            label=f"Stock {code}" if code != "default" else "Stock",
            kind="number",
            is_live=True,
            is_fixed=not may_count,
        )


def _details(document: Mapping[str, Any]) -> Iterable[Field]:
    urls = [str(document.get(f"images/{row}/url", "")) for row in document.get("images", [])]
    yield Field(name="variants/{row}/barcode", label="Barcode")
    yield Field(name="variants/{row}/weight_grams", label="Weight in grams", kind="number")
    yield Field(
        name="variants/{row}/image",
        label="Image",
        kind="choice",
        choices=(("", "–"), *((url, url.rsplit("/", 1)[-1]) for url in urls if url)),
    )
    yield Field(name="variants/{row}/manage_inventory", label="Stock is counted", kind="flag")
    yield Field(name="variants/{row}/inventory_policy", label="Sold on when there is none left", kind="flag")
    yield Field(name="variants/{row}/requires_shipping", label="Has to be shipped", kind="flag")
    yield Field(name="variants/{row}/metadata", label="Metadata (JSON)", kind="code", lines=3)


def currencies(document: Mapping[str, Any]) -> list[str]:
    """The tenant's own first, then others that have prices."""
    own = scope.current().currency
    used = {path.split("/")[3] for path in document if path.startswith("variants/") and "/prices/" in path}
    return [own, *sorted(used - {own})]


def locations(document: Mapping[str, Any]) -> list[str]:
    codes = [location.code for location in queries.list_locations().order_by("code")[:8]]
    used = {path.split("/")[3] for path in document if path.startswith("variants/") and "/stock/" in path}
    return sorted({*codes, *used} or {"default"}, key=lambda code: (code != "default", code))


def _fixed(each: Field, is_fixed: bool) -> Field:
    return replace(each, is_fixed=each.is_fixed or is_fixed)
