"""Bodies on the way in."""

from __future__ import annotations

import pytest

from apps.content import models, services
from apps.kernel import errors
from tests.content.making import make_node, recorded

pytestmark = pytest.mark.usefixtures("at_work")


def stored(format: str, body: object) -> str:
    node = make_node(bodies=[{"locale": "en", "format": format, "body": body}])
    row = models.Body.objects.get(node=node)
    assert recorded(node.id)[0][1]["bodies"] == [{"locale": "en", "format": format, "body": row.body}]
    return row.body


@pytest.mark.parametrize(
    ("markup", "hidden"),
    [
        ("<p>a</p><script>alert(1)</script>", "alert"),
        ('<img src="x.png" onerror="alert(1)">', "onerror"),
        ('<a href="javascript:alert(1)">a</a>', "javascript"),
        ("<iframe src='https://evil.test'></iframe>", "iframe"),
        ("<style>body{}</style><form action=/x><input></form>", "form"),
    ],
)
def test_html_loses_what_could_run(markup: str, hidden: str) -> None:
    assert hidden not in stored("html", markup)


def test_html_keeps_its_block_comments() -> None:
    block = '<!-- wp:paragraph {"fontSize":"small"} -->\n<p class="has-small">Hi</p>\n<!-- /wp:paragraph -->'

    assert stored("html", block) == block


@pytest.mark.parametrize("format", ["markdown", "plain"])
def test_sources_are_stored_as_written(format: str) -> None:
    source = "    code\n\n<script>x</script> & a < b \n"

    assert stored(format, source) == source


def test_blocks_come_as_json_or_as_text_and_their_html_is_sanitised() -> None:
    blocks = [{"type": "html", "html": "<b>x</b><script>y</script>"}, {"type": "text", "text": "<script>"}]
    clean = '[{"type":"html","html":"<b>x</b>"},{"type":"text","text":"<script>"}]'

    assert stored("json", blocks) == clean
    assert stored("json", '[ {"type": "spacer"} ]') == '[{"type":"spacer","size":"medium"}]'


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("{", "not JSON"),
        ('{"type": "text"}', "list of blocks"),
        ('["a"]', "body/0: a block is an object"),
        ([{"type": "spacer"}, {"text": "b"}], "body/1: a block is an object"),
        ([{"type": 3}], "a block is an object"),
        ([{"type": "text", "text": "a", "n": 2**70}], "body/0/n: there is no such field"),
        ("[" * 200 + "]" * 200, "a block is an object"),
        (f"[{','.join(['{}'] * 10_001)}]", "10,000 blocks"),
        ([{"type": "text", "\x00": "b"}], "there is no such field"),
        ([{"type": "text", "text": "\x00"}], "NUL"),
        ([{"type": "text", "text": "a" * 100_000}] * 11, "1,000,000 characters"),
    ],
)
def test_other_json_is_refused(body: object, message: str) -> None:
    with pytest.raises(services.InvalidBlocks, match=message):
        make_node(bodies=[{"locale": "en", "format": "json", "body": body}])


def test_blocks_may_speak_of_nul_characters() -> None:
    assert stored("json", [{"type": "text", "text": r"a \u0000 b"}]) == r'[{"type":"text","text":"a \\u0000 b"}]'


def test_blocks_need_the_format_json() -> None:
    with pytest.raises(errors.ValidationFailed, match="is text"):
        make_node(bodies=[{"locale": "en", "format": "html", "body": [{"type": "a"}]}])
