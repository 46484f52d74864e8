"""Reading the log over HTTP and in the admin: one's own entries, filtered, in pages, exported; and that it was read."""

from __future__ import annotations

import csv
import io
import uuid
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from django.test import Client

from apps.audit import admin, exporting, models, queries
from apps.kernel import ids, isolation
from apps.tenants import models as tenants
from rustok.testing.asserting import assert_same_queries
from tests import factories
from tests.audit import writing

AUDIT = "/api/v1/admin/audit"

type Get = Callable[..., Any]


@pytest.fixture
def tenant(db: None) -> tenants.Tenant:
    return factories.make_tenant(name="=canary()")


@pytest.fixture
def get(tenant: tenants.Tenant, client: Client) -> Get:
    """GET as an owner of the tenant."""
    headers = {"Authorization": f"Bearer {factories.make_token(tenant)}", "X-Tenant": tenant.slug}

    def get(path: str = "", *, status: int = 200, **parameters: str) -> Any:
        answer = client.get(f"{AUDIT}{path}", parameters, headers=headers)
        assert answer.status_code == status, answer.content
        return answer

    return get


def listed(get: Get, **parameters: str) -> list[str]:
    return [entry["action"] for entry in get(**parameters).json()["data"]]


def test_the_newest_entry_comes_first_with_all_there_is(get: Get, tenant: tenants.Tenant) -> None:
    writing.write(tenant.id)

    entry = get().json()["data"][0]

    stored = writing.entries_of(tenant.id)[-2]  # the last one tells of this reading
    assert entry | {"occurred_at": ""} == {
        "id": ids.encode("audit", stored.id),
        "occurred_at": "",
        "actor": "user:ann",
        "authority": "",
        "action": "shelf.dusted",
        "object_type": "shelf",
        "object_id": "0",
        "changes": {"dust": [0, 0.5]},
        "correlation_id": str(stored.correlation_id),
        "client_address": writing.CLIENT,
        "hash": bytes(stored.hash).hex(),
    }
    assert get(f"/{entry['id']}").json() == entry
    assert get(f"/{stored.id}").json() == entry


def test_filters_narrow(get: Get, tenant: tenants.Tenant) -> None:
    writing.write(tenant.id, 3)
    writing.write(tenant.id, 1, action="commerce.shelf.sold")
    sold = writing.entries_of(tenant.id)[-1]
    moment = sold.occurred_at.isoformat()

    assert listed(get, action="shelf.dusted") == ["shelf.dusted"] * 3
    assert listed(get, action="commerce.", until="2199-01-01T00:00:00Z") == ["commerce.shelf.sold"]
    assert listed(get, object_type="shelf", object_id="2") == ["shelf.dusted"]
    assert listed(get, actor="user:nobody") == []
    assert listed(get, since=moment, object_type="shelf") == ["commerce.shelf.sold"]
    assert "commerce.shelf.sold" not in listed(get, until=moment)
    assert listed(get, correlation_id=str(sold.correlation_id)) == ["commerce.shelf.sold"]
    assert listed(get, object_id=ids.encode("tenant", tenant.id), action="tenants.tenant.created")


@pytest.mark.parametrize(
    ("parameter", "value"),
    [("since", "yesterday"), ("until", "2026-01-01"), ("correlation_id", "x"), ("actor", "\x00")],
)
def test_a_wrong_filter_is_named(get: Get, parameter: str, value: str) -> None:
    answer = get(status=400 if "\x00" in value else 422, **{parameter: value}).json()

    assert "\x00" in value or answer["errors"][0]["pointer"] == f"/{parameter}"


def test_pages_follow_each_other_though_reading_adds_entries(get: Get, tenant: tenants.Tenant, client: Client) -> None:
    writing.write(tenant.id, 5)
    seen: list[str] = []
    cursor: dict[str, str] = {}

    for _ in range(3):
        page = get(limit="2", action="shelf.dusted", **cursor).json()
        seen += [entry["object_id"] for entry in page["data"]]
        if page["next"]:
            cursor = {"cursor": page["next"].rpartition("cursor=")[2].replace("%3D", "=")}

    assert seen == ["4", "3", "2", "1", "0"]
    assert page["next"] is None


