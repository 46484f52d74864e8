import io
import re

import pytest
from django.core.management import CommandError, call_command

from apps.events import schemas
from rustok import environment
from rustok.environment import Environment
from rustok.management.commands import docs_reference


def test_the_reference_pages_are_up_to_date():
    call_command("docs_reference", "--check")


def test_the_check_says_no_to_an_old_page_and_writing_mends_it(monkeypatch, tmp_path):
    monkeypatch.setattr(docs_reference, "FOLDER", tmp_path / "docs")

    with pytest.raises(CommandError, match="out of date"):
        call_command("docs_reference", "--check")
    call_command("docs_reference", stdout=io.StringIO())
    call_command("docs_reference", "--check")


def test_every_setting_is_described():
    page = docs_reference.render_settings()

    for name, field in Environment.model_fields.items():
        assert field.description, name
        assert f"| `{environment.variable_of(name)}` |" in page


def test_every_event_is_told_with_who_publishes_and_who_hears_it():
    page = docs_reference.render_events()

    low = page.split("## commerce.inventory.low\n")[1].split("\n## ")[0]
    assert "- version: 2\n- aggregate: `commerce.product`\n- published by: commerce\n" in low
    assert "- heard by: effect low_stock_notice\n" in low
    assert "| `remaining` | integer | yes |" in low
    assert all(f"## {name}\n" in page for name in schemas.published())


def test_every_field_of_an_input_is_told_with_its_bounds_and_codes():
    page = docs_reference.render_limits()

    node = page.split("### content.NewNode\n")[1].split("\n### ")[0]
    codes = "`position_must_be_non_negative`, `position_too_large`"
    assert f"| `position` | whole number | 0 to 100,000 |  | {codes} |\n" in node
    assert "| `translations` | list | 1 to 100 entries | yes | `too_long`, `too_short` |\n" in node
    assert "| `translations[]` | [TranslationInput](#contenttranslationinput) |  |  |  |\n" in node
    assert "### content.TranslationInput\n" in page
    # A model that an app has from below is linked where it is.
    linked = set(re.findall(r"\]\(#(\w+)\)", page))
    assert linked <= {heading.lower().replace(".", "") for heading in re.findall(r"^### (\S+)$", page, re.M)}
    assert "| `sku` | text | 0 to 255 characters |  | `sku_invalid_characters`, `sku_too_long` |\n" in page


def test_every_command_tells_its_exit_codes_or_needs_none():
    page = docs_reference.render_commands()

    for name in ("create_tenant", "events_schema", "events_verify", "import_shopify", "import_wordpress", "services"):
        assert f"## {name}\n" in page
        assert "xit" in page.split(f"## {name}\n")[1].split("\n## ")[0], name
