"""Comments: customers write them, editors decide, and the shop shows what was approved."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import orjson
import pytest
from django.test import Client
from django.utils import timezone

from apps.accounts.models import Customer
from apps.consumers import tasks
from apps.content import models, services
from apps.kernel import errors, ids, validation
from apps.tenants import services as tenant_services
from apps.tenants.models import Tenant
from tests import factories
from tests.content import making
from tests.content.making import make_node, types_of
from tests.content.test_api import Api

COMMENTS = "/api/v1/admin/comments"
OWN = "/api/v1/store/account/comments"


def set_rules(tenant: Tenant, **rules: Any) -> None:
    changes = tenant_services.TenantChanges(settings={"comments": rules})
    tenant_services.update_tenant(tenant=tenant, changes=changes)


@pytest.fixture
def customer(at_work: Any) -> Customer:
    now = timezone.now()
    return Customer.objects.create(email="dora@example.test", name="Dora", created_at=now, email_verified_at=now)


@pytest.fixture
def post(at_work: Any, tenant: Tenant) -> models.Node:
    set_rules(tenant, are_open=True)
    return make_node("Post", kind="post", publish=True, published_at="2026-03-01T12:00:00Z")


def write(customer: Customer, parent: models.Node, text: str = "So true", **fields: Any) -> models.Node:
    new = validation.parse(services.NewComment, {"parent_id": str(parent.id), "text": text, **fields})
    return services.write_comment(customer=customer, new=new, now=making.LATER)


def say(comment: models.Node, state: str) -> models.Node:
    return services.moderate_comment(comment_id=comment.id, state=services.CommentState(state), now=making.LATER)


def state(comment: models.Node) -> str:
    return services.comment_state(models.Node.objects.get(id=comment.id))


def test_a_comment_waits_until_somebody_approves_it(customer: Customer, post: models.Node) -> None:
    comment = write(customer, post, "So *true*\n<b>!</b>")

    assert state(comment) == "pending"
    say(comment, "approved")

    assert state(comment) == "approved"
    assert (comment.author_name, models.Body.objects.get(node=comment).format) == ("Dora", "plain")
    assert types_of(comment.id) == ["node.created", "node.published"]


def test_each_state_can_follow_each_and_saying_it_twice_changes_nothing(customer: Customer, post: models.Node) -> None:
    comment = write(customer, post)

    for wanted in ("spam", "spam", "rejected", "spam", "approved", "rejected", "pending", "spam"):
        say(comment, wanted)
        assert state(comment) == wanted

    assert types_of(comment.id) == [
        "node.created",
        "node.archived", "comment.marked",
        "comment.marked",
        "comment.marked",
        "comment.marked", "node.published",
        "node.archived",
        "node.unpublished",
        "node.archived", "comment.marked",
    ]  # fmt: skip


def test_what_an_editor_publishes_as_a_node_is_no_spam(customer: Customer, post: models.Node) -> None:
    comment = write(customer, post)
    say(comment, "spam")

    services.publish_node(node_id=comment.id, now=making.LATER)

    assert state(comment) == "approved"


def test_without_moderation_a_comment_is_shown_at_once(customer: Customer, post: models.Node, tenant: Tenant) -> None:
    set_rules(tenant, are_open=True, are_moderated=False)

    assert state(write(customer, post)) == "approved"


@pytest.mark.parametrize(
    ("rules", "is_open", "is_taken"),
    [
        ({}, None, False),
        ({}, True, True),
        ({"are_open": True}, None, True),
        ({"are_open": True}, False, False),
        ({"are_open": True, "closed_after_days": 1}, None, True),
        ({"are_open": True, "closed_after_days": 1}, True, True),
    ],
)
def test_comments_are_taken_where_the_tenant_and_the_node_say_so(
    customer: Customer, post: models.Node, tenant: Tenant, rules: dict[str, Any], is_open: bool | None, is_taken: bool
) -> None:
    set_rules(tenant, **rules)
    making.update(post, comments_open=is_open)

    if is_taken:
        write(customer, post)
    else:
        with pytest.raises(services.CommentsClosed):
            write(customer, post)


def test_comments_end_some_days_after_the_publication(customer: Customer, post: models.Node, tenant: Tenant) -> None:
    set_rules(tenant, are_open=True, closed_after_days=7)
    new = services.NewComment(parent_id=post.id, text="Late")

    with pytest.raises(services.CommentsClosed, match="7 days"):
        services.write_comment(customer=customer, new=new, now=making.NOW + timedelta(days=7, seconds=1))


def test_only_what_the_public_sees_and_is_for_it_can_be_commented_on(customer: Customer, post: models.Node) -> None:
    pending = write(customer, post)
    others = [
        make_node("Draft", kind="post"),
        make_node("Page", publish=True),
        pending,
        write_below_hidden(customer, post),
    ]

    for parent in others:
        with pytest.raises(services.NodeNotFound, match="nothing to comment on"):
            write(customer, parent)


def write_below_hidden(customer: Customer, post: models.Node) -> models.Node:
    comment = write(customer, post)
    say(comment, "approved")
    answer = write(customer, comment)
    say(answer, "approved")
    say(comment, "rejected")
    return answer


@pytest.mark.parametrize("text", ["\u200b", "\u0001\u0002", "\n\u2028"])
def test_a_comment_says_something(customer: Customer, post: models.Node, text: str) -> None:
    with pytest.raises(errors.ValidationFailed) as refused:
        write(customer, post, text)
    assert {problem.pointer for problem in refused.value.problems} == {"/text"}


def test_a_comment_is_known_by_what_can_be_seen_of_it(customer: Customer, post: models.Node) -> None:
    comment = write(customer, post, "\u200b" * 70 + "So\u0007\u2028true")

    assert comment.translations.get().title == "So true"


def test_answers_go_five_levels_deep(customer: Customer, post: models.Node, tenant: Tenant) -> None:
    set_rules(tenant, are_open=True, are_moderated=False)
    parent = post
    for _ in range(5):
        parent = write(customer, parent)

    with pytest.raises(errors.ValidationFailed, match="5 levels"):
        write(customer, parent)


def test_only_comments_are_moderated(post: models.Node) -> None:
    with pytest.raises(services.NodeNotFound):
        say(post, "rejected")


@pytest.mark.parametrize("rules", [{"are_open": "yes"}, {"open": True}, {"closed_after_days": 0}, []])
def test_a_setting_that_means_nothing_is_refused(tenant: Tenant, rules: Any) -> None:
    with pytest.raises(errors.ValidationFailed) as refused:
        tenant_services.update_tenant(
            tenant=tenant, changes=tenant_services.TenantChanges(settings={"comments": rules})
        )

    assert refused.value.problems[0].pointer.startswith("/settings/comments")


class Shop:
    """The shop's public side, as a customer or as anybody."""

    def __init__(self, tenant: Tenant, token: str = "") -> None:
        bearer = {"Authorization": f"Bearer {token}"} if token else {}
        self._client = Client(headers={"host": f"{tenant.slug}.test"} | bearer)

    def __call__(self, method: str, path: str, body: Any = None, *, status: int = 200) -> Any:
        answer = self._client.generic(
            method, path, b"" if body is None else orjson.dumps(body), content_type="application/json"
        )
        assert answer.status_code == status, answer.content
        return answer.json()


