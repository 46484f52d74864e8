"""The fifteen types of blocks: each takes its example, and nothing it does not know."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from apps.content import blocks, models, services
from apps.kernel import errors
from tests.content.making import make_node, update

EXAMPLES = [pytest.param(dict(model.example), id=name) for name, model in blocks.TYPES.items()]


def refusals(block: Any) -> list[tuple[str, str]]:
    with pytest.raises(errors.ValidationFailed) as refused:
        blocks.parse(block)
    return [(problem.pointer, problem.code) for problem in refused.value.problems]


def test_there_are_fifteen() -> None:
    assert len(blocks.TYPES) == 15


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_example_of_a_type_is_taken_and_stored_again_as_the_same(example: dict[str, Any]) -> None:
    stored = blocks.dump(blocks.parse(example))

    assert stored["type"] == example["type"]
    assert blocks.dump(blocks.parse(stored)) == stored


@pytest.mark.parametrize("example", EXAMPLES)
def test_what_a_type_does_not_know_is_refused_where_it_stands(example: dict[str, Any]) -> None:
    assert ("/colour", "extra_forbidden") in refusals(example | {"colour": "red"})


@pytest.mark.parametrize("name", blocks.TYPES)
def test_a_block_without_anything_says_what_it_needs(name: str) -> None:
    needed = {field for field, rule in blocks.TYPES[name].model_fields.items() if rule.is_required()} - {"type"}
    one_of = {"video": {"url"}, "product_grid": {"collection_id"}}

    if not needed and name not in one_of:
        blocks.parse({"type": name})
    else:
        assert {pointer for pointer, _ in refusals({"type": name})} == {
            f"/{field}" for field in needed | one_of.get(name, set())
        }


@pytest.mark.parametrize(
    ("block", "refused"),
    [
        ("hero", ("", "not_a_block")),
        ({"text": "no type"}, ("", "not_a_block")),
        ({"type": 3}, ("", "not_a_block")),
        ({"type": "heros"}, ("/type", "unknown_block")),
        ({"type": "hero", "title": "A", "actions": [{"label": "B", "url": "javascript:x"}]},
         ("/actions/0/url", "invalid_url")),
        ({"type": "image", "picture": {"alt": "Nothing"}}, ("/picture/url", "one_source")),
        ({"type": "gallery", "pictures": [{"url": "/a"}] * 101}, ("/pictures", "too_long")),
        ({"type": "gallery", "pictures": [{"url": "/a"}], "columns": 7}, ("/columns", "columns_too_large")),
        ({"type": "product_grid", "product_ids": ["node_01h455vb4pex5vsknk084sn02q"]},
         ("/product_ids/0", "invalid_id")),
        ({"type": "text", "text": "\x00"}, ("/text", "nul_character")),
        ({"type": "contact", "email": "nobody"}, ("/email", "invalid_email")),
    ],
)  # fmt: skip
def test_a_wrong_block_is_pointed_at(block: Any, refused: tuple[str, str]) -> None:
    assert refused in refusals(block)


@pytest.mark.usefixtures("at_work")
class TestInBodies:
    def test_all_wrong_blocks_are_told_with_their_places(self) -> None:
        wrong = [{"type": "spacer"}, {"type": "spacer", "size": "huge"}, {"type": "herro"}]

        with pytest.raises(services.InvalidBlocks) as refused:
            make_node(bodies=[{"locale": "en", "format": "json", "body": wrong}])

        assert [(problem.pointer, problem.code) for problem in refused.value.problems] == [
            ("/bodies/0/body/1/size", "literal_error"),
            ("/bodies/0/body/2/type", "unknown_block"),
        ]
        assert 'Did you mean "hero"?' in refused.value.detail

    def test_html_in_blocks_is_cleaned_when_it_is_written(self) -> None:
        block = {"type": "html", "html": "<p onclick='x()'>a</p><script>b</script>"}

        node = make_node(bodies=[{"locale": "en", "format": "json", "body": [block]}])

        [stored] = orjson.loads(models.Body.objects.get(node=node).body)
        assert stored["html"] == "<p>a</p>"

    def test_a_body_from_before_there_were_types_stays_until_it_is_written_anew(self) -> None:
        node = make_node(bodies=[{"locale": "en", "format": "json", "body": []}])
        models.Body.objects.filter(node=node).update(body='[{"type":"paragraph","data":{"text":"a"}}]')

        update(node, author_name="Ann")

        assert "paragraph" in models.Body.objects.get(node=node).body
        with pytest.raises(services.InvalidBlocks, match="paragraph"):
            update(node, bodies=[{"locale": "en", "format": "json", "body": [{"type": "paragraph"}]}])
