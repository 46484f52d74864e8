"""Limited grants on nodes, both ways: kind, locale, own, published; and sharing one node with one member."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.accounts.access import roles
from apps.content import models
from apps.kernel import ids
from apps.tenants import models as tenants
from rustok.testing.asserting import assert_constant_queries
from tests import factories
from tests.accounts import calling
from tests.audit import writing
from tests.content import making


def shown_id(node: models.Node) -> str:
    return ids.encode("node", node.id)


def caller_with(tenant: tenants.Tenant, *grants: str, **constraint: Any) -> calling.Caller:
    """A member with one role of the tenant's own: these permissions on nodes, all with this constraint."""
    slug = f"role-{ids.new_id()}"
    given = [roles.GrantInput(permission=f"nodes:{action}", constraint=constraint) for action in grants]
    with factories.at_work(tenant):
        roles.create_role(new=roles.NewRole(slug=slug, name=slug, grants=given), by=None)
    return calling.make_caller(tenant, slug)


def listed(caller: calling.Caller) -> set[str]:
    return {row["id"] for row in caller.call("GET", "nodes").json()["data"]}


@pytest.fixture
def page(tenant: tenants.Tenant) -> models.Node:
    """In en and de, a draft."""
    with factories.at_work(tenant):
        texts = [{"locale": "en", "title": "About us"}, {"locale": "de", "title": "Über uns"}]
        bodies = [{"locale": "en", "body": "English text"}, {"locale": "de", "body": "Deutscher Text"}]
        return making.make_node(translations=texts, bodies=bodies)


@pytest.fixture
def post(tenant: tenants.Tenant) -> models.Node:
    """In en only, published."""
    with factories.at_work(tenant):
        return making.make_node("News", kind="post", publish=True)


def test_a_kind_limits_lists_objects_creation_and_every_change(
    tenant: tenants.Tenant, page: models.Node, post: models.Node
) -> None:
    writer = caller_with(tenant, "list", "read", "create", "update", "delete", kind=["page"])
    mine, other = shown_id(page), shown_id(post)
    new = {"translations": [{"locale": "en", "title": "New"}]}

    assert listed(writer) == {mine}
    assert writer.call("GET", f"nodes/{mine}").status_code == 200
    assert writer.call("PATCH", f"nodes/{mine}", {"author_name": "Ann"}).status_code == 200
    assert writer.call("POST", f"nodes/{mine}/publish", {}).status_code == 200
    assert writer.call("POST", "nodes", new | {"kind": "page"}).status_code == 201
    assert writer.call("DELETE", f"nodes/{mine}").status_code == 204

    unknown = ids.encode("node", ids.new_id())
    for method, tail, body in (
        ("GET", "", None), ("PATCH", "", {"author_name": "Ann"}), ("DELETE", "", None), ("POST", "/publish", {}),
        ("POST", "/unpublish", None), ("POST", "/archive", None), ("POST", "/move", {"position": 0}),
        ("DELETE", "/translations/en", None),
    ):  # fmt: skip
        there = writer.call(method, f"nodes/{other}{tail}", body)
        missing = writer.call(method, f"nodes/{unknown}{tail}", body)
        assert (there.status_code, there.json()["code"]) == (404, "node_not_found"), (method, tail)
        assert there.json()["detail"].replace(other, unknown) == missing.json()["detail"]
    refused = writer.call("POST", "nodes", new | {"kind": "post"})
    assert (refused.status_code, refused.json()["code"]) == (403, "not_permitted")
    assert refused.json()["limits"] == [{"kind": ["page"]}]


def test_who_may_read_more_than_change_hears_why_not(tenant: tenants.Tenant, post: models.Node) -> None:
    slug = "reader-and-page-writer"
    grants = [
        roles.GrantInput(permission="nodes:read"),
        roles.GrantInput(permission="pages:update"),
    ]
    with factories.at_work(tenant):
        roles.create_role(new=roles.NewRole(slug=slug, name=slug, grants=grants), by=None)
    caller = calling.make_caller(tenant, slug)

    assert caller.call("GET", f"nodes/{shown_id(post)}").status_code == 200
    answer = caller.call("PATCH", f"nodes/{shown_id(post)}", {"author_name": "Ann"})
    assert (answer.status_code, answer.json()["code"]) == (403, "not_permitted")


