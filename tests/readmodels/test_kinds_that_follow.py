"""What belongs to another node, such as a comment, is public only while that node is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from apps.consumers import projections, rebuild, status
from apps.content import services as content
from apps.kernel import ids
from apps.tenants.models import Tenant
from rustok.testing.asserting import assert_same_queries
from tests.readmodels.conftest import NOW, Get, make_node

type Hide = Callable[[Any], object]

HIDING: dict[str, Hide] = {
    "unpublished": lambda node: content.unpublish_node(node_id=node.id),
    "archived": lambda node: content.archive_node(node_id=node.id),
}


def below(parent: Any, title: str, *, kind: str = "comment", **fields: Any) -> Any:
    return make_node(title, kind=kind, parent_id=str(parent.id), **fields)


def shown(get: Get, kind: str = "comment", **parameters: Any) -> list[str]:
    answer = get(f"content/{kind}", count="exact", **parameters).json()
    titles = [document["title"] for document in answer["data"]]
    assert answer["count"] == len(titles)
    return titles


def found(get: Get, words: str) -> list[str]:
    answer = get("search", q=words, count="exact").json()
    titles = [row["document"]["title"] for row in answer["data"]]
    assert answer["count"] == len(titles)
    return titles


@pytest.mark.parametrize("hide", HIDING.values(), ids=HIDING)
@pytest.mark.parametrize("kind", ["comment", "attachment"])
def test_it_goes_and_comes_back_with_what_it_belongs_to(get: Get, kind: str, hide: Hide) -> None:
    post = make_node("Walnut")
    below(post, "Marvellous", kind=kind)
    assert shown(get, kind) == found(get, "marvellous") == ["Marvellous"]
    assert get(f"content/{kind}/marvellous").status_code == 200

    hide(post)
    assert shown(get, kind) == found(get, "marvellous") == []
    assert get(f"content/{kind}/marvellous").json()["code"] == "content_not_found"

    content.publish_node(node_id=post.id, now=NOW)
    assert shown(get, kind) == found(get, "marvellous") == ["Marvellous"]
    assert get(f"content/{kind}/marvellous").status_code == 200


def test_below_a_draft_it_is_not_shown_by_slug_by_id_or_by_an_old_slug(get: Get) -> None:
    comment = below(make_node("Draft", publish=False), "Early")
    changes = content.NodeChanges.model_validate({"translations": [{"locale": "en", "slug": "late"}]})
    content.update_node(node_id=comment.id, changes=changes)

    for name in ("late", "early", ids.encode("node", comment.id)):
        assert get(f"content/comment/{name}").status_code == 404
    assert found(get, "early") == []


def test_deleting_what_it_belongs_to_takes_it_away(get: Get) -> None:
    post = make_node("Walnut")
    below(post, "Marvellous")

    content.delete_node(node_id=post.id)

    assert shown(get) == found(get, "marvellous") == []


def test_an_answer_goes_with_the_comment_and_the_post_above_it(get: Get) -> None:
    post = make_node("Walnut")
    question = below(post, "Question", at=2)
    answer = below(question, "Answer", at=1)
    below(answer, "Thanks")
    assert shown(get) == ["Question", "Answer", "Thanks"]

    content.unpublish_node(node_id=post.id)
    assert shown(get) == []

    content.publish_node(node_id=post.id, now=NOW)
    content.archive_node(node_id=answer.id)
    assert shown(get) == ["Question"]


def test_moving_it_below_something_public_shows_it(get: Get) -> None:
    comment = below(make_node("Draft", publish=False), "Wandering")
    assert shown(get) == []

    content.set_parent(node_id=comment.id, parent_id=make_node("Public").id)

    assert shown(get) == ["Wandering"]


def test_pages_and_what_belongs_to_nothing_stand_by_themselves(get: Get) -> None:
    draft = make_node("About", kind="page", publish=False)
    below(draft, "Team", kind="page")
    make_node("Logo", kind="attachment")

    assert shown(get, "page") == ["Team"]
    assert shown(get, "attachment") == ["Logo"]


def test_the_comments_of_a_post_are_listed_by_its_id(get: Get) -> None:
    post = make_node("Walnut")
    below(post, "First", position=0)
    below(post, "Second", position=1)
    below(make_node("Oak"), "Elsewhere")

    assert shown(get, parent=ids.encode("node", post.id)) == ["First", "Second"]

    content.unpublish_node(node_id=post.id)
    assert get("content/comment", parent=ids.encode("node", post.id)).json()["code"] == "content_not_found"


def test_pages_of_a_list_pass_over_what_is_hidden(get: Get, client: Client, tenant: Tenant) -> None:
    public, draft = make_node("Public"), make_node("Draft", publish=False)
    for number in range(6):
        below(draft if number % 2 else public, f"Comment {number}", at=number)

    first = get("content/comment", limit=2).json()
    rest = client.get(first["next"].partition(".test")[2], headers={"host": f"{tenant.slug}.test"}).json()

    assert [document["title"] for document in first["data"]] == ["Comment 4", "Comment 2"]
    assert [document["title"] for document in rest["data"]] == ["Comment 0"]


def test_the_number_of_queries_does_not_grow_with_the_comments(get: Get, client: Client, tenant: Tenant) -> None:
    above = make_node("Walnut")
    for number in range(12):
        above = below(above, f"Comment {number}", at=number)
    get("content/comment")

    def ask(limit: int) -> None:
        address = f"/api/v1/store/content/comment?limit={limit}"
        answer = client.get(address, headers={"host": f"{tenant.slug}.test"})
        assert len(answer.json()["data"]) == limit

    assert assert_same_queries(lambda: ask(1), lambda: ask(12)) <= 6


def test_the_documents_still_equal_the_fold_of_their_own_stream(get: Get) -> None:
    post = make_node("Walnut")
    below(post, "Marvellous")
    content.unpublish_node(node_id=post.id)
    shown(get)

    rebuild.rebuild(projections.get("content"))

    assert shown(get) == []
    assert status.verify() == []


def test_an_unknown_kind_is_named(get: Get) -> None:
    for path in ("content/pots", "content/pots/hello"):
        answer = get(path)

        assert answer.status_code == 404
        assert answer.json()["code"] == "kind_not_found"
        assert '"pots" is not a kind of content. Did you mean "post"?' in answer.json()["detail"]
