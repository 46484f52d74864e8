"""Rights: one query per check, in force everywhere at once, within scopes, and never more than granted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from apps.accounts import authentication, models
from apps.accounts.access import catalogue, engine, members, rights, roles
from apps.content import services as content
from apps.kernel import ids
from apps.tenants import models as tenants
from apps.tenants import scope
from tests import factories
from tests.accounts import calling
from tests.content import making

GRANT = st.builds(
    rights.Grant,
    st.sampled_from(["nodes:read", "nodes:manage", "pages:update", "products:list", "tags:manage"]),
    st.builds(
        rights.Constraint,
        own=st.booleans(),
        kind=st.none() | st.frozensets(st.sampled_from(["page", "post"]), min_size=1),
        locale=st.none() | st.frozensets(st.sampled_from(["en", "de"]), min_size=1),
    ),
)


@given(st.lists(GRANT, max_size=6))
def test_whoever_holds_grants_covers_them_all(grants: list[rights.Grant]) -> None:
    held = rights.Rights(alternatives=rights.expand(grants))

    assert held.lacking(grants) == []


@given(st.lists(GRANT, max_size=6), st.sets(st.sampled_from(sorted(catalogue.PERMISSIONS)), max_size=6))
def test_scopes_only_ever_take_away(grants: list[rights.Grant], scopes: set[str]) -> None:
    held = rights.Rights(alternatives=rights.expand(grants))

    limited = held.limited_to(scopes)

    every = [rights.Grant(name, limit) for name, limits in limited.alternatives.items() for limit in limits]
    assert held.lacking(every) == []
    assert rights.Rights(alternatives=rights.expand(rights.Grant(name) for name in scopes)).lacking(every) == []


def test_manage_implies_every_action_and_a_page_is_a_node() -> None:
    held = rights.Rights(alternatives=rights.expand([rights.Grant("pages:manage"), rights.Grant("tags:read")]))

    assert all(held.allows(f"pages:{action}") for action in catalogue.ACTIONS)
    assert held.on("nodes:read") == (rights.Constraint(kind=frozenset({"page"})),)
    assert not held.allows("posts:read")
    assert not held.allows("tags:update")
    assert rights.NOTHING.lacking([rights.Grant("tags:read")]) == ["tags:read"]


def test_a_check_costs_one_query_and_a_list_of_twenty_no_more_than_one_of_two(tenant: tenants.Tenant) -> None:
    editor = calling.make_caller(tenant, "editor")

    def queries_of(path: str) -> list[str]:
        with CaptureQueriesContext(connection) as captured:
            assert editor.call("GET", path).status_code == 200
        return [query["sql"] for query in captured]

    with factories.at_work(tenant):
        for number in range(2):
            making.make_node(f"Page {number}")
    first = queries_of("nodes")
    warm = queries_of("nodes")
    with factories.at_work(tenant):
        for number in range(18):
            making.make_node(f"More {number}")
    of_twenty = queries_of("nodes?limit=20")

    asking = [sql for sql in of_twenty if "accounts_" in sql and "accounts_session" not in sql]
    assert len(asking) == 1
    assert len(first) == len(warm) == len(of_twenty)


@pytest.fixture
def other_process(committed_db: None) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.accounts.asker", connection.settings_dict["NAME"]]
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "rustok.settings"}
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    yield process
    process.communicate()


def ask_patiently(process: subprocess.Popen[str], caller: calling.Caller, path: str) -> int:
    """The status another process answers with; the first time it has yet to load its URLs."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps([f"/api/v1/admin/{path}", caller.headers]) + "\n")
    process.stdin.flush()
    return int(process.stdout.readline())


def ask(process: subprocess.Popen[str], caller: calling.Caller, path: str) -> int:
    """The status another process answers with now, that is within a second."""
    asked = time.monotonic()
    status = ask_patiently(process, caller, path)
    assert time.monotonic() - asked < 1
    return status


