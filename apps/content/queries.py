"""Reads of content's own tables, for editors. Readers of the site are served by the read models."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from django.db.models import Prefetch, QuerySet

from apps.accounts.access import limiting
from apps.content import kinds, models, permitted
from apps.content.services.errors import CategoryNotFound, NodeNotFound, TagNotFound
from apps.kernel import errors, ids, wording


@dataclass(frozen=True, slots=True)
class NodeFilter:
    """What to list; None means any. `is_root` asks for nodes without a parent."""

    kind: str | None = None
    status: str | None = None
    parent_id: uuid.UUID | None = None
    is_root: bool = False
    locale: str | None = None


def get_node(*, node_id: uuid.UUID) -> models.Node:
    """The node with its translations, bodies and terms. Raises NodeNotFound, NotPermitted."""
    rows, is_limited = permitted.readable(models.Node.objects.filter(id=node_id), node_id)
    node = _whole(rows, is_limited=is_limited).first()
    if node is None:
        raise permitted.not_found(node_id)
    return node


def get_by_slug(*, kind: str, locale: str, slug: str) -> models.Node:
    """The node with this slug today, whatever its status. Raises UnknownKind, NodeNotFound, NotPermitted."""
    kinds.get_kind(kind)
    nodes = models.Node.objects.filter(translations__kind=kind, translations__locale=locale, translations__slug=slug)
    node = _whole(limiting.visible(nodes, "nodes:read", permitted.COLUMNS), is_limited=True).first()
    if node is None:
        raise NodeNotFound(
            wording.say('There is no {kind} with the slug "{slug}" in {locale}.', kind=kind, slug=slug, locale=locale)
        )
    return node


def find_redirect(*, kind: str, locale: str, slug: str) -> models.Redirect | None:
    """The redirect from an old slug, or None."""
    return models.Redirect.objects.filter(kind=kind, locale=locale, slug=slug).first()


def list_nodes(wanted: NodeFilter) -> QuerySet[models.Node]:
    """Nodes with their translations, of one locale only when it is given.

    Raises UnknownKind, ValidationFailed, NotPermitted.
    """
    nodes = limiting.visible(models.Node.objects.all(), "nodes:list", permitted.COLUMNS)
    translations = permitted.texts(models.NodeTranslation.objects.order_by("locale"), "nodes:list")
    if wanted.kind is not None:
        nodes = nodes.filter(kind=kinds.get_kind(wanted.kind).name)
    if wanted.status is not None:
        if wanted.status not in models.Status.values:
            raise errors.ValidationFailed.for_field(
                "/status",
                "unknown_status",
                wording.say(
                    '"{value}" is not one of {known}.{hint}',
                    value=wanted.status,
                    known=", ".join(models.Status.values),
                    hint=errors.did_you_mean(wanted.status, models.Status.values),
                ),
            )
        nodes = nodes.filter(status=wanted.status)
    if wanted.parent_id is not None:
        nodes = nodes.filter(parent_id=wanted.parent_id)
    if wanted.is_root:
        nodes = nodes.filter(parent=None)
    if wanted.locale is not None:
        nodes = nodes.filter(translations__locale=wanted.locale)
        translations = translations.filter(locale=wanted.locale)
    return nodes.prefetch_related(Prefetch("translations", queryset=translations))


def get_category(*, category_id: uuid.UUID) -> models.Category:
    """Raises CategoryNotFound."""
    category = list_categories().filter(id=category_id).first()
    if category is None:
        raise CategoryNotFound(wording.say("There is no category {category}.", category=ids.encode("cat", category_id)))
    return category


def list_categories(*, taxonomy: str | None = None) -> QuerySet[models.Category]:
    """Categories with their translations."""
    categories = models.Category.objects.prefetch_related(
        Prefetch("translations", queryset=models.CategoryTranslation.objects.order_by("locale"))
    )
    return categories if taxonomy is None else categories.filter(taxonomy=taxonomy)


def get_tag(*, tag_id: uuid.UUID) -> models.Tag:
    """Raises TagNotFound."""
    tag = list_tags().filter(id=tag_id).first()
    if tag is None:
        raise TagNotFound(wording.say("There is no tag {tag}.", tag=ids.encode("tag", tag_id)))
    return tag


def list_tags() -> QuerySet[models.Tag]:
    """Tags with their translations."""
    return models.Tag.objects.prefetch_related(
        Prefetch("translations", queryset=models.TagTranslation.objects.order_by("locale"))
    )


def _whole(nodes: QuerySet[models.Node], *, is_limited: bool = False) -> QuerySet[models.Node]:
    translations = models.NodeTranslation.objects.order_by("locale")
    bodies = models.Body.objects.order_by("locale")
    if is_limited:
        translations = permitted.texts(translations, "nodes:read")
        bodies = permitted.texts(bodies, "nodes:read")
    return nodes.prefetch_related(
        Prefetch("translations", queryset=translations),
        Prefetch("bodies", queryset=bodies),
        Prefetch("category_links", queryset=models.NodeCategory.objects.order_by("position")),
        Prefetch("tag_links", queryset=models.NodeTag.objects.order_by("tag_id")),
        Prefetch("redirects", queryset=models.Redirect.objects.order_by("locale", "slug")),
    )


def list_shares(*, node_id: uuid.UUID) -> QuerySet[models.NodeUserObjectPermission]:
    """Whom the node is shared with. Raises NodeNotFound, NotPermitted."""
    rows, _ = permitted.readable(models.Node.objects.filter(id=node_id), node_id)
    if not rows.exists():
        raise permitted.not_found(node_id)
    shares = models.NodeUserObjectPermission.objects.filter(content_object_id=node_id)
    return shares.select_related("user", "permission")
