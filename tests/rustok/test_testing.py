"""The package for tests: it says what differs, it says no, and it works for a suite that is not ours."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core import mail

from apps.content.models import Node
from apps.kernel import errors, isolation
from apps.media.models import Asset
from apps.outbox.models import Log
from apps.tenants import models
from rustok.environment import CHECKOUT
from rustok.testing import asserting, calling, contexts, draining, factories, recording


@pytest.fixture
def tenant(db: None) -> models.Tenant:
    return factories.make_tenant(default_locale="en", locales=["de"], currency="EUR")


# --- Objects and contexts -----------------------------------------------------------------------------------


@pytest.mark.usefixtures("media_root")
def test_every_object_is_in_its_state_and_has_its_events(tenant: models.Tenant) -> None:
    with contexts.at_work(tenant):
        made: dict[str, Any] = {
            "commerce.product.archived": factories.make_archived_product("Old"),
            "commerce.product.published": factories.make_published_product("New"),
            "content.node.published": factories.make_published_node("Home"),
            "content.menu.created": factories.make_menu(location="header"),
            "content.tag.created": factories.make_tag(),
            "content.category.created": factories.make_category(),
            "commerce.category.created": factories.make_shop_category(),
            "commerce.collection.created": factories.make_collection(),
            "media.asset.uploaded": factories.make_asset(),
        }
        draft = factories.make_product(**factories.sized_fields("S", "M"))
        node = factories.make_translated_node({"en": "Hello", "de": "Hallo"})

        for type, each in made.items():
            assert type in [event.type for event in recording.events_of(tenant, of=each.id)]
        assert [made[f"commerce.product.{name}"].product.status for name in ("archived", "published")] == [
            "archived",
            "published",
        ]
        assert (draft.product.status, len(draft.variants)) == ("draft", 2)
        assert Node.objects.get(id=node.id).translations.count() == 2
        assert Asset.objects.count() == 2


@pytest.mark.usefixtures("over_all_tenants")
def test_a_suspended_tenant_answers_nobody(tenant: models.Tenant) -> None:
    suspended = factories.make_suspended_tenant(reason="unpaid")

    assert (suspended.is_active, suspended.suspended_reason) == (False, "unpaid")
    assert calling.make_caller(suspended, "owner").call("GET", "products").status_code >= 400


def test_work_in_roles_may_do_what_they_allow_and_is_theirs(tenant: models.Tenant) -> None:
    user = factories.make_user()

    with contexts.with_roles(tenant, user, "editor"):
        node = factories.make_node()
    assert [event.actor for event in recording.events_of(tenant, of=node.id)] == [f"user:{user.pk}"]
    with contexts.with_roles(tenant, user, "customer"), pytest.raises((errors.Forbidden, errors.NotFound)):
        factories.make_node()
    with contexts.at_work(tenant), contexts.acting("command:tidy"):
        node = factories.make_node()
    assert [event.actor for event in recording.events_of(tenant, of=node.id)] == ["command:tidy"]


def test_a_caller_speaks_as_the_role(tenant: models.Tenant) -> None:
    body = {"kind": "page", "translations": [{"locale": "en", "title": "Hello"}]}

    statuses = [
        calling.make_caller(tenant, *roles).call("POST", "nodes", body).status_code
        for roles in (["editor"], ["customer"], [])
    ]

    assert statuses == [201, 403, 403]


# --- Events -------------------------------------------------------------------------------------------------


def test_exactly_these_events_are_expected(tenant: models.Tenant) -> None:
    with contexts.at_work(tenant), asserting.expect_events(tenant, ["content.tag.created"]):
        tag = factories.make_tag("Blue")

    names = [{"locale": "en", "name": "Blue"}]
    [event] = asserting.assert_events(tenant, [("content.tag.created", {"translations": names})], of=tag.id)
    assert event.data["translations"][0]["slug"] == "blue"


@pytest.mark.parametrize(
    ("expected", "said"),
    [
        ([], ["0 events were expected, 1 are recorded", '+ content.tag.created {"translations"']),
        (["content.tag.deleted"], ["- content.tag.deleted", "+ content.tag.created"]),
        (["content.tag.created"] * 2, ["2 events were expected, 1 are recorded", "  1. content.tag.created", "- cont"]),
        (
            [("content.tag.created", {"translations": [{"name": "Red"}], "colour": 1})],
            ['translations[0].name is "Blue", expected "Red"', "colour is missing, expected 1"],
        ),
    ],
)
def test_what_else_was_recorded_is_told(tenant: models.Tenant, expected: Any, said: list[str]) -> None:
    with (
        pytest.raises(AssertionError) as refused,
        contexts.at_work(tenant),
        asserting.expect_events(tenant, expected),
    ):
        factories.make_tag("Blue")

    for part in said:
        assert part in str(refused.value)


def test_the_events_of_another_tenant_are_not_counted(tenant: models.Tenant) -> None:
    other = factories.make_tenant()
    with asserting.expect_events(tenant, []), contexts.at_work(other):
        factories.make_tag()


# --- Queries ------------------------------------------------------------------------------------------------


def make_group(number: int) -> None:
    Group.objects.create(name=f"It's number {number} {uuid.uuid4()}")


def one_by_one() -> None:
    for id in Group.objects.values_list("id", flat=True):
        Group.objects.get(id=id)


@pytest.mark.usefixtures("db")
def test_a_query_per_object_is_refused_and_named() -> None:
    with pytest.raises(AssertionError) as refused:
        asserting.assert_constant_queries(one_by_one, make_group)

    first, *lines = str(refused.value).splitlines()
    assert first == "3 statements became 21:"
    assert len(lines) == 1
    assert lines[0].startswith("  2 -> 20 times: SELECT")
    assert lines[0].rstrip().endswith("LIMIT ?")


@pytest.mark.usefixtures("db")
def test_one_query_for_all_is_welcome() -> None:
    assert asserting.assert_constant_queries(lambda: list(Group.objects.filter(id__in=range(50))), make_group) == 1
    assert asserting.assert_same_queries(Group.objects.count, Group.objects.exists) == 1
    assert asserting.count_queries(lambda: None) == 0


# --- Bus, work and mail -------------------------------------------------------------------------------------


def test_what_is_published_is_kept(recording_bus: recording.RecordingBus) -> None:
    with isolation.all_tenants(reason="test"):
        tenant = factories.make_tenant()
        with contexts.at_work(tenant):
            factories.make_tag()
        recorded = list(Log.objects.order_by("id").values_list("type", flat=True))

    assert draining.drain() > 0
    recording_bus.trim(10)
    recording_bus.wipe()
    assert recording_bus.types == recorded
    assert recorded[-1] == "content.tag.created"
    assert draining.drain() == 0


def test_draining_carries_out_jobs_and_sends_mails(committed_db: None, mails: recording.Mails) -> None:
    with isolation.all_tenants(reason="test"):
        tenant = factories.make_tenant(currency="EUR", default_locale="en")
        caller = calling.make_caller(tenant, "owner")
    answer = caller.client.post("/api/v1/auth/reset", {"email": caller.user.email}, content_type="application/json")
    assert answer.status_code == 202
    operations = [{"op": "create", "data": factories.product_fields(f"P {number}")} for number in range(120)]
    asked = caller.call("POST", "products/bulk", {"operations": operations})
    assert asked.status_code == 202, asked.content

    draining.drain()

    assert caller.call("GET", f"jobs/{asked.json()['id']}").json()["status"] == "succeeded"
    assert [message.to for message in mails.all] == [[caller.user.email]]
    assert mails.token(caller.user.email).startswith("rts_")
    with pytest.raises(AssertionError, match=r"No mail to nobody@example\.test"):
        mails.token("nobody@example.test")
    assert len(mail.outbox) == 1


# --- Suites of others ---------------------------------------------------------------------------------------

OUTSIDE = """
import pytest
from apps.kernel import isolation
from rustok.testing import contexts, draining, factories, recording

