"""Term documents: categories, collections and tags, joined to products and content when a document is read."""

from __future__ import annotations

import uuid
from typing import Any

from apps.consumers import projections
from apps.events import envelope
from apps.kernel import text
from apps.readmodels.projections import shared

PREFIXES = {
    "commerce.category": "cat",
    "commerce.collection": "coll",
    "content.category": "ccat",
    "content.tag": "tag",
}
TYPES = (
    "commerce.category.created",
    "commerce.category.updated",
    "commerce.category.deleted",
    "commerce.collection.created",
    "commerce.collection.updated",
    "commerce.collection.deleted",
    "commerce.collection.product_added",
    "commerce.collection.product_removed",
    "content.category.created",
    "content.category.updated",
    "content.category.deleted",
    "commerce.category_seo.updated",
    "commerce.collection_seo.updated",
    "content.category_seo.updated",
    "content.tag.created",
    "content.tag.updated",
    "content.tag.deleted",
)

DOCUMENT = projections.Relation(
    "readmodels_termdocument",
    (
        "tenant_id", "id", "locale", "locales", "source", "taxonomy", "parent_id", "position", "slug", "name",
        "member_ids", "document",
    ),
)  # fmt: skip


def apply(state: projections.State | None, event: envelope.Event) -> projections.State | None:
    """The term after one event; members are (position, product id) pairs."""
    verb = event.type.rpartition(".")[2]
    data = event.data
    if verb == "created":
        return data | {"source": event.aggregate_type, "members": {}}
    if state is None or verb == "deleted":
        return None
    if verb == "updated":
        return state | data
    members = {key: value for key, value in state["members"].items() if key != data["product_id"]}
    if verb == "product_added":
        members[data["product_id"]] = data["position"]
    return state | {"members": members}


def render(tenant_id: uuid.UUID, term_id: uuid.UUID, state: projections.State) -> dict[str, list[projections.Row]]:
    """A row per locale; an inactive category has none."""
    if not state.get("is_active", True):
        return {}
    locales = sorted(entry["locale"] for entry in state["translations"])
    return {
        DOCUMENT.template: [
            _row(tenant_id, term_id, state, translation, locales) for translation in state["translations"]
        ]
    }


def _row(
    tenant_id: uuid.UUID, term_id: uuid.UUID, state: projections.State, translation: dict[str, Any], locales: list[str]
) -> projections.Row:
    source = state["source"]
    taxonomy = state.get("taxonomy") or source.rpartition(".")[2]
    parent_id = state.get("parent_id")
    slug = translation.get("slug") or translation["handle"]
    name = translation.get("name") or translation["title"]
    members = sorted(state["members"], key=lambda product_id: (state["members"][product_id], product_id))
    document = {
        "id": shared.typed(PREFIXES[source], str(term_id)),
        "type": source,
        "taxonomy": taxonomy,
        "locale": translation["locale"],
        "locales": locales,
        "name": name,
        "slug": slug,
        "description": translation["description"],
        "seo": shared.seo(
            state.get("seo", {}).get(translation["locale"], {}),
            title=name,
            description=text.to_plain_text(translation["description"]),
        ),
        "parent_id": shared.typed(PREFIXES[source], parent_id),
        "position": state.get("position", 0),
        "depth": state.get("depth", 0),
    }
    return (
        tenant_id,
        term_id,
        translation["locale"],
        locales,
        source,
        taxonomy,
        uuid.UUID(parent_id) if parent_id else None,
        state.get("position", 0),
        slug,
        name,
        [uuid.UUID(product_id) for product_id in members],
        shared.to_json(document),
    )


PROJECTION = projections.register(
    projections.Projection(
        name="terms",
        version=2,
        aggregate_types=tuple(PREFIXES),
        types=TYPES,
        state_template="readmodels_termstate",
        relations=(DOCUMENT,),
        apply=apply,
        render=render,
    )
)