def test_a_change_is_in_force_in_another_process_at_once(other_process: subprocess.Popen[str]) -> None:
    tenant = factories.make_tenant()
    member = calling.make_caller(tenant, "editor")
    with factories.at_work(tenant):
        new = roles.NewRole(slug="reader", name="Reader", grants=[roles.GrantInput(permission="products:list")])
        roles.create_role(new=new, by=None)
    other_process_is_warm = [ask_patiently(other_process, member, path) for path in ("nodes", "products")]
    assert other_process_is_warm == [200, 403]

    with factories.at_work(tenant):
        members.set_roles(user_id=member.user.pk, roles=["reader"], by=None)
    assert ask(other_process, member, "nodes") == 403
    assert ask(other_process, member, "products") == 200

    with factories.at_work(tenant):
        roles.update_role(slug="reader", changes=roles.RoleChanges(grants=[]), by=None)
    assert ask(other_process, member, "products") == 403

    with factories.at_work(tenant):
        members.set_roles(user_id=member.user.pk, roles=["merchandiser"], by=None)
    assert ask(other_process, member, "products") == 200

    models.User.objects.filter(pk=member.user.pk).update(is_active=False)
    assert ask(other_process, member, "products") in {401, 403}


def test_an_inactive_user_has_no_rights_whatever_let_them_in(tenant: tenants.Tenant, at_work: scope.Scope) -> None:
    owner = calling.make_caller(tenant, "owner").user
    models.User.objects.filter(pk=owner.pk).update(is_active=False)

    assert engine.rights_of(owner, tenant.id, now=timezone.now()) == rights.NOTHING


def test_what_was_rolled_back_is_never_kept(tenant: tenants.Tenant, at_work: scope.Scope) -> None:
    from django.db import transaction

    member = calling.make_caller(tenant, "editor").user
    engine.rights_of(member, tenant.id, now=timezone.now())

    with transaction.atomic():
        members.set_roles(user_id=member.pk, roles=["owner"], by=None)
        seen_inside = engine.rights_of(member, tenant.id, now=timezone.now(), fresh=True)
        transaction.set_rollback(True)

    assert seen_inside.roles == ("owner",)
    members.put_member(user=factories.make_user(), roles=["editor"], by=None)  # draws the version that was rolled back
    assert engine.rights_of(member, tenant.id, now=timezone.now()).roles == ("editor",)


def test_who_brings_roles_along_has_them_in_one_tenant_and_costs_no_query(tenant: tenants.Tenant) -> None:
    class Shopper:
        pk = ids.new_id()
        tenant_id = tenant.id
        access_roles = ("customer",)

    with CaptureQueriesContext(connection) as queries:
        here = engine.rights_of(Shopper(), tenant.id, now=timezone.now())
        elsewhere = engine.rights_of(Shopper(), ids.new_id(), now=timezone.now())

    assert len(queries) == 0
    assert here.allows("comments:create")
    assert not here.allows("comments:import")
    assert elsewhere == rights.NOTHING


class ScopedToken(str):
    scopes: frozenset[str] = frozenset({"nodes:read", "nodes:list"})


def test_a_scoped_token_needs_the_grant_and_the_scope(tenant: tenants.Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = calling.make_caller(tenant, "owner")
    merchandiser = calling.make_caller(tenant, "merchandiser")

    def authenticate(self: Any, request: Any) -> tuple[models.User, str]:
        is_owner = owner.headers["Authorization"] in request.headers["Authorization"]
        return (owner if is_owner else merchandiser).user, ScopedToken("rtk")

    monkeypatch.setattr(authentication.TokenAuthentication, "authenticate", authenticate)

    assert owner.call("GET", "nodes").status_code == 200
    assert owner.call("POST", "nodes", {}).status_code == 403
    assert owner.call("GET", "products").status_code == 403
    assert merchandiser.call("GET", "nodes").status_code == 403
    mine = owner.call("GET", "me/permissions").json()
    assert {entry["permission"] for entry in mine["permissions"]} == {"nodes:read", "nodes:list"}


def test_outside_of_requests_nothing_is_limited_and_within_one_nothing_is_given(
    tenant: tenants.Tenant, at_work: scope.Scope
) -> None:
    from apps.accounts.access import limiting

    node = making.make_node("Made by a command")

    with engine.request(), pytest.raises(limiting.NotPermitted, match="lacks"):
        content.archive_node(node_id=node.id)
    assert content.archive_node(node_id=node.id).status == "archived"
