"""The editors' API of content."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from django.test import Client

from apps.kernel import ids
from apps.tenants import models as tenants
from rustok.testing.asserting import assert_same_queries
from tests import factories
from tests.content import making
from tests.content.making import make_node

NODES = "/api/v1/admin/nodes"
CATEGORIES = "/api/v1/admin/content-categories"
TAGS = "/api/v1/admin/tags"
NOBODY = "node_01h455vb4pex5vsknk084sn02q"


class Api:
    """A client of one tenant's editor."""

    def __init__(self, tenant: tenants.Tenant, role: str = "editor") -> None:
        token = factories.make_token(tenant, role=role)
        self._client = Client(headers={"Authorization": f"Bearer {token}", "X-Tenant": tenant.slug})

    def __call__(self, method: str, path: str, data: Any = None, *, status: int = 200) -> Any:
        body = data if isinstance(data, bytes) else b"" if data is None else orjson.dumps(data)
        headers = factories.write_headers(method)
        answer = self._client.generic(method, path, body, content_type="application/json", headers=headers)
        assert answer.status_code == status, answer.content
        return answer.json() if answer.content else None


@pytest.fixture
def api(tenant: tenants.Tenant) -> Api:
    return Api(tenant)


def test_a_node_lives_its_life_over_http(api: Api) -> None:
    category = api("POST", CATEGORIES, {"translations": [{"locale": "en", "name": "News"}]}, status=201)
    tag = api("POST", TAGS, {"translations": [{"locale": "en", "name": "red"}]}, status=201)

    node = api(
        "POST",
        NODES,
        {
            "kind": "page",
            "translations": [{"locale": "en", "title": "Über uns"}],
            "bodies": [{"locale": "en", "format": "json", "body": [{"type": "text", "text": "Hi"}]}],
            "category_ids": [category["id"]],
            "tag_ids": [tag["id"]],
        },
        status=201,
    )
    here = f"{NODES}/{node['id']}"
    changed = api(
        "PATCH", here, {"translations": [{"locale": "de", "title": "Über uns"}, {"locale": "en", "slug": "x"}]}
    )
    published = api("POST", f"{here}/publish")
    dated = api("POST", f"{here}/publish", {"published_at": "2020-01-01T00:00:00Z"})
    archived = api("POST", f"{here}/archive")
    draft = api("POST", f"{here}/unpublish")
    api("DELETE", f"{here}/translations/de", status=204)
    read = api("GET", here)
    api("DELETE", here, status=204)

    assert node["id"].startswith("node_")
    assert (node["status"], node["category_ids"], node["tag_ids"]) == ("draft", [category["id"]], [tag["id"]])
    assert [row["slug"] for row in node["translations"]] == ["uber-uns"]
    assert changed["redirects"] == [{"locale": "en", "slug": "uber-uns"}]
    assert (published["status"], archived["status"], draft["status"]) == ("published", "archived", "draft")
    assert dated["published_at"] == "2020-01-01T00:00:00.000000Z"
    assert [row["locale"] for row in read["translations"]] == ["en"]
    assert api("GET", here, status=404)["code"] == "node_not_found"


def test_nodes_move_and_are_reordered_over_http(api: Api) -> None:
    def create(title: str, **fields: Any) -> str:
        data = {"kind": "page", "translations": [{"locale": "en", "title": title}], **fields}
        return str(api("POST", NODES, data, status=201)["id"])

    parent = create("Parent")
    first, second = create("First", parent_id=parent), create("Second", parent_id=parent)

    order = api("POST", f"{NODES}/{parent}/reorder-children", {"ids": [second, first]})
    to_first = api("POST", f"{NODES}/{first}/move", {"position": 0})
    to_top = api("POST", f"{NODES}/{first}/move", {"parent_id": None})

    assert order == {"ids": [second, first]}
    assert (to_first["parent_id"], to_first["position"]) == (parent, 0)
    assert (to_top["parent_id"], to_top["depth"]) == (None, 0)
    assert api("POST", f"{NODES}/{parent}/move", {"parent_id": second}, status=409)["code"] == "tree_cycle"
    wrong = api("POST", f"{NODES}/{parent}/reorder-children", {"ids": [first]}, status=422)
    assert wrong["errors"][0]["pointer"] == "/ids"