@pytest.mark.usefixtures("committed_db")
def test_it_has_a_database() -> None:
    with isolation.all_tenants(reason="test"):
        tenant = factories.make_tenant()
        with contexts.at_work(tenant):
            factories.make_tag()
    assert draining.drain() > 0
    assert recording.events_of(tenant)[-1].type == "content.tag.created"
"""


@pytest.mark.parametrize("how", ["option", "conftest"])
def test_a_suite_outside_of_this_one_gets_servers_and_databases(tmp_path: Path, how: str) -> None:
    (tmp_path / "test_outside.py").write_text(OUTSIDE)
    if how == "conftest":
        (tmp_path / "conftest.py").write_text('pytest_plugins = ["rustok.testing.plugin"]\n')
    option = ["-p", "rustok.testing.plugin"] if how == "option" else []
    ours = ("DJANGO_SETTINGS_MODULE", "PYTEST_", "RUSTOK_", "COV_")
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *option, "-c", str(CHECKOUT / "pyproject.toml"), str(tmp_path)],
        cwd=CHECKOUT,
        env={name: value for name, value in os.environ.items() if not name.startswith(ours)}
        | {"RUSTOK_DATA_DIR": str(tmp_path / "data")},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "1 passed" in ended.stdout
    assert not list((tmp_path / "data" / "test").glob("*"))  # and nothing is left of them


def test_production_must_not_import_it(tmp_path: Path) -> None:
    """The contract of imports says no."""
    for package in ("apps", "rustok", "rustok/testing"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").touch()
    (tmp_path / "rustok" / "serving.py").write_text("from rustok.testing import factories\n")
    (tmp_path / "rustok" / "testing" / "factories.py").touch()
    contracts = (CHECKOUT / ".importlinter").read_text()
    head, _, rest = contracts.partition("[importlinter:contract:floors]")
    contract = rest[rest.index("[importlinter:contract:test-support]") :]
    (tmp_path / ".importlinter").write_text(head + contract)

    ended = subprocess.run(
        [CHECKOUT / ".venv/bin/lint-imports", "--no-cache"], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert ended.returncode == 1
    assert "rustok.serving" in ended.stdout
