"""What a text will look like, as the storefront renders it, for the frame beside the text."""

from __future__ import annotations

import orjson
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.template.response import TemplateResponse
from django.utils.html import escape

from apps.kernel import text

MOST = 1_000_000


def page(request: HttpRequest) -> HttpResponse:
    """A whole document; whatever was sent is cleaned as it is when it is stored."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    source = request.POST.get("body", "")[:MOST]
    return TemplateResponse(request, "desk/preview.html", {"markup": rendered(request.POST.get("format", ""), source)})


def rendered(format: str, source: str) -> str:
    """Safe HTML of a text in one of the formats of bodies."""
    if format == "markdown":
        return text.markdown_to_html(source)
    if format == "html":
        return text.safe_html(source)
    return f"<pre>{escape(_indented(source) if format == 'json' else source)}</pre>"


def _indented(source: str) -> str:
    try:
        return orjson.dumps(orjson.loads(source or "[]"), option=orjson.OPT_INDENT_2).decode()
    except orjson.JSONDecodeError as error:
        return f"This is not JSON: {error}."
