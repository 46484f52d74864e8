"""Content documents and redirects from the node's own stream."""

from __future__ import annotations

import html
import uuid
from typing import Any

import orjson

from apps.consumers import projections
from apps.events import envelope
from apps.kernel import ids, text
from apps.readmodels.projections import shared

TYPES = (
    "content.node.created",
    "content.node.updated",
    "content.node.moved",
    "content.node.published",
    "content.node.unpublished",
    "content.node.archived",
    "content.node.deleted",
    "content.translation.updated",
    "content.translation.removed",
    "content.body.updated",
    "content.tag.attached",
    "content.tag.detached",
    "content.redirect.added",
    "content.redirect.removed",
    "content.comments.switched",
    "content.seo.updated",
    "content.fields.updated",
    "content.paths.updated",
)

DOCUMENT = projections.Relation(
    "readmodels_contentdocument",
    (
        "tenant_id", "id", "locale", "locales", "version", "kind", "title", "slug", "parent_id", "position",
        "category_ids", "tag_ids", "published_at", "language", "keywords", "body_text", "document",
    ),
)  # fmt: skip
REDIRECT = projections.Relation("readmodels_contentredirect", ("tenant_id", "id", "kind", "locale", "slug"))
PATH = projections.Relation("readmodels_contentpath", ("tenant_id", "id", "path"))


def apply(state: projections.State | None, event: envelope.Event) -> projections.State | None:
    """The node after one event. Translations and bodies are kept by locale."""
    verb = event.type.removeprefix("content.")
    data = event.data
    if verb == "node.created":
        state = {"status": "draft", "published_at": None, "redirects": [], "created_at": shared.at(event)}
        state |= data
        state["translations"] = {entry["locale"]: entry for entry in data["translations"]}
        state["bodies"] = {entry["locale"]: entry for entry in data["bodies"]}
    elif state is None or verb == "node.deleted":
        return None
    else:
        state = state | _changed(state, verb, data)
    state["version"], state["updated_at"] = event.version, shared.at(event)
    return state


def _changed(state: projections.State, verb: str, data: dict[str, Any]) -> dict[str, Any]:
    match verb:
        case "node.updated" | "node.moved" | "seo.updated" | "fields.updated" | "paths.updated":
            return data
        case "node.published":
            return {"status": "published", "published_at": data["published_at"]}
        case "node.unpublished":
            return {"status": "draft"}
        case "node.archived":
            return {"status": "archived"}
        case "translation.updated":
            return {"translations": state["translations"] | {data["locale"]: data}}
        case "translation.removed":
            return {part: _without(state[part], data["locale"]) for part in ("translations", "bodies")}
        case "body.updated":
            return {"bodies": state["bodies"] | {data["locale"]: data}}
        case "tag.attached":
            return {"tag_ids": [*_except(state["tag_ids"], data["tag_id"]), data["tag_id"]]}
        case "tag.detached":
            return {"tag_ids": _except(state["tag_ids"], data["tag_id"])}
        case "redirect.added":
            return {"redirects": [*_except(state["redirects"], data), data]}
        case "comments.switched":
            return {"comments_open": data["is_open"]}
        case "redirect.removed":
            return {"redirects": _except(state["redirects"], data)}
    raise ValueError(f"content.{verb} is subscribed to and not handled")


def _without(entries: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in entries.items() if name != key}


def _except(entries: list[Any], entry: Any) -> list[Any]:
    return [other for other in entries if other != entry]


def render(tenant_id: uuid.UUID, node_id: uuid.UUID, state: projections.State) -> dict[str, list[projections.Row]]:
    """A row per locale of a published node and one per redirect and old path to it, none otherwise."""
    if state["status"] != "published":
        return {}
    return {
        DOCUMENT.template: [_row(tenant_id, node_id, state, locale) for locale in sorted(state["translations"])],
        REDIRECT.template: [
            (tenant_id, node_id, state["kind"], redirect["locale"], redirect["slug"]) for redirect in state["redirects"]
        ],
        PATH.template: [(tenant_id, node_id, path) for path in state.get("paths", [])],
    }


def _row(tenant_id: uuid.UUID, node_id: uuid.UUID, state: projections.State, locale: str) -> projections.Row:
    translation = state["translations"][locale]
    body = state["bodies"].get(locale)
    parent_id = state["parent_id"]
    return (
        tenant_id,
        node_id,
        locale,
        sorted(state["translations"]),
        state["version"],
        state["kind"],
        translation["title"],
        translation["slug"],
        uuid.UUID(parent_id) if parent_id else None,
        state["position"],
        [uuid.UUID(category_id) for category_id in state["category_ids"]],
        [uuid.UUID(tag_id) for tag_id in state["tag_ids"]],
        shared.moment(state["published_at"]),
        text.search_language(locale),
        text.to_plain_text(translation["excerpt"]),
        _plain_text(body),
        shared.to_json(_document(node_id, state, locale)),
    )