@pytest.fixture
def published(committed_db: None) -> Iterator[tuple[Tenant, models.Node]]:
    tenant = factories.make_tenant(default_locale="en", locales=["de"])
    set_rules(tenant, are_open=True)
    with factories.at_work(tenant):
        yield tenant, make_node("Post", kind="post", publish=True)


@pytest.fixture
def customer_of(published: tuple[Tenant, models.Node]) -> Callable[[str], Shop]:
    return lambda name: Shop(published[0], factories.make_customer_token(published[0], name))


def test_a_comment_travels_the_whole_way_and_shows_no_address(
    published: tuple[Tenant, models.Node], customer_of: Callable[[str], Shop]
) -> None:
    tenant, post = published
    dora, editor, anybody = customer_of("Dora"), Api(tenant), Shop(tenant)
    thread = "/api/v1/store/content/post/post/comments"
    node_id = ids.encode("node", post.id)

    written = dora("POST", OWN, {"parent_id": node_id, "text": "A <b>kettle</b>"}, status=201)
    spam = dora("POST", OWN, {"parent_id": node_id, "text": "Buy watches"}, status=201)
    tasks.drain()

    assert (written["state"], written["text"]) == ("pending", "A <b>kettle</b>")
    assert anybody("GET", thread)["data"] == []
    assert [row["id"] for row in editor("GET", f"{COMMENTS}?state=pending")["data"]] == [spam["id"], written["id"]]

    approved = editor("POST", f"{COMMENTS}/{written['id']}/approve")
    operations = [{"op": "spam", "id": spam["id"]}]
    assert editor("POST", f"{COMMENTS}/bulk", {"operations": operations})["succeeded"] == 1
    answer = dora("POST", OWN, {"parent_id": written["id"], "text": "And a pot"}, status=201)
    editor("POST", f"{COMMENTS}/{answer['id']}/approve")
    tasks.drain()

    assert (approved["state"], approved["author_name"]) == ("approved", "Dora")
    shown = anybody("GET", f"{thread}?count=exact")
    assert (shown["count"], [(row["html"], row["author"], row["parent_id"]) for row in shown["data"]]) == (
        2,
        [
            ("<p>A &lt;b&gt;kettle&lt;/b&gt;</p>", "Dora", node_id),
            ("<p>And a pot</p>", "Dora", written["id"]),
        ],
    )
    assert "@" not in str(shown) + str(editor("GET", COMMENTS)) + str(anybody("GET", "/api/v1/store/content/comment"))
    assert [row["state"] for row in dora("GET", OWN)["data"]] == ["approved", "spam", "approved"]
    assert customer_of("Ben")("GET", OWN)["data"] == []

    editor("POST", f"{COMMENTS}/{written['id']}/reject")
    tasks.drain()
    assert anybody("GET", thread)["data"] == []  # and so the answer to it


def test_nobody_comments_without_a_login_and_no_editor_here(published: tuple[Tenant, models.Node]) -> None:
    tenant, post = published
    new = {"parent_id": ids.encode("node", post.id), "text": "Hm"}

    assert Shop(tenant)("POST", OWN, new, status=401)["code"] == "not_authenticated"
    Shop(tenant, factories.make_token(tenant, role="owner"))("POST", OWN, new, status=401)
    assert models.Node.objects.filter(kind="comment").count() == 0


def test_customers_moderate_nothing(published: tuple[Tenant, models.Node], customer_of: Callable[[str], Shop]) -> None:
    _, post = published
    dora = customer_of("Dora")
    written = dora("POST", OWN, {"parent_id": ids.encode("node", post.id), "text": "Hm"}, status=201)

    dora("POST", f"{COMMENTS}/{written['id']}/approve", status=401)

    assert state(models.Node.objects.get(kind="comment")) == "pending"
