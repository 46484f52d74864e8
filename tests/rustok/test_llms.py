"""What language models are told to read: short, true, and every address leads somewhere."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.http import HttpResponse
from django.test import Client, override_settings

from apps.tenants import services
from rustok import guides, llms
from tests import factories

LINK = re.compile(r"^- \[[^\]]+\]\((?P<address>[^)\s]+)\): \S.*$")
pytestmark = pytest.mark.django_db


def lines_of(answer: HttpResponse) -> list[str]:
    assert (answer.status_code, answer["Content-Type"]) == (200, "text/plain; charset=utf-8")
    return answer.content.decode().splitlines()


def links_in(lines: list[str]) -> list[str]:
    """The addresses of the entries. By llmstxt.org an entry is a link, a colon and what it is about."""
    return [match["address"] for line in lines if (match := LINK.match(line))]


def test_the_page_has_the_form_that_llmstxt_org_asks_for(client: Client) -> None:
    lines = lines_of(client.get("/llms.txt"))

    assert lines[0] == f"# {settings.SPECTACULAR_SETTINGS['TITLE']}"
    assert lines[2].startswith(f"> {settings.SPECTACULAR_SETTINGS['DESCRIPTION']}")
    assert [line for line in lines if line.startswith("#")][1:] == ["## API", "## Guides", "## Optional"]
    entries = [line for line in lines if line.startswith("- ")]
    assert len(links_in(entries)) == len(entries)
    assert len("\n".join(lines)) < 8_000  # a page that is read before anything else


def test_every_link_leads_somewhere_on_the_host_that_was_asked(client: Client) -> None:
    for address in links_in(lines_of(client.get("/llms.txt"))):
        parts = urlsplit(address)
        answer = client.get(address.removeprefix(f"{parts.scheme}://{parts.netloc}"))
        assert (answer.status_code, parts.netloc) == (200, "testserver"), address


def test_guides_are_served_as_they_are_and_nothing_else_is(client: Client) -> None:
    answer = client.get("/docs/explanation/errors.md")

    assert answer["Content-Type"] == "text/markdown; charset=utf-8"
    assert answer.content.decode() == guides.get("explanation/errors.md").text
    for path in ("/docs/../pyproject.toml", "/docs/%2e%2e/README.md", "/docs/explanation", "/docs//etc/passwd"):
        assert client.get(path).status_code == 404


def test_the_full_text_has_the_operations_and_the_guides(client: Client) -> None:
    text = "\n".join(lines_of(client.get("/llms-full.txt")))

    assert "- `GET /api/v1/store/products` (" in text
    assert all(guides.get(name).text.strip() in text for name in llms.GUIDES)


def test_the_host_of_a_tenant_tells_what_that_tenant_publishes(client: Client) -> None:
    tenant = factories.make_tenant(name="Nordlicht [Shop]", locales=["de", "fr"], currency="EUR")
    host = f"{tenant.slug}.test"

    lines = lines_of(client.get("/llms.txt", headers={"host": host}))

    assert lines[0] == "# Nordlicht [Shop]"
    text = "\n".join(lines)
    assert "de, en, fr" in text
    assert f"http://{host}/api/v1/store/products)" in text
    assert f"http://{host}/api/v1/store/content/{{kind}})" in text
    assert "/api/v1/admin/" not in text
    for address in links_in(lines):
        if "{" not in address:
            path = address.removeprefix(f"http://{host}")
            path += "?q=lamp" if path.endswith("search") else ""
            if path.endswith("redirects"):  # which has to be asked for a path, and knows none here
                assert client.get(f"{path}?path=/lamp", headers={"host": host}).status_code == 404
                continue
            assert client.get(path, headers={"host": host}).status_code == 200, address


def test_a_module_that_is_off_is_not_told_of(client: Client) -> None:
    tenant = factories.make_tenant()
    with factories.at_work(tenant):
        services.choose_module(tenant=tenant, slug="content", choice=services.ModuleChoice(enabled=False))

    text = client.get("/llms.txt", headers={"host": f"{tenant.slug}.test"}).content.decode()

    assert "store/products" in text
    assert "store/content" not in text
    assert "`page`" not in text


@override_settings(PLATFORM_HOSTS=["rustok.example"])
def test_a_host_of_nobody_is_told_nothing(client: Client) -> None:
    tenant = factories.make_tenant()

    unknown = client.get("/llms.txt", headers={"host": "unknown.example"})
    named = client.get("/llms.txt", headers={"host": "rustok.example", "x-tenant": tenant.slug})

    assert unknown.status_code == 404
    assert named.content.startswith(f"# {tenant.name}\n".encode())
    assert "X-Tenant" in named["Vary"]
