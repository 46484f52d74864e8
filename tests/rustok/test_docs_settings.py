import io

import pytest
from django.core.management import CommandError, call_command

from rustok import environment
from rustok.environment import Environment
from rustok.management.commands import docs_settings


def test_the_reference_page_is_up_to_date():
    call_command("docs_settings", "--check")


def test_the_check_says_no_to_an_old_page_and_writing_mends_it(monkeypatch, tmp_path):
    monkeypatch.setattr(docs_settings, "CHECKOUT", tmp_path)
    monkeypatch.setattr(docs_settings, "PAGE", tmp_path / "docs" / "settings.md")

    with pytest.raises(CommandError, match="out of date"):
        call_command("docs_settings", "--check")
    call_command("docs_settings", stdout=io.StringIO())
    call_command("docs_settings", "--check")


def test_every_setting_is_described():
    page = docs_settings.render()

    for name, field in Environment.model_fields.items():
        assert field.description, name
        assert f"| `{environment.variable_of(name)}` |" in page
