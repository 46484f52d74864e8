"""The schemas as they are served: to everybody, on any host, kept for ever once released."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from django.test import Client

from apps.events import schemas


def get(path: str, **headers: str) -> Any:
    return Client().get(path, headers={"host": "nobody.example", **headers})


def test_a_schema_is_served_at_its_own_id_and_kept_for_ever() -> None:
    answer = get("/schemas/commerce.inventory.low/1")

    assert answer.status_code == 200
    assert answer["Content-Type"] == "application/schema+json"
    assert answer["Cache-Control"] == "public, max-age=31536000, immutable"
    assert answer.json()["$id"] == "/schemas/commerce.inventory.low/1"
    assert set(answer.json()["properties"]) == {"variant_id", "location_id", "remaining", "threshold"}
    assert get("/schemas/commerce.inventory.low/1", if_none_match=answer["ETag"]).status_code == 304
    assert get("/schemas/commerce.inventory.low/2").json()["properties"].keys() > answer.json()["properties"].keys()


def test_every_schema_in_the_index_can_be_fetched() -> None:
    rows = get("/schemas/").json()["data"]

    assert [row["type"] for row in rows] == sorted(schemas.published())
    for row in rows:
        assert row["description"]
        for version in row["versions"]:
            assert get(version["schema"]).json()["$id"] == version["schema"]


def test_the_index_is_found_without_its_slash() -> None:
    assert get("/schemas")["Location"] == "/schemas/"


def test_a_draft_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "commerce.inventory.low"
    versions = schemas.published()[name]
    drafted = versions | {2: dataclasses.replace(versions[2], is_released=False)}
    monkeypatch.setattr(schemas, "published", lambda: {name: drafted})

    assert get(f"/schemas/{name}/2")["Cache-Control"] == "public, max-age=0, must-revalidate"
    assert "immutable" in get(f"/schemas/{name}/1")["Cache-Control"]


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("/schemas/commerce.inventory.lo/1", 'Did you mean "commerce.inventory.low"?'),
        ("/schemas/commerce.inventory.low/3", "there are: 1, 2"),
        ("/schemas/commerce.inventory.low/x", "nothing at"),
    ],
)
def test_an_unknown_schema_is_a_problem_that_helps(path: str, hint: str) -> None:
    answer = get(path)

    assert answer.status_code == 404
    assert answer["Content-Type"] == "application/problem+json"
    assert hint in answer.json()["detail"]


def test_the_asyncapi_document_is_served() -> None:
    answer = get("/asyncapi.json")

    assert answer["Content-Type"] == "application/json"
    assert answer.json()["asyncapi"] == "3.0.0"
    assert get("/asyncapi.json", if_none_match=answer["ETag"]).status_code == 304


def test_schemas_are_only_read() -> None:
    assert Client().post("/schemas/").status_code == 405
