"""The event catalogue: everything that is published, for people, under a strict content security policy."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest
from django.contrib.staticfiles import finders
from django.test import Client
from pydantic import BaseModel

from apps.consumers import catalogue
from apps.consumers.templatetags import marked
from apps.events import registry, schemas

OURS = [entry for entry in registry.all_types() if entry.payload.__module__.startswith("apps.")]


def show(query: str = "") -> Any:
    return Client().get(f"/events/catalogue{query}", headers={"host": "nobody.example"})


class Tags(HTMLParser):
    """Every start tag with its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_every_type_is_on_the_page_with_its_versions_and_hearers() -> None:
    answer = show()

    assert answer.status_code == 200
    page = answer.content.decode()
    ids = {attributes.get("id") for tag, attributes in Tags(page).found if tag == "article"}
    assert ids == {entry.name for entry in OURS}
    low = page.split('<article id="commerce.inventory.low">')[1].split("</article>")[0]
    assert "effect low_stock_notice" in low
    assert low.index("/schemas/commerce.inventory.low/2") < low.index("/schemas/commerce.inventory.low/1")
    assert "Harbour warehouse" in low


def test_the_page_needs_no_script_no_inline_style_and_nothing_from_elsewhere() -> None:
    answer = show()

    assert "script-src 'none'; style-src 'self';" in answer["Content-Security-Policy"]
    for tag, attributes in Tags(answer.content.decode()).found:
        assert tag not in {"script", "style", "iframe", "img"}
        assert not [name for name in attributes if name == "style" or name.startswith("on")]
        for name in ("href", "src", "action"):
            assert re.match(r"[/#]", attributes.get(name) or "/"), attributes
    assert finders.find("kernel/page.css")


def test_the_page_can_be_searched_and_shows_what_was_typed_as_text() -> None:
    found = show("?q=PRICE").content.decode()
    assert 'id="commerce.price.updated"' in found
    assert 'id="content.node.created"' not in found

    nothing = show("?q=<b>zebra").content.decode()
    assert "0 event types" in nothing
    assert "&lt;b&gt;zebra" in nothing
    assert "<b>" not in nothing


def test_code_in_descriptions_is_shown_as_code_and_nothing_else_is_markup() -> None:
    assert marked.marked("such as `EUR` & <b>`") == "such as <code>EUR</code> &amp; &lt;b&gt;`"


def test_fields_are_told_with_their_parts() -> None:
    product = next(entry for entry in catalogue.entries() if entry.name == "commerce.product.created")

    fields = {field.path: field for field in product.versions[0].fields}

    assert fields["variants"].kind == "list of Variant"
    assert fields["variants[].prices[].amount"].description.startswith("Integer minor units")
    assert fields["variants[].image_id"].kind == "uuid or null"
    assert fields["options[].names"].kind == "object of string by key"
    assert all(field.is_required for field in fields.values())
    assert product.projections == ["products"]


def test_an_optional_field_is_told_as_such() -> None:
    term = next(entry for entry in catalogue.entries() if entry.name == "content.tag.created")

    assert [field.is_required for field in term.versions[0].fields if field.path.endswith("description")] == [False]


def parts_of(payload: type[BaseModel]) -> set[str]:
    schema = schemas.of(payload, name="x.y.z", version=1)
    return {name for name, part in schema.get("$defs", {}).items() if not part.get("description")}


@pytest.mark.parametrize("entry", OURS, ids=lambda entry: entry.name)
def test_every_payload_and_every_part_of_it_is_described_in_a_sentence(entry: registry.EventType) -> None:
    assert entry.payload.__doc__ is not None
    assert entry.payload.__doc__.strip().endswith(".")
    assert parts_of(entry.payload) == set()
