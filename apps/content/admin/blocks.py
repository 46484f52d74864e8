"""Bodies of blocks in the admin: what their forms are drawn from, and a rough look at what they say."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import orjson
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, JsonResponse
from django.template.loader import render_to_string
from django.template.response import TemplateResponse

from apps.accounts.desk import previewing
from apps.accounts.desk.choosing import address_of
from apps.accounts.desk.sheets import is_of_this_host
from apps.content import blocks
from apps.kernel import ids, text
from apps.media import files
from apps.media import models as media
from apps.media import queries as library
from apps.tenants import scope

# What ids begin with, and the screen their rows are found on.
_FOUND_ON = {"asset": "media.asset", "prod": "commerce.product", "coll": "commerce.collection"}
# In Markdown, with clean HTML in the document.
_MARKDOWN = {"text": "text", "faq": "answer"}
_LISTS = ("items_within", "pictures", "features", "actions", "product_ids")
_DEEPEST = 8  # what is nested deeper than any block is not looked at


def described(request: HttpRequest) -> JsonResponse:
    """Every type with its schema, `{"types": [{"name", "help", "schema"}]}`, and under `find` where rows are found."""
    types = [
        {"name": name, "help": " ".join((model.__doc__ or "").split()), "schema": model.model_json_schema()}
        for name, model in blocks.TYPES.items()
    ]
    return JsonResponse({"types": types, "find": {prefix: address_of(label) for prefix, label in _FOUND_ON.items()}})


def preview(request: HttpRequest) -> HttpResponse:
    """What a body will look like; of blocks, what they say and show, for each frontend draws them in its own way."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    if not request.user.has_perm("content.view_node"):
        raise PermissionDenied
    source = request.POST.get("body", "")[: previewing.MOST]
    found = _read(source) if request.POST.get("format") == "json" else None
    if found is None:
        markup = previewing.rendered(request.POST.get("format", ""), source)
    else:
        pictures = _pictures(found)
        shown = [_shown(part, pictures, part.get("type")) for part in found]
        markup = render_to_string("content/blocks.html", {"parts": shown})
    return TemplateResponse(request, "desk/preview.html", {"markup": markup})


def _read(source: str) -> list[dict[str, Any]] | None:
    try:
        found = orjson.loads(source or "[]")
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, list) and all(isinstance(part, dict) for part in found) else None


def _parts(value: Any, depth: int = 0) -> Iterator[Mapping[str, Any]]:
    """Every object within."""
    if isinstance(value, dict):
        yield value
    within = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for inner in within if depth < _DEEPEST else ():
        yield from _parts(inner, depth + 1)


def _pictures(found: list[dict[str, Any]]) -> dict[str, str]:
    """Addresses of the assets that are named, by their ids as they are written."""
    written = {value for part in _parts(found) if isinstance(value := part.get("asset_id"), str)}
    named: dict[str, uuid.UUID] = {}
    for value in written:
        with suppress(ids.InvalidId):  # which is said when it is saved
            named[value] = ids.decode("asset", value)
    assets = library.find_assets(ids=named.values()) if scope.find() else {}
    return {
        value: files.address(assets[asset_id].path)
        for value, asset_id in named.items()
        if asset_id in assets and assets[asset_id].kind == media.Kind.IMAGE
    }


def _shown(part: Any, pictures: Mapping[str, str], kind: Any, depth: int = 0) -> Any:
    """A part as the template takes it: texts as clean HTML, `picture_here` where one of this host is shown."""
    if depth > _DEEPEST:
        return ""
    if isinstance(part, list):
        return [_shown(inner, pictures, kind, depth + 1) for inner in part]
    if not isinstance(part, dict):
        return part
    made = {name: _shown(inner, pictures, kind, depth + 1) for name, inner in part.items()}
    named = _MARKDOWN.get(str(kind))
    if named and isinstance(markdown := part.get(named), str):
        made["html"] = text.markdown_to_html(markdown)
        made.pop(named)
    elif isinstance(part.get("html"), str):
        made["html"] = text.safe_html(part["html"])
    else:
        made.pop("html", None)
    address = pictures.get(str(part.get("asset_id"))) or part.get("url")
    # `items` of an object is a method in templates.
    made["items_within"] = made.pop("items", None) or made.pop("plans", None)
    made |= {name: made[name] if isinstance(made.get(name), list) else [] for name in _LISTS}
    made["picture_here"] = address if isinstance(address, str) and is_of_this_host(address) else ""
    return made
