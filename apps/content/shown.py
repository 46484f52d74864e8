"""What the editors' API answers: ids as typed text, moments as RFC 3339."""

from __future__ import annotations

from typing import Any

from apps.content import kinds, models, services
from apps.kernel import ids, validation


def node(row: models.Node) -> dict[str, Any]:
    """A node in a list: without bodies and terms."""
    return {
        "id": ids.encode("node", row.id),
        "kind": row.kind,
        "status": row.status,
        "parent_id": None if row.parent_id is None else ids.encode("node", row.parent_id),
        "position": row.position,
        "depth": row.depth,
        "author_name": row.author_name,
        "metadata": row.metadata,
        "external_id": row.external_id,
        "published_at": row.published_at and validation.to_text(row.published_at),
        "created_at": validation.to_text(row.created_at),
        "updated_at": validation.to_text(row.updated_at),
        "translations": [
            {"locale": entry.locale, "title": entry.title, "slug": entry.slug, "excerpt": entry.excerpt}
            for entry in row.translations.all()
        ],
    }


def whole_node(row: models.Node) -> dict[str, Any]:
    return node(row) | {
        "bodies": [{"locale": entry.locale, "format": entry.format, "body": entry.body} for entry in row.bodies.all()],
        "category_ids": [ids.encode("cat", link.category_id) for link in row.category_links.all()],
        "tag_ids": [ids.encode("tag", link.tag_id) for link in row.tag_links.all()],
        "redirects": [{"locale": entry.locale, "slug": entry.slug} for entry in row.redirects.all()],
    }


def category(row: models.Category) -> dict[str, Any]:
    return {
        "id": ids.encode("cat", row.id),
        "taxonomy": row.taxonomy,
        "parent_id": None if row.parent_id is None else ids.encode("cat", row.parent_id),
        "position": row.position,
        "depth": row.depth,
        "translations": [_term(entry) for entry in row.translations.all()],
    }


def tag(row: models.Tag) -> dict[str, Any]:
    return {
        "id": ids.encode("tag", row.id),
        "translations": [_term(entry) for entry in row.translations.all()],
    }


def share(row: models.NodeUserObjectPermission) -> dict[str, Any]:
    return {
        "user_id": ids.encode("user", row.user_id),
        "email": row.user.email,
        "action": services.action_of(row.permission),
    }


def _term(row: models.CategoryTranslation | models.TagTranslation) -> dict[str, Any]:
    return {"locale": row.locale, "name": row.name, "slug": row.slug, "description": row.description}


def kind(row: kinds.Kind) -> dict[str, Any]:
    return {"name": row.name, "description": row.description}