def _document(node_id: uuid.UUID, state: projections.State, locale: str) -> dict[str, Any]:
    translation = state["translations"][locale]
    return {
        "id": ids.encode("node", node_id),
        "kind": state["kind"],
        "locale": locale,
        "locales": sorted(state["translations"]),
        "title": translation["title"],
        "slug": translation["slug"],
        "excerpt": translation["excerpt"],
        "body": _body(state["bodies"].get(locale)),
        "author": state["author_name"] or None,
        "parent_id": shared.typed("node", state["parent_id"]),
        "position": state["position"],
        "depth": state["depth"],
        "seo": shared.seo(
            state.get("seo", {}).get(locale, {}), title=translation["title"], description=translation["excerpt"]
        ),
        "metadata": state["metadata"],
        "fields": state.get("fields", {}),
        "comments_open": state.get("comments_open"),
        "version": state["version"],
        "published_at": state["published_at"],
        "updated_at": state["updated_at"],
    }


def _body(body: dict[str, Any] | None) -> dict[str, Any] | None:
    """What a frontend can show as it is: safe HTML, or the blocks. The source of either stays with the editors."""
    if body is None:
        return None
    source = body["body"]
    match body["format"]:
        case "markdown":
            return {"format": "markdown", "html": text.markdown_to_html(source)}
        case "json":
            shown = text.map_block_html(orjson.loads(source or "[]"), text.safe_html)
            return {"format": "json", "blocks": [_block(block) for block in shown]}
        case "plain":
            return {"format": "plain", "html": f"<p>{html.escape(source)}</p>"}
    # It was cleaned when it was written; an archive from elsewhere, or a hole found since, is worth a second time.
    return {"format": "html", "html": text.safe_html(source)}


# Ids that a block has, at whatever depth, with their prefixes.
_IDS = {"asset_id": "asset", "product_ids": "prod", "collection_id": "coll"}


def _block(block: Any) -> Any:
    """A block with typed ids, and with `html` beside what it has in Markdown.

    What was stored before blocks had types may be anything, and stays what it is.
    """
    shown = _with_typed_ids(block)
    if not isinstance(shown, dict):
        return shown
    match shown.get("type"):
        case "text":
            return _with_html(shown, "text")
        case "faq" if isinstance(shown.get("items"), list):
            return shown | {"items": [_with_html(item, "answer") for item in shown["items"]]}
    return shown


def _with_html(part: Any, field: str) -> Any:
    source = part.get(field) if isinstance(part, dict) else None
    return part | {"html": text.markdown_to_html(source)} if isinstance(source, str) else part


def _with_typed_ids(value: Any) -> Any:
    if isinstance(value, list):
        return [_with_typed_ids(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {key: _typed(_IDS[key], item) if key in _IDS else _with_typed_ids(item) for key, item in value.items()}


def _typed(prefix: str, value: Any) -> Any:
    if isinstance(value, list):
        return [_typed(prefix, item) for item in value]
    try:
        return ids.encode(prefix, uuid.UUID(value))
    except (ValueError, TypeError, AttributeError):
        return value


def _plain_text(body: dict[str, Any] | None) -> str:
    if body is None:
        return ""
    if body["format"] == "json":
        return " ".join(_strings(orjson.loads(body["body"] or "[]")))[:100_000]
    if body["format"] == "plain":
        return text.to_one_line(body["body"])[:100_000]
    return text.to_plain_text(body["body"])


# Of blocks: what nobody would search for.
_NO_WORDS = {"type", "id", "anchor", "url", "link", "icon", "alignment", "layout", "width", "size", "style", *_IDS}


def _strings(value: Any, key: str = "") -> list[str]:
    if isinstance(value, str):
        return [text.to_plain_text(value) if key == "html" else value]
    if isinstance(value, dict):
        return [found for key, item in value.items() if key not in _NO_WORDS for found in _strings(item, key)]
    if isinstance(value, list):
        return [found for item in value for found in _strings(item)]
    return []


PROJECTION = projections.register(
    projections.Projection(
        name="content",
        version=4,
        aggregate_types=("content.node",),
        types=TYPES,
        state_template="readmodels_contentstate",
        relations=(DOCUMENT, REDIRECT, PATH),
        apply=apply,
        render=render,
    )
)
