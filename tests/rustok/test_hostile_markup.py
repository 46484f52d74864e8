"""Markup that attacks is inert where it is shown: a browser without any policy runs nothing of what is stored."""

from __future__ import annotations

import json
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from playwright.sync_api import Browser

from apps.kernel import text
from apps.readmodels.projections import content

RUN = "window.ran=(window.ran||0)+1"
SCRIPTS = [
    f"<script>{RUN}</script>",
    f"<SCRIPT>{RUN}</SCRIPT >",
    f"<script\t>{RUN}</script\n>",
    f"<scr<script>ipt>{RUN}</scr</script>ipt>",
    f"<<script>{RUN}//<</script>",
    f"<script/xss>{RUN}</script>",
    f"<!--><script>{RUN}</script>-->",
    f"<!--!><script>{RUN}</script>-->",
    f"<!-- --!><script>{RUN}</script>",
    f"<![CDATA[<script>{RUN}</script>]]>",
    f"<?xml version='1.0'?><script>{RUN}</script>",
    f"<script src='data:text/javascript,{RUN}'></script>",
    f"<iframe srcdoc='<script>parent.{RUN}</script>'></iframe>",
    f'<iframe src="javascript:parent.{RUN}"></iframe>',
    f"<object data='data:text/html,<script>{RUN}</script>'></object>",
    f"<embed src='data:text/html,<script>{RUN}</script>'>",
    f'<noscript><p title="</noscript><img src=x onerror={RUN}>"></noscript>',
    f"<template><script>{RUN}</script></template>",
    f"<plaintext><script>{RUN}</script>",
    f"<xmp><script>{RUN}</script></xmp>",
    f"<title><script>{RUN}</script></title>",
    f"<textarea><script>{RUN}</script></textarea></textarea><img src=x onerror={RUN}>",
    f"<style><img src=x onerror={RUN}></style>",
    f"<style>@import 'javascript:{RUN}';</style>",
    f"<base href='javascript:{RUN}//'><a href=x>a</a>",
    f"<meta http-equiv=refresh content='0;url=javascript:{RUN}'>",
    f"<link rel=stylesheet href='data:text/css,*{{background:url(javascript:{RUN})}}'>",
]
HANDLERS = [
    f"<img src=x onerror={RUN}>",
    f"<img src=x onerror='{RUN}'//>",
    f"<img src=x:x onerror\n=\n'{RUN}'>",
    f"<img/src=x/onerror={RUN}>",
    f"<IMG SRC=x ONERROR={RUN}>",
    f"<img src=x \x00onerror={RUN}>",
    f"<img src='x`y' `onerror={RUN}`>",
    f'<img """><img src=x onerror={RUN}>">',
    f"<svg onload={RUN}>",
    f"<svg><script>{RUN}</script></svg>",
    "<svg><script>&#x77;indow.ran=1</script></svg>",
    f"<svg><animate onbegin={RUN} attributeName=x dur=1s>",
    f"<svg><set attributeName=onload to={RUN}></svg>",
    f"<svg><a xlink:href='javascript:{RUN}'><text x=9 y=9>a</text></a></svg>",
    f"<svg><use href='data:image/svg+xml,<svg id=x><script>{RUN}</script></svg>#x'/></svg>",
    f"<svg><foreignObject><img src=x onerror={RUN}></foreignObject></svg>",
    f"<math><mi xlink:href='data:x,<script>{RUN}</script>'>a</mi></math>",
    f"<math href='javascript:{RUN}'>a</math>",
    f"<body onload={RUN}>",
    f"<input autofocus onfocus={RUN}>",
    f"<select autofocus onfocus={RUN}>",
    f"<details open ontoggle={RUN}>a</details>",
    f"<video><source onerror={RUN} src=x></video>",
    f"<video src=x onerror={RUN}></video>",
    f"<audio src=x onerror={RUN}></audio>",
    f"<marquee onstart={RUN}>a</marquee>",
    f"<div style='animation:x 1s' onanimationstart={RUN}>a</div>",
    f"<p id=x tabindex=1 onfocus={RUN}>a</p>",
    f"<form><button formaction='javascript:{RUN}'>a</button></form>",
    f"<isindex type=image src=x onerror={RUN}>",
]
LINKS = [
    f"<a href='javascript:{RUN}'>a</a>",
    f"<a href='JaVaScRiPt:{RUN}'>a</a>",
    f"<a href=' &#14; javascript:{RUN}'>a</a>",
    f"<a href='java\nscript:{RUN}'>a</a>",
    f"<a href='java&Tab;script&colon;{RUN}'>a</a>",
    f"<a href='&#106;avascript:{RUN}'>a</a>",
    f"<a href='\x01javascript:{RUN}'>a</a>",
    f"<a href='vbscript:{RUN}'>a</a>",
    f"<a href='data:text/html,<script>opener.{RUN}</script>'>a</a>",
    f"<a href='blob:{RUN}'>a</a>",
    f"[a](javascript:{RUN})",
    f"[a]: javascript:{RUN}\n\n[a]",
    f'![a](x" onerror="{RUN})',
    f"<javascript:{RUN}>",
    f"[a](<java\nscript:{RUN}>)",
]
# What changes its meaning when it is parsed a second time.
MUTATING = [
    f'<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=x onerror={RUN}&gt;">',
    f'<svg></p><style><a id="</style><img src=x onerror={RUN}>">',
    f"<form><math><mtext></form><form><mglyph><style></math><img src=x onerror={RUN}>",
    f"<noscript><style></noscript><img src=x onerror={RUN}></style>",
    f'<svg><p><style><g title="</style><img src=x onerror={RUN}>">',
    f"<math><annotation-xml encoding='text/html'><style><img src=x onerror={RUN}></style></annotation-xml></math>",
    f"<table><caption><a><table><img src=x onerror={RUN}></caption></table>",
    f"&lt;img src=x onerror={RUN}&gt;",
    f"<p title='<img src=x onerror={RUN}>'>a</p>",
    f"<!--<img src='--><img src=x onerror={RUN}//'>-->",
]
ALL = [*SCRIPTS, *HANDLERS, *LINKS, *MUTATING]