def test_a_locale_limits_what_is_seen_and_said(tenant: tenants.Tenant, page: models.Node, post: models.Node) -> None:
    translator = caller_with(tenant, "list", "read", "create", "update", "delete", locale=["de"])
    path = f"nodes/{shown_id(page)}"

    assert listed(translator) == {shown_id(page)}
    seen = translator.call("GET", path).json()
    assert [entry["locale"] for entry in seen["translations"]] == ["de"]
    assert [entry["body"] for entry in seen["bodies"]] == ["Deutscher Text"]
    [row] = translator.call("GET", "nodes").json()["data"]
    assert [entry["title"] for entry in row["translations"]] == ["Über uns"]
    german = {"translations": [{"locale": "de", "title": "Wir"}], "bodies": [{"locale": "de", "body": "Neu"}]}
    assert translator.call("PATCH", path, german).json()["translations"][0]["title"] == "Wir"

    for method, tail, body in (
        ("PATCH", "", {"translations": [{"locale": "en", "title": "Hacked"}]}),
        ("PATCH", "", {"bodies": [{"locale": "en", "body": "Hacked"}]}),
        ("PATCH", "", german | {"author_name": "Hacked"}),
        ("POST", "/publish", {}),
        ("POST", "/move", {"position": 0}),
        ("DELETE", "/translations/en", None),
        ("DELETE", "", None),
    ):
        assert translator.call(method, path + tail, body).status_code == 403, (method, tail, body)
    english = {"kind": "page", "translations": [{"locale": "en", "title": "New"}]}
    assert translator.call("POST", "nodes", english).status_code == 403
    assert translator.call("POST", "nodes", english | {"translations": german["translations"]}).status_code == 201
    assert translator.call("GET", f"nodes/{shown_id(post)}").status_code == 404


def test_own_is_what_one_made_oneself(tenant: tenants.Tenant, page: models.Node) -> None:
    author = caller_with(tenant, "list", "read", "create", "update", "delete", own=True)
    new = {"kind": "post", "translations": [{"locale": "en", "title": "Mine"}]}

    mine = author.call("POST", "nodes", new).json()["id"]

    assert listed(author) == {mine}
    assert author.call("PATCH", f"nodes/{mine}", {"author_name": "Ann"}).status_code == 200
    assert author.call("PATCH", f"nodes/{shown_id(page)}", {"author_name": "Ann"}).status_code == 404
    assert author.call("DELETE", f"nodes/{shown_id(page)}").status_code == 404
    colleague = caller_with(tenant, "list", "read", "update", own=True)
    assert listed(colleague) == set()
    assert colleague.call("GET", f"nodes/{mine}").status_code == 404


def test_a_branch_with_others_nodes_is_not_deleted_by_who_may_delete_their_own(tenant: tenants.Tenant) -> None:
    author = caller_with(tenant, "read", "create", "delete", own=True)
    new = {"kind": "page", "translations": [{"locale": "en", "title": "Mine"}]}
    mine = author.call("POST", "nodes", new).json()["id"]
    with factories.at_work(tenant):
        reply = making.make_node("A reply", kind="comment", parent_id=mine)

    assert author.call("DELETE", f"nodes/{mine}").status_code == 403
    with factories.at_work(tenant):
        models.Node.objects.filter(id=reply.id).delete()
    assert author.call("DELETE", f"nodes/{mine}").status_code == 204


def test_a_customer_reads_what_is_published_and_writes_comments_of_their_own(
    tenant: tenants.Tenant, page: models.Node, post: models.Node
) -> None:
    ann, bob = calling.make_caller(tenant, "customer"), calling.make_caller(tenant, "customer")
    words = {"translations": [{"locale": "en", "title": "First!"}], "parent_id": shown_id(post)}

    comment = ann.call("POST", "nodes", words | {"kind": "comment"}).json()["id"]

    assert listed(ann) == {shown_id(post), comment}
    assert listed(bob) == {shown_id(post)}
    assert ann.call("GET", f"nodes/{shown_id(page)}").status_code == 404
    assert ann.call("PATCH", f"nodes/{comment}", {"author_name": "Ann"}).status_code == 200
    assert bob.call("PATCH", f"nodes/{comment}", {"author_name": "Bob"}).status_code == 404
    assert bob.call("DELETE", f"nodes/{comment}").status_code == 404
    assert ann.call("PATCH", f"nodes/{shown_id(post)}", {"author_name": "Ann"}).status_code == 403
    below_a_draft = words | {"kind": "comment", "parent_id": shown_id(page)}
    assert ann.call("POST", "nodes", below_a_draft).json()["errors"][0]["code"] == "unknown_id"
    assert ann.call("POST", "nodes", words | {"kind": "post"}).status_code == 403


def test_several_grants_add_up(tenant: tenants.Tenant, page: models.Node, post: models.Node) -> None:
    grants = [
        roles.GrantInput(permission="nodes:list", constraint={"kind": ["page"], "locale": ["de"]}),
        roles.GrantInput(permission="posts:list", constraint={"published": True}),
    ]
    with factories.at_work(tenant):
        draft = making.make_node("Draft", kind="post")
        english = making.make_node("Only English")
        roles.create_role(new=roles.NewRole(slug="both", name="Both", grants=grants), by=None)

    seen = listed(calling.make_caller(tenant, "both"))

    assert seen == {shown_id(page), shown_id(post)}
    assert not seen & {shown_id(draft), shown_id(english)}


def test_a_limited_list_costs_the_same_for_twenty_as_for_two(tenant: tenants.Tenant) -> None:
    writer = caller_with(tenant, "list", kind=["page"], locale=["en"])

    def make(number: int) -> None:
        with factories.at_work(tenant):
            making.make_node(f"Page {number}")

    assert_constant_queries(lambda: writer.call("GET", "nodes?limit=20"), make)