def test_reading_and_exporting_are_told(get: Get, tenant: tenants.Tenant) -> None:
    get(actor="user:ann")
    entry_id = ids.encode("audit", writing.entries_of(tenant.id)[-1].id)
    get(f"/{entry_id}")
    b"".join(get("/export.csv", action="tenants.").streaming_content)

    read, looked, exported = writing.entries_of(tenant.id)[-3:]
    assert (read.action, looked.action, exported.action) == ("audit.log.read", "audit.log.read", "audit.log.exported")
    assert read.read_changes()["actor"] == [None, "user:ann"]
    assert looked.read_changes()["entry"] == [None, str(ids.decode("audit", entry_id))]
    assert exported.read_changes() == {"action": [None, "tenants."], "format": [None, "csv"]}
    assert read.actor.startswith("user:")


def test_an_export_has_everything_in_order_whatever_the_pages(
    get: Get, tenant: tenants.Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "PAGE", 3)
    writing.write(tenant.id, 10)

    answer = get("/export.ndjson", action="shelf.dusted")
    lines = b"".join(answer.streaming_content).splitlines()

    assert answer["Content-Type"] == "application/x-ndjson"
    assert [orjson.loads(line)["object_id"] for line in lines] == [str(number) for number in range(10)]
    assert not isolation.shown()


def test_no_cell_of_an_export_is_taken_for_a_formula(get: Get, tenant: tenants.Tenant) -> None:
    for action in ("=cmd|' /C calc'!A0", "+1", "-1", "@SUM(1)", " =1", "\t=1", 'quo"ted,\nline'):
        writing.write(tenant.id, action=action)

    text = b"".join(get("/export.csv", object_type="shelf").streaming_content).decode()
    rows = list(csv.DictReader(io.StringIO(text)))

    assert [row["action"] for row in rows] == [
        "'=cmd|' /C calc'!A0", "'+1", "'-1", "'@SUM(1)", "' =1", "'\t=1", 'quo"ted,\nline',
    ]  # fmt: skip
    assert orjson.loads(rows[0]["changes"]) == {"dust": [0, 0.5]}


def test_a_tenant_sees_nothing_of_another_nor_of_the_platform(get: Get, tenant: tenants.Tenant) -> None:
    other = factories.make_tenant()
    writing.write(other.id, action="canary.of_another")
    writing.write(None, action="canary.of_the_platform")
    foreign = writing.entries_of(other.id)[-1]

    everything = get(limit="100").content + b"".join(get("/export.ndjson").streaming_content)

    assert b"canary.of" not in everything
    for unknown in (foreign.id, writing.entries_of(None)[-1].id, uuid.uuid4()):
        assert get(f"/{unknown}", status=404).json()["code"] == "not_found"
    with isolation.to_tenant(tenant.id):
        assert list(queries.entries(queries.Filter(action="canary."))) == []
        assert queries.personal_of([foreign]) == {}


def test_outside_a_scope_there_is_nothing_loudly(tenant: tenants.Tenant) -> None:
    with pytest.raises(models.NobodysEntries):
        models.Entry.objects.count()


def test_who_may_not_change_settings_may_not_read_the_log(tenant: tenants.Tenant, client: Client) -> None:
    headers = {"Authorization": f"Bearer {factories.make_token(tenant, role='editor')}", "X-Tenant": tenant.slug}

    for path in ("", "/export.csv", "/export.ndjson", f"/{uuid.uuid4()}"):
        assert client.get(AUDIT + path, headers=headers).status_code == 403
        assert client.get(AUDIT + path, headers={"X-Tenant": tenant.slug}).status_code == 401


def test_a_page_costs_the_same_number_of_queries_whatever_its_size(get: Get, tenant: tenants.Tenant) -> None:
    writing.write(tenant.id, 60)
    get()

    assert_same_queries(lambda: get(limit="1"), lambda: get(limit="50"))


# --- The admin ---------------------------------------------------------------------------------------------------


@pytest.fixture
def browser(tenant: tenants.Tenant) -> Client:
    client = Client()
    client.force_login(factories.make_user(is_staff=True, is_superuser=True))
    return client