def shown(markup: str) -> list[str]:
    """The markup as the storefront gets it, by every format that is shown as it is."""
    bodies = {"html": markup, "markdown": markup, "plain": markup, "json": json.dumps([{"type": "x", "html": markup}])}
    found = [content._body({"format": name, "body": body}) or {} for name, body in bodies.items()]
    return [
        *(body["html"] for body in found if "html" in body),
        text.clean_html(markup),
        found[-1]["blocks"][0]["html"],
    ]


def test_nothing_that_is_shown_runs(chromium: Browser, thread: ThreadPoolExecutor) -> None:
    pieces = [piece for markup in ALL for piece in shown(markup)]

    def run() -> tuple[list[str], list[str]]:
        page = chromium.new_page()
        page.set_content("<!doctype html><body>")
        ran = []
        for piece in pieces:
            # Parsed as a page shows it, and once more as a script would put it in from there.
            ran += page.evaluate(
                """async piece => {
                    window.ran = 0;
                    const place = document.createElement("div");
                    document.body.replaceChildren(place);
                    place.innerHTML = piece;
                    const again = document.createElement("div");
                    document.body.append(again);
                    again.innerHTML = place.innerHTML;
                    for (const link of document.querySelectorAll("a")) {
                        if (/^(javascript|vbscript|data|blob):/i.test(link.href)) window.ran++;
                    }
                    for (const focused of document.querySelectorAll("[tabindex]")) focused.focus();
                    await new Promise(done => requestAnimationFrame(done));
                    return window.ran ? [piece] : [];
                }""",
                piece,
            )
        written = chromium.new_page()
        written.set_content("<!doctype html><body>" + "\n".join(pieces))
        whole = written.evaluate("() => window.ran ? ['all of it'] : []")
        written.close()
        page.close()
        return ran, whole

    assert thread.submit(run).result() == ([], [])


def test_the_browser_would_have_run_it(chromium: Browser, thread: ThreadPoolExecutor) -> None:
    """The same pieces as they come, to know that the test above could fail."""

    def run() -> int:
        page = chromium.new_page()
        page.set_content("<!doctype html><body>")
        ran = 0
        for piece in HANDLERS[:3]:
            page.evaluate("piece => { window.ran = 0; document.body.innerHTML = piece }", piece)
            page.wait_for_function("() => window.ran > 0")
            ran += 1
        page.close()
        return ran

    assert thread.submit(run).result() == 3


@pytest.mark.parametrize("markup", ALL, ids=range(len(ALL)))
def test_cleaning_is_done_after_once(markup: str) -> None:
    once = text.clean_html(markup)

    assert text.clean_html(once) == once


def test_deeply_nested_markup_of_others_is_shown_as_text() -> None:
    assert text.safe_html("<b>" * 300).startswith("<pre>&lt;b&gt;")
    assert content._body({"format": "html", "body": f"{uuid.UUID(int=0)}<script>"}) == {
        "format": "html",
        "html": f"{uuid.UUID(int=0)}",
    }
