"""Nobody grants what they do not hold, nobody raises themselves, and somebody always owns the tenant."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from apps.accounts import models
from apps.accounts.access import engine, granting, members, roles
from apps.kernel import errors, ids
from apps.outbox.models import Log
from apps.tenants import models as tenants
from tests import factories
from tests.accounts import calling


def member_path(caller: calling.Caller) -> str:
    return f"members/{ids.encode('user', caller.user.pk)}"


def roles_of(caller: calling.Caller) -> set[str]:
    with factories.at_work(caller.tenant):
        return set(engine.rights_of(caller.user, caller.tenant.id, now=timezone.now()).roles)


def make_role(owner: calling.Caller, slug: str, *grants: Any) -> Any:
    shown = [grant if isinstance(grant, dict) else {"permission": grant} for grant in grants]
    return owner.call("POST", "roles", {"slug": slug, "name": slug.title(), "grants": shown})


def test_an_admin_makes_no_owner_and_unmakes_none(tenant: tenants.Tenant) -> None:
    owner, admin, member = (calling.make_caller(tenant, role) for role in ("owner", "admin", "editor"))

    for target, wanted in ((member, ["owner"]), (owner, ["editor"]), (owner, [])):
        answer = admin.call("PATCH", member_path(target), {"roles": wanted})
        assert (answer.status_code, answer.json()["code"]) == (403, "cannot_grant"), wanted
        assert "modules:manage" in answer.json()["lacking"]
    assert admin.call("DELETE", member_path(owner)).status_code == 403

    assert admin.call("PATCH", member_path(member), {"roles": ["manager"]}).json()["roles"] == ["manager"]
    assert owner.call("PATCH", member_path(member), {"roles": ["owner"]}).json()["roles"] == ["owner"]


def test_nobody_gives_roles_to_themselves_but_anybody_may_lay_them_down(tenant: tenants.Tenant) -> None:
    calling.make_caller(tenant, "owner")
    owner, admin = calling.make_caller(tenant, "owner"), calling.make_caller(tenant, "admin", "editor")

    for caller, wanted in ((admin, ["admin", "manager"]), (owner, ["owner", "editor"])):
        answer = caller.call("PATCH", member_path(caller), {"roles": wanted})
        assert (answer.status_code, answer.json()["code"]) == (403, "own_roles")

    assert admin.call("PATCH", member_path(admin), {"roles": ["editor"]}).status_code == 200
    assert roles_of(admin) == {"editor"}


@pytest.mark.parametrize("wanted", ["super_admin", "support_writer", "bosss"])
def test_roles_of_the_platform_are_not_given_through_a_tenant(tenant: tenants.Tenant, wanted: str) -> None:
    owner, member = calling.make_caller(tenant, "owner"), calling.make_caller(tenant, "editor")

    answer = owner.call("PATCH", member_path(member), {"roles": [wanted]})

    assert (answer.status_code, answer.json()["code"]) == (422, "unknown_role")
    assert answer.json()["errors"][0]["pointer"] == "/roles"


def test_the_superuser_flag_is_no_field_of_any_input(tenant: tenants.Tenant) -> None:
    owner, member = calling.make_caller(tenant, "owner"), calling.make_caller(tenant, "editor")

    answer = owner.call("PATCH", member_path(member), {"roles": ["editor"], "is_superuser": True})

    assert answer.status_code == 422
    assert not models.User.objects.get(pk=member.user.pk).is_superuser


def test_a_role_of_ones_own_gives_no_more_than_its_maker_holds(tenant: tenants.Tenant) -> None:
    owner = calling.make_caller(tenant, "owner")
    make_role(
        owner,
        "keeper",
        "roles:manage",
        "users:manage",
        {"permission": "nodes:update", "constraint": {"locale": ["de"]}},
    )
    keeper, member = calling.make_caller(tenant, "keeper"), calling.make_caller(tenant, "customer")

    refused = [
        make_role(keeper, "wide", "products:update"),
        make_role(keeper, "wider", "nodes:update"),
        make_role(keeper, "wider-too", {"permission": "nodes:update", "constraint": {"locale": ["de", "en"]}}),
        keeper.call("PATCH", "roles/keeper", {"grants": [{"permission": "settings:update"}]}),
        keeper.call("PATCH", member_path(member), {"roles": ["editor"]}),
    ]
    assert [answer.status_code for answer in refused] == [403] * 5
    assert {answer.json()["code"] for answer in refused} == {"cannot_grant"}

    narrower = {"permission": "nodes:update", "constraint": {"locale": ["de"], "kind": ["page"]}}
    assert make_role(keeper, "narrow", narrower).status_code == 201
    with factories.at_work(tenant):
        assert set(models.Role.objects.values_list("slug", flat=True)) == {"keeper", "narrow"}


def test_the_scopes_of_a_key_limit_what_it_grants(tenant: tenants.Tenant) -> None:
    owner = calling.make_caller(tenant, "owner").user
    by_key = granting.Granter(owner, frozenset({"roles:create", "nodes:read"}), timezone.now())

    def new(permission: str) -> roles.NewRole:
        slug = permission.replace(":", "-")
        return roles.NewRole(slug=slug, name=slug, grants=[roles.GrantInput(permission=permission)])

    with factories.at_work(tenant):
        with pytest.raises(granting.CannotGrant, match="products:read"):
            roles.create_role(new=new("products:read"), by=by_key)
        assert roles.create_role(new=new("nodes:read"), by=by_key).slug == "nodes-read"


def test_who_was_demoted_a_moment_ago_grants_nothing(tenant: tenants.Tenant) -> None:
    """The rights of who grants are read under the lock, not taken from the start of their request."""
    calling.make_caller(tenant, "owner")
    owner, friend = calling.make_caller(tenant, "owner"), calling.make_caller(tenant, "editor")
    by = granting.Granter(owner.user, None, timezone.now())
    with factories.at_work(tenant):
        members.set_roles(user_id=owner.user.pk, roles=["editor"], by=None)

        with pytest.raises(granting.CannotGrant):
            members.set_roles(user_id=friend.user.pk, roles=["owner"], by=by)


def test_members_and_roles_of_another_tenant_are_not_there(tenant: tenants.Tenant) -> None:
    owner, foreign = calling.make_caller(tenant, "owner"), calling.make_caller(factories.make_tenant(), "owner")
    make_role(foreign, "theirs", "nodes:read")
    nobody = f"members/{ids.encode('user', ids.new_id())}"

    for method, body in (("PATCH", {"roles": []}), ("DELETE", None)):
        there, unknown = owner.call(method, member_path(foreign), body), owner.call(method, nobody, body)
        assert there.status_code == unknown.status_code == 404
        assert there.json()["code"] == unknown.json()["code"] == "member_not_found"
    assert owner.call("GET", "roles/theirs").status_code == 404
    assert owner.call("PATCH", member_path(owner), {"roles": ["owner", "theirs"]}).status_code == 422
    assert roles_of(foreign) == {"owner"}


def test_the_last_owner_stays_and_an_inactive_one_does_not_count(tenant: tenants.Tenant) -> None:
    owner, sleeping = calling.make_caller(tenant, "owner"), calling.make_caller(tenant, "owner", is_active=False)

    for answer in (
        owner.call("PATCH", member_path(owner), {"roles": []}),
        owner.call("DELETE", member_path(owner)),
    ):
        assert (answer.status_code, answer.json()["code"]) == (409, "last_owner")

    models.User.objects.filter(pk=sleeping.user.pk).update(is_active=True)
    assert owner.call("PATCH", member_path(owner), {"roles": []}).status_code == 200


def test_two_owners_who_remove_each_other_at_once_leave_one(committed_db: None) -> None:
    tenant = factories.make_tenant()
    first, second = calling.make_caller(tenant, "owner"), calling.make_caller(tenant, "owner")
    barrier = threading.Barrier(2)
    outcomes: dict[str, str] = {}

    def remove(name: str, by: calling.Caller, target: calling.Caller) -> None:
        try:
            with factories.at_work(tenant):
                granter = granting.Granter(by.user, None, timezone.now())
                connection.ensure_connection()
                barrier.wait()
                members.remove_member(user_id=target.user.pk, by=granter)
                outcomes[name] = "removed"
        except errors.DomainError as error:
            outcomes[name] = error.code
        finally:
            connection.close()

    threads = [
        threading.Thread(target=remove, args=("first", first, second)),
        threading.Thread(target=remove, args=("second", second, first)),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    # The loser is a member no more when its turn comes, so it lacks what it would take.
    assert sorted(outcomes.values()) in (["cannot_grant", "removed"], ["last_owner", "removed"])
    with factories.at_work(tenant):
        assert models.MembershipRole.objects.filter(system_role="owner").count() == 1


def test_two_owners_who_lay_it_down_at_once_leave_one(committed_db: None) -> None:
    tenant = factories.make_tenant()
    owners = [calling.make_caller(tenant, "owner"), calling.make_caller(tenant, "owner")]
    barrier = threading.Barrier(2)
    outcomes: list[str] = []

    def lay_down(owner: calling.Caller) -> None:
        try:
            with factories.at_work(tenant):
                connection.ensure_connection()
                barrier.wait()
                members.set_roles(user_id=owner.user.pk, roles=["editor"], by=None)
                outcomes.append("done")
        except members.LastOwner:
            outcomes.append("last_owner")
        finally:
            connection.close()

    threads = [threading.Thread(target=lay_down, args=(owner,)) for owner in owners]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcomes) == ["done", "last_owner"]


def test_roles_are_made_changed_and_deleted_with_their_events(tenant: tenants.Tenant) -> None:
    owner = calling.make_caller(tenant, "owner")

    made = make_role(
        owner, "translator", "nodes:read", {"permission": "nodes:update", "constraint": {"locale": ["de"]}}
    )
    same = owner.call("PATCH", "roles/translator", {"name": "Translator"})
    changed = owner.call("PATCH", "roles/translator", {"description": "German"})
    holder = calling.make_caller(tenant, "translator")
    in_use = owner.call("DELETE", "roles/translator")
    owner.call("PATCH", member_path(holder), {"roles": []})
    deleted = owner.call("DELETE", "roles/translator")

    assert made.json()["grants"][1] == {"permission": "nodes:update", "constraint": {"locale": ["de"]}}
    assert (same.status_code, changed.json()["description"]) == (200, "German")
    assert (in_use.status_code, in_use.json()["code"]) == (409, "role_in_use")
    assert deleted.status_code == 204
    with factories.at_work(tenant):
        recorded = list(Log.objects.filter(type__startswith="accounts.").order_by("id"))
    assert [event.type for event in recorded] == [
        "accounts.member.added",
        "accounts.role.created",
        "accounts.role.updated",
        "accounts.member.added",
        "accounts.member.roles_changed",
        "accounts.role.deleted",
    ]


@pytest.mark.parametrize(
    ("grant", "complaint"),
    [
        ({"permission": "nodes:reed"}, 'Did you mean "nodes:read"?'),
        ({"permission": "tags:read", "constraint": {"own": True}}, "it takes none"),
        ({"permission": "nodes:read", "constraint": {"locales": ["de"]}}, 'Did you mean "locale"?'),
        ({"permission": "nodes:read", "constraint": {"own": "yes"}}, '"own" is true or absent'),
        ({"permission": "nodes:read", "constraint": {"kind": []}}, "a list of at least one text"),
    ],
)
def test_a_wrong_grant_is_named_with_the_fix(tenant: tenants.Tenant, grant: dict[str, Any], complaint: str) -> None:
    answer = make_role(calling.make_caller(tenant, "owner"), "odd", grant)

    assert answer.status_code == 422
    assert complaint in answer.json()["detail"]


def test_a_slug_is_given_once_and_roles_of_the_program_stay(tenant: tenants.Tenant) -> None:
    owner = calling.make_caller(tenant, "owner")
    make_role(owner, "mine")

    assert make_role(owner, "mine").json()["code"] == "role_slug_taken"
    assert make_role(owner, "editor").json()["code"] == "role_slug_taken"
    assert owner.call("PATCH", "roles/editor", {"name": "x"}).json()["code"] == "system_role"
    assert owner.call("DELETE", "roles/owner").json()["code"] == "system_role"
    assert owner.call("GET", "roles/editor").json()["is_system"]
    listed = owner.call("GET", "roles").json()["data"]
    assert [role["slug"] for role in listed] == [
        "admin", "customer", "editor", "manager", "merchandiser", "mine", "owner",
    ]  # fmt: skip


def test_members_are_listed_with_their_roles_in_a_constant_number_of_queries(tenant: tenants.Tenant) -> None:
    from django.test.utils import CaptureQueriesContext

    owner = calling.make_caller(tenant, "owner", email="ann@example.test")

    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            owner.call("GET", "members?limit=50")
        return len(queries)

    count()
    before = count()
    for _ in range(5):
        calling.make_caller(tenant, "editor", "merchandiser")

    assert count() == before
    first, *others = owner.call("GET", "members?limit=50").json()["data"]
    assert (first["email"], first["roles"]) == ("ann@example.test", ["owner"])
    assert others[0]["roles"] == ["editor", "merchandiser"]


def test_the_command_gives_a_tenant_its_first_owner(tenant: tenants.Tenant) -> None:
    import io

    from django.core.management import CommandError, call_command

    user, out = factories.make_user(email="first@example.test"), io.StringIO()

    call_command("grant_role", "First@Example.test", "owner", tenant=tenant.slug, stdout=out)

    assert out.getvalue() == f"first@example.test is owner of {tenant.slug}.\n"
    assert roles_of(calling.Caller(tenant, user)) == {"owner"}
    with pytest.raises(CommandError, match="There is no account"):
        call_command("grant_role", "nobody@example.test", "owner", tenant=tenant.slug)
    with pytest.raises(CommandError, match='"ownr" is not one of'):
        call_command("grant_role", "first@example.test", "ownr", tenant=tenant.slug)