def page(browser: Client, path: str = "", host: tenants.Tenant | None = None) -> str:
    headers = {"host": f"{host.slug}.test"} if host else {}
    answer = browser.get(f"/admin/audit/entry/{path}", headers=headers)
    assert answer.status_code == 200, path
    return str(answer.content.decode())


def test_a_tenants_host_shows_its_own_entries_and_the_platforms_those_of_all(
    browser: Client, tenant: tenants.Tenant
) -> None:
    other = factories.make_tenant()
    writing.write(tenant.id, action="shelf.mine")
    writing.write(other.id, action="shelf.others")
    writing.write(None, action="shelf.platforms")
    foreign = writing.entries_of(other.id)[-1]

    own, everything = page(browser, host=tenant), page(browser)

    assert "shelf.mine" in own
    assert "shelf.others" not in own
    assert "shelf.platforms" not in own
    assert all(action in everything for action in ("shelf.mine", "shelf.others", "shelf.platforms"))
    there = browser.get(f"/admin/audit/entry/{foreign.id}/change/", headers={"host": f"{tenant.slug}.test"})
    assert there.status_code == 302


def test_an_entry_shows_before_and_after_escaped(browser: Client, tenant: tenants.Tenant) -> None:
    writing.write(tenant.id, action="<b>bold</b>")
    entry = writing.entries_of(tenant.id)[-1]

    for host in (tenant, None):
        shown = page(browser, f"{entry.id}/change/", host=host)

        assert "<th>before</th><th>after</th>" in shown
        assert '<pre class="audit-value">0.5</pre>' in shown
        assert writing.CLIENT in shown
        assert bytes(entry.hash).hex() in shown
        assert "<b>bold" not in shown


def test_searching_and_filtering(browser: Client, tenant: tenants.Tenant) -> None:
    writing.write(tenant.id, 2)
    writing.write(tenant.id, action="commerce.shelf.sold")

    assert "shelf.dusted" in page(browser, "?q=user:ann", host=tenant)
    assert "tenants.tenant.created" not in page(browser, "?q=user:ann", host=tenant)
    sold = page(browser, "?module=commerce", host=tenant)
    assert "commerce.shelf.sold" in sold
    assert "shelf.dusted" not in sold


def test_pages_of_the_admin_are_counted_to_a_limit(
    browser: Client, tenant: tenants.Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin.CappedPaginator, "most", 3)
    writing.write(tenant.id, 5)

    assert "3 in all" in page(browser, "?module=&q=user:ann", host=tenant)
    assert "3 in all" in page(browser)


def test_looking_is_told_to_whom_it_concerns(browser: Client, tenant: tenants.Tenant) -> None:
    page(browser, "?q=ann", host=tenant)
    page(browser)

    own, platform = writing.entries_of(tenant.id)[-1], writing.entries_of(None)[-1]
    assert own.action == platform.action == "audit.log.read"
    assert own.read_changes() == {"search": [None, "q=ann"]}
    assert own.actor.startswith("user:")


def test_nobody_changes_an_entry_in_the_admin(browser: Client, tenant: tenants.Tenant) -> None:
    entry = writing.entries_of(tenant.id)[-1]
    host = {"host": f"{tenant.slug}.test"}

    assert browser.get("/admin/audit/entry/add/", headers=host).status_code == 403
    assert browser.post(f"/admin/audit/entry/{entry.id}/change/", {"actor": "x"}, headers=host).status_code == 403
    assert browser.post(f"/admin/audit/entry/{entry.id}/delete/", {"post": "yes"}, headers=host).status_code == 403


def test_staff_see_the_entries_of_their_own_tenant_and_on_its_host_only(tenant: tenants.Tenant) -> None:
    client = Client()
    client.force_login(factories.make_member(tenant, "owner", factories.make_user(is_staff=True)))

    assert client.get("/admin/audit/entry/").status_code == 302
    assert client.get("/admin/audit/entry/", headers={"host": f"{tenant.slug}.test"}).status_code == 200
    other = factories.make_tenant()
    assert client.get("/admin/audit/entry/", headers={"host": f"{other.slug}.test"}).status_code in (302, 403)
