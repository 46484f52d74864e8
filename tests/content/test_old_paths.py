"""Where pages were on another site: kept with the node, one node to a path, and known to the storefront."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from apps.consumers import status, tasks
from apps.content import models, services
from apps.kernel import errors, isolation, paths
from apps.tenants import models as tenants
from tests import factories
from tests.content import making, wxr


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("/2019/05/hello/", "/2019/05/hello"),
        ("https://old.test/2019/05/hello/?utm_source=mail#top", "/2019/05/hello"),
        ("/?p=12", "/?p=12"),
        ("https://old.test/?post_type=book&p=12&utm_medium=x", "/?p=12&post_type=book"),
        ("/%D0%BF%D1%80%D0%B8%D0%B2%D0%B5%D1%82/", "/привет"),
        ("/Case/Matters.html", "/Case/Matters.html"),
    ],
)
def test_a_path_is_what_tells_a_page(given: str, kept: str) -> None:
    assert paths.plain(given) == kept
    assert paths.plain(kept) == kept


@pytest.mark.parametrize("given", ["", "/", "https://old.test/", "hello", "/a\x7fb", "/%ff", "/" + "x" * 500])
def test_what_tells_no_page_is_refused(given: str, at_work: Any) -> None:
    with pytest.raises(paths.NoPath):
        paths.plain(given)
    with pytest.raises(errors.ValidationFailed):
        making.make_node(old_paths=[given])


def test_paths_are_changed_by_one_event_and_lead_to_one_node(at_work: Any) -> None:
    first = making.make_node("First", old_paths=["/a/", "/b", "/a"])
    second = making.make_node("Second")

    making.update(first, old_paths=["/a", "/c"])
    making.update(first, old_paths=["/a/", "/c/"])
    with pytest.raises(services.PathTaken, match='"/c" leads to another node already'):
        making.update(second, old_paths=["/d", "/c"])
    with pytest.raises(services.PathTaken):
        making.make_node("Third", old_paths=["/a"])
    making.update(first, old_paths=[])
    making.update(second, old_paths=["/c"])

    told = [data["paths"] for type, data in making.recorded(first.id) if type == "paths.updated"]
    assert told == [["/a", "/b"], ["/a", "/c"], []]
    assert models.Node.objects.get(id=second.id).old_paths == ["/c"]


@pytest.mark.usefixtures("committed_db")
def test_the_storefront_is_told_where_an_old_page_of_an_import_is_now(tmp_path: Path) -> None:
    tenant = factories.make_tenant(default_locale="en")
    site = wxr.write(
        tmp_path / "site.xml",
        wxr.item(7, "Hello", name="hello"),
        wxr.item(8, "Draft", name="draft", status="draft"),
        wxr.item(9, "About", name="about", type="page"),
    )

    def take_in() -> int:
        call_command("import_wordpress", str(site), tenant=tenant.slug, quiet=True)
        with factories.at_work(tenant):
            return making.event_count()

    events = take_in()
    assert take_in() == events
    with isolation.all_tenants(reason="test"):
        tasks.drain()

    assert asked(tenant, "https://site.test/hello/?utm_source=x") == (200, "/en/blog/hello")
    assert asked(tenant, "/?p=7") == (200, "/en/blog/hello")
    assert asked(tenant, "/?page_id=9") == (200, "/en/about")
    assert asked(tenant, "/?p=8")[0] == asked(tenant, "/nowhere")[0] == asked(tenant, "/")[0] == 404
    assert asked(tenant, "")[0] == 422
    call_command("imports", tenant=tenant.slug, undo="last", quiet=True)
    with isolation.all_tenants(reason="test"):
        tasks.drain()
        assert status.verify() == []
    assert asked(tenant, "/?p=7")[0] == 200  # undone was the second run, which had changed nothing


def asked(tenant: tenants.Tenant, path: str) -> tuple[int, str]:
    answer = Client(headers={"host": f"{tenant.slug}.test"}).get("/api/v1/store/redirects", {"path": path})
    return answer.status_code, answer.json().get("location", "")


def test_a_path_that_another_node_has_is_noted_and_left_out(tmp_path: Path, at_work: Any) -> None:
    mine = making.make_node("Mine", old_paths=["/hello"])
    site = wxr.write(tmp_path / "site.xml", wxr.item(7, "Hello", name="hello"))
    report = tmp_path / "report.csv"

    call_command("import_wordpress", str(site), tenant=str(at_work.tenant_id), quiet=True, report=report)

    assert "it leads to another node already; left out" in report.read_text("utf-8")
    assert models.Node.objects.get(id=mine.id).old_paths == ["/hello"]
    assert models.Node.objects.exclude(id=mine.id).get().old_paths == ["/?p=7"]
