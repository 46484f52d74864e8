"""Bodies of the old editor get the paragraphs that WordPress shows; others stay as they are."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.content.wordpress.paragraphs import as_shown

WRITTEN = {
    "one line": ("Hello", "<p>Hello</p>"),
    "a blank line": ("a\n\nb", "<p>a</p>\n\n<p>b</p>"),
    "blank lines with blanks": ("a\n \t\n\nb\n", "<p>a</p>\n \t\n\n<p>b</p>\n"),
    "lines": ("a\nb\r\nc", "<p>a<br>\nb<br>\nc</p>"),
    "a line that breaks already": ("a<br />\nb", "<p>a<br />\nb</p>"),
    "inline elements": ("<em>a</em> <b>b</b>\n\n<img>", "<p><em>a</em> <b>b</b></p>\n\n<p><img></p>"),
    "an inline element over lines": ("<em>\na\nb\n</em>", "<p><em>\na<br>\nb\n</em></p>"),
    "a tag over lines": ('a <a\n\nhref="x">b</a>', '<p>a <a\n\nhref="x">b</a></p>'),
    "an attribute that looks like a tag": ('<img alt="a > b\n\n<p>">', '<p><img alt="a > b\n\n<p>"></p>'),
    "a heading": ("a\n<h2>b\n\nc</h2>\nd", "<p>a</p>\n<h2>b\n\nc</h2>\n<p>d</p>"),
    "a list": ("a\n\n<ul>\n<li>b\n\nc</li>\n</ul>\n\nd", "<p>a</p>\n\n<ul>\n<li>b\n\nc</li>\n</ul>\n\n<p>d</p>"),
    "lists in lists": ("<ul><li><ul><li>a\n\nb</ul></ul>c", "<ul><li><ul><li>a\n\nb</ul></ul><p>c</p>"),
    "code": ("<pre>a\n\nb</pre>\nc", "<pre>a\n\nb</pre>\n<p>c</p>"),
    "a rule": ("a\n<hr>\nb", "<p>a</p>\n<hr>\n<p>b</p>"),
    "a quotation": ("<blockquote>a\n\nb</blockquote>", "<blockquote><p>a</p>\n\n<p>b</p></blockquote>"),
    "elements in elements": ("<div><nav>a\nb</nav></div>c", "<div><nav><p>a<br>\nb</p></nav></div><p>c</p>"),
    "paragraphs among text": ("a\n\n<p class=x>b\nc</p>\n\nd", "<p>a</p>\n\n<p class=x>b\nc</p>\n\n<p>d</p>"),
    "a shortcode": ('a\n[gallery ids="1"]\nb', '<p>a</p>\n[gallery ids="1"]\n<p>b</p>'),
    "a shortcode within text": ("a [b] c", "<p>a [b] c</p>"),
    "a comment": ("a\n<!--more-->\nb", "<p>a</p>\n<!--more-->\n<p>b</p>"),
    "a comment within text": ("a <!-- x\n\ny --> b", "<p>a <!-- x\n\ny --> b</p>"),
    "no tags": ("1 < 2 <3\n\n& so", "<p>1 < 2 <3</p>\n\n<p>& so</p>"),
    "a video": ("a <video>\n\n<p></video> b", "<p>a <video>\n\n<p></video> b</p>"),
    "a tag that is cut off": ("a\n\nb <img src=", "<p>a</p>\n\n<p>b</p><img src="),
}  # fmt: skip
AS_IT_IS = [
    "",
    "\n\n",
    "<p>a</p>\n\n<p>b\nc</p>\n",
    "<p>a\n\n<p>b\n\n<h2>c</h2>",
    "<!-- wp:paragraph -->\n<p>a</p>\n<!-- /wp:paragraph -->\n\nb\n\nc",
    "<h1>a\n\nb</h1>",
    '<div class="x">\n  a\n</div>',
    '<a href="x">\n<div>a</div>\n</a>',
    "[gallery]",
    "[caption id=1]<img src=x> a b[/caption]",
    "<table>\n\n<tr><td>a\n\nb</td></tr></table>",
    "<form>a\n\n<input></form>",
    "<figure><img>\n\n<figcaption>a\n\nb</figcaption></figure>",
    "<script>a\n\nb</script>",
    "<!--more-->",
    "<video>\n\na",
    "<ul><li>a\n\nb",
]


@pytest.mark.parametrize("case", WRITTEN)
def test_text_becomes_the_paragraphs_that_were_shown(case: str) -> None:
    body, shown = WRITTEN[case]

    assert as_shown(body) == shown


@pytest.mark.parametrize("body", AS_IT_IS)
def test_a_body_of_elements_stays_as_it_is(body: str) -> None:
    assert as_shown(body) == body


PARTS = st.sampled_from([
    "a", "b c", "\n", "\n\n", " ", "<p>", "</p>", "<div>", "</div>", "<ul>", "</ul>", "<li>", "</li>", "<em>", "</em>",
    "<h2>", "</h3>", "<br>", "<hr>", "<img src=x>", "<!--more-->", "[x]", "<pre>", "</pre>", "<blockquote>",
])  # fmt: skip
BODIES = st.lists(PARTS, max_size=30).map("".join)


@given(BODIES)
def test_nothing_is_lost_or_added_but_paragraphs_and_breaks(body: str) -> None:
    def rest(markup: str) -> str:
        return re.sub(r"</?p>|<br>|\s", "", markup)

    assert rest(as_shown(body)) == rest(body)


@given(BODIES)
def test_what_was_made_stays_as_it_is(body: str) -> None:
    assert as_shown(as_shown(body)) == as_shown(body)


@given(st.text(alphabet="<>/!-=\"'[] \nabpdiv", max_size=80))
def test_any_text_is_taken(body: str) -> None:
    as_shown(body)


HOSTILE = [
    "\n", "a\n", "\n ", "<", "<a", "<a ='", '<a =">', "<!-- >", "<!-->", "<div>", "</div>", "<p>", "<b>", "[", "[a]\n",
    "<br>\n", "<br ", "<a b=c d='e'>", "<ul><p>", "<video>", "a<div>\nb\nc</div>",
]  # fmt: skip


@pytest.mark.parametrize("part", HOSTILE)
def test_the_time_does_not_grow_faster_than_the_length(part: str) -> None:
    """It would take hours."""
    written = as_shown(part * (500_000 // len(part)))

    assert len(written) >= 500_000 - len(part)


@pytest.mark.parametrize(
    "before",
    ["<script>if(a<b){x()}</script>", "<style>a<b{}</style>", '<svg viewBox="0 0 1 1"/>', "<textarea><p>a</textarea>"],
)
def test_what_is_within_a_script_is_no_tag(before: str) -> None:
    assert as_shown(f"{before}\n\nOne\n\nTwo").endswith("<p>One</p>\n\n<p>Two</p>")
