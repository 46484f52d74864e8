"""Slugs in any script, safe markup, plain words."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.kernel import errors, text


@pytest.mark.parametrize(
    ("title", "slug"),
    [
        ("Red Shoes!", "red-shoes"),
        ("Nhẫn 1", "nhan-1"),
        ("Привет, мир", "privet-mir"),
        ("Καλημέρα", "kalemera"),
        ("你好 世界", "ni-hao-shi-jie"),
        ("  --  ", ""),
        ("Ünïcode & Straße", "unicode-strasse"),
    ],
)
def test_slugs_in_any_script(title: str, slug: str) -> None:
    assert text.to_slug(title) == slug


@given(st.text(max_size=400))
def test_a_slug_is_empty_or_valid(title: str) -> None:
    slug = text.to_slug(title)

    assert len(slug) <= text.MAXIMUM_SLUG_LENGTH
    assert not slug or all(part.isascii() and part.isalnum() and part == part.lower() for part in slug.split("-"))


@pytest.mark.parametrize(
    "markup",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        '<a href="javascript:alert(1)">x</a>',
        "<svg/onload=alert(1)>",
        '<iframe src="https://evil.example"></iframe>',
        "<form action=https://evil.example><input name=password></form>",
        "<style>body{display:none}</style>",
        '<a href="data:text/html,<script>alert(1)</script>">x</a>',
        "<scr<script>ipt>alert(1)</scr</script>ipt>",
        '<div style="position:fixed">x</div>',
        "<!--><script>alert(1)</script>-->",
    ],
)
def test_hostile_markup_is_disarmed(markup: str) -> None:
    for cleaned in (text.clean_html(markup), text.markdown_to_html(markup)):
        lowered = cleaned.lower().replace("&lt;", "")
        assert "<script" not in lowered
        assert not any(f"<{tag}" in lowered for tag in ("iframe", "form", "style", "input"))
        assert not any(f" {name}=" in lowered.split("&gt;")[0] for name in ("onerror", "onload", "style"))
        assert "javascript:" not in lowered
        assert 'href="data:' not in lowered


def test_ordinary_markup_and_blocks_are_kept() -> None:
    markup = '<!-- wp:paragraph --><p class="lead">Hello <strong>you</strong></p><!-- /wp:paragraph -->'

    assert text.clean_html(markup) == markup


@given(st.text(alphabet="<>/=\"' abcscriptonerror!-&;", max_size=200))
def test_cleaning_twice_changes_nothing_more(markup: str) -> None:
    once = text.clean_html(markup)

    assert text.clean_html(once) == once


def test_plain_text_drops_markup_and_entities() -> None:
    assert text.to_plain_text("<p>Fish &amp; <b>chips</b></p>\n<!-- wp:x --><p>now</p>") == "Fish & chips now"


def test_markdown_is_rendered_safely() -> None:
    assert text.markdown_to_html("# Hi\n\n*there* <b>x</b>") == "<h1>Hi</h1>\n<p><em>there</em> <b>x</b></p>\n"


@pytest.mark.parametrize(("locale", "language"), [("en", "english"), ("de-AT", "german"), ("zh", "simple")])
def test_search_languages(locale: str, language: str) -> None:
    assert text.search_language(locale) == language


@pytest.mark.parametrize("piece", ["<!--", "<", "<a", "<!-- x", "&lt;", "<b>", "x <"])
def test_plain_text_takes_linear_time(piece: str) -> None:
    """Four times the markup takes about four times as long, not sixteen."""

    def cpu_seconds(length: int) -> float:
        markup = piece * (length // len(piece))
        began = time.process_time()
        text.to_plain_text(markup)
        return time.process_time() - began

    shortest = {length: min(cpu_seconds(length) for _ in range(3)) for length in (200_000, 800_000)}
    assert shortest[800_000] < 12 * max(shortest[200_000], 0.001)


def test_markup_nested_beyond_reason_is_refused_by_name() -> None:
    with pytest.raises(errors.ValidationFailed, match="nested deeper than 256"):
        text.clean_html("<div>" * 300)

    assert text.clean_html("<p>a" * 1000).count("<p>") == 1000
    assert text.clean_html("<ul>" + "<li>x" * 1000 + "</ul>").count("<li>") == 1000


def test_markdown_with_html_nested_beyond_reason_is_shown_as_source() -> None:
    assert text.markdown_to_html("<div>" * 300).startswith("<pre>&lt;div&gt;")