def test_lists_are_filtered_and_paged_with_constant_queries(api: Api, tenant: tenants.Tenant) -> None:
    with factories.at_work(tenant):
        parent = make_node("Parent")
        for number in range(5):
            make_node(f"Post {number}", kind="post", publish=number % 2 == 0, parent_id=parent.id)

    def titles(query: str) -> list[str]:
        return [row["translations"][0]["title"] for row in api("GET", f"{NODES}?{query}")["data"]]

    first = api("GET", f"{NODES}?kind=post&limit=3&count=exact")
    second = api("GET", first["next"])

    assert first["count"] == 5
    assert [len(first["data"]), len(second["data"]), second["next"]] == [3, 2, None]
    assert titles("kind=post&status=draft") == ["Post 3", "Post 1"]
    assert titles("parent=root") == ["Parent"]
    assert len(titles(f"parent={ids.encode('node', parent.id)}")) == 5
    assert titles("locale=de") == []
    for wrong, code in (("kind=psot", "invalid_filter"), ("parent=x", "invalid_filter"), ("limit=0", "invalid_limit")):
        assert api("GET", f"{NODES}?{wrong}", status=422)["errors"][0]["code"] == code
    assert_same_queries(lambda: titles("limit=1"), lambda: titles("limit=5"))


def test_terms_are_kept_over_http(api: Api) -> None:
    top = api("POST", CATEGORIES, {"translations": [{"locale": "en", "name": "Top"}]}, status=201)
    genre = {"taxonomy": "genre", "translations": [{"locale": "en", "name": "Jazz"}]}
    api("POST", CATEGORIES, genre, status=201)
    child_data = {"translations": [{"locale": "en", "name": "Child"}], "parent_id": top["id"]}
    child = api("POST", CATEGORIES, child_data, status=201)
    moved = api("PATCH", f"{CATEGORIES}/{child['id']}", {"parent_id": None})
    tag = api("POST", TAGS, {"translations": [{"locale": "en", "name": "red"}]}, status=201)
    renamed = api("PATCH", f"{TAGS}/{tag['id']}", {"translations": [{"locale": "en", "name": "crimson"}]})

    assert (child["depth"], moved["depth"]) == (1, 0)
    assert [row["id"] for row in api("GET", f"{CATEGORIES}?taxonomy=category")["data"]] == [top["id"], child["id"]]
    assert renamed == api("GET", f"{TAGS}/{tag['id']}")
    assert [row["id"] for row in api("GET", TAGS)["data"]] == [tag["id"]]
    api("DELETE", f"{CATEGORIES}/{top['id']}", status=204)
    api("DELETE", f"{TAGS}/{tag['id']}", status=204)
    assert api("GET", f"{CATEGORIES}/{top['id']}", status=404)["code"] == "category_not_found"
    assert api("GET", f"{TAGS}/{tag['id']}", status=404)["code"] == "tag_not_found"


@pytest.mark.parametrize(
    ("method", "path", "data", "status", "code"),
    [
        ("POST", NODES, [], 422, "validation_failed"),
        ("POST", NODES, {"kind": "page"}, 422, "validation_failed"),
        ("POST", NODES, {"kind": "page", "translations": [{"locale": "fr", "title": "a"}]}, 422, "locale_not_enabled"),
        ("GET", f"{NODES}/prod_1", None, 404, "invalid_id"),
        ("PATCH", f"{NODES}/{NOBODY}", {"author_name": "x"}, 404, "node_not_found"),
        ("PATCH", f"{NODES}/{NOBODY}", {"depth": 1}, 422, "validation_failed"),
        ("DELETE", f"{NODES}/{NOBODY}", None, 404, "node_not_found"),
    ],
)
def test_wrong_requests_are_problem_documents(
    api: Api, method: str, path: str, data: Any, status: int, code: str
) -> None:
    assert api(method, path, data, status=status)["code"] == code


def test_half_a_character_is_refused_and_does_not_break_the_answer(api: Api) -> None:
    page = b'{"kind": "page", "translations": [{"locale": "en", "title": "a \\ud83d"}]}'

    assert "not JSON" in api("POST", NODES, page, status=400)["detail"]


def test_a_slug_conflict_names_the_slug(api: Api) -> None:
    page = {"kind": "page", "translations": [{"locale": "en", "title": "A", "slug": "mine"}]}
    api("POST", NODES, page, status=201)

    answer = api("POST", NODES, page, status=409)

    assert (answer["code"], answer["slug"]) == ("slug_taken", "mine")


def test_only_an_editor_of_the_tenant_may_enter(tenant: tenants.Tenant) -> None:
    other = factories.make_tenant()
    with factories.at_work(tenant):
        node = making.make_node("Ours")
    theirs = Api(other)

    assert Api(tenant, role="merchandiser")("GET", NODES, status=403)["code"]
    assert theirs("GET", f"{NODES}/{node}", status=404)["code"] == "node_not_found"
    assert theirs("GET", NODES)["data"] == []