def test_who_may_write_but_not_read_hears_only_where_it_is(tenant: tenants.Tenant) -> None:
    writer = caller_with(tenant, "create", "update")

    made = writer.call("POST", "nodes", {"kind": "page", "translations": [{"locale": "en", "title": "Blind"}]})

    assert (made.status_code, made.content) == (204, b"")
    assert re.fullmatch(r"/api/v1/admin/nodes/node_\w{26}", made["Location"])


# --- Sharing ------------------------------------------------------------------------------------------------


def test_a_node_is_shared_with_one_member_to_read_then_to_update_then_no_more(
    tenant: tenants.Tenant, page: models.Node, post: models.Node
) -> None:
    editor = calling.make_caller(tenant, "editor")
    guest = calling.make_caller(tenant, "merchandiser", email="guest@example.test")
    path, shares = f"nodes/{shown_id(page)}", f"nodes/{shown_id(page)}/shares"
    assert guest.call("GET", path).status_code == 403

    share = {"email": "guest@example.test", "action": "read"}
    assert editor.call("POST", shares, share).status_code == 201
    assert guest.call("GET", path).status_code == 200
    assert guest.call("PATCH", path, {"author_name": "Guest"}).status_code == 403

    for _ in range(2):
        assert editor.call("POST", shares, share | {"action": "update"}).json()["action"] == "update"
    assert guest.call("PATCH", path, {"author_name": "Guest"}).json()["author_name"] == "Guest"
    assert [row["action"] for row in editor.call("GET", shares).json()["data"]] == ["update"]
    for other in (guest.call("DELETE", path), guest.call("POST", f"{path}/publish", {}), guest.call("GET", "nodes")):
        assert other.status_code == 403
    assert guest.call("GET", f"nodes/{shown_id(post)}").status_code == 403
    assert guest.call("GET", f"nodes/{ids.encode('node', ids.new_id())}").status_code == 403

    assert editor.call("DELETE", f"{shares}/{ids.encode('user', guest.user.pk)}").status_code == 204
    assert guest.call("GET", path).status_code == 403
    assert editor.call("DELETE", f"{shares}/{ids.encode('user', guest.user.pk)}").json()["code"] == "share_not_found"
    told = [entry for entry in writing.entries_of(tenant.id) if "share" in entry.action]
    assert [(entry.action, entry.object_id, list(entry.read_changes().values())) for entry in told] == [
        ("content.node.shared", str(page.id), [[None, "read"]]),
        ("content.node.shared", str(page.id), [["read", "update"]]),
        ("content.node.unshared", str(page.id), [["update", None]]),
    ]
    assert {key for entry in told for key in entry.read_changes()} == {f"user:{guest.user.pk}"}


def test_what_is_shared_never_enters_a_list(tenant: tenants.Tenant, page: models.Node, post: models.Node) -> None:
    editor = calling.make_caller(tenant, "editor")
    reader = calling.make_caller(tenant, "customer", email="reader@example.test")
    share = {"email": "reader@example.test", "action": "read"}
    editor.call("POST", f"nodes/{shown_id(page)}/shares", share)

    with CaptureQueriesContext(connection) as queries:
        seen = listed(reader)

    assert seen == {shown_id(post)}
    assert not [query for query in queries if "nodeuserobjectpermission" in query["sql"]]
    assert reader.call("GET", f"nodes/{shown_id(page)}").status_code == 200


def test_only_members_are_shared_with_and_leaving_ends_it_for_good(tenant: tenants.Tenant, page: models.Node) -> None:
    editor, owner = calling.make_caller(tenant, "editor"), calling.make_caller(tenant, "owner")
    stranger = calling.make_caller(tenant, email="stranger@example.test")
    guest = calling.make_caller(tenant, "merchandiser", email="guest@example.test")
    shares = f"nodes/{shown_id(page)}/shares"

    refused = editor.call("POST", shares, {"email": "stranger@example.test", "action": "read"})
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (422, "not_a_member")
    assert stranger.call("GET", f"nodes/{shown_id(page)}").status_code == 403

    editor.call("POST", shares, {"email": "guest@example.test", "action": "read"})
    owner.call("DELETE", f"members/{ids.encode('user', guest.user.pk)}")
    assert guest.call("GET", f"nodes/{shown_id(page)}").status_code == 403
    factories.make_member(tenant, "merchandiser", guest.user)
    assert guest.call("GET", f"nodes/{shown_id(page)}").status_code == 403


def test_nobody_shares_more_than_they_may_do_themselves(tenant: tenants.Tenant, page: models.Node) -> None:
    grants = [roles.GrantInput(permission="nodes:read"), roles.GrantInput(permission="shares:create")]
    with factories.at_work(tenant):
        roles.create_role(new=roles.NewRole(slug="sharer", name="Sharer", grants=grants), by=None)
    sharer = calling.make_caller(tenant, "sharer")
    calling.make_caller(tenant, "merchandiser", email="guest@example.test")
    shares = f"nodes/{shown_id(page)}/shares"

    assert sharer.call("POST", shares, {"email": "guest@example.test", "action": "update"}).status_code == 403
    assert sharer.call("POST", shares, {"email": "guest@example.test", "action": "read"}).status_code == 201
