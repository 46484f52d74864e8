"""Reads of content's own tables, for editors. Readers of the site are served by the read models."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping

from django.db.models import Case, Prefetch, QuerySet, Value, When

from apps.accounts.access import limiting
from apps.content import kinds, models, permitted
from apps.content.services import menus
from apps.content.services.comments import State
from apps.content.services.errors import CategoryNotFound, NodeNotFound, TagNotFound
from apps.kernel import ids, wording


def get_node(*, node_id: uuid.UUID) -> models.Node:
    """The node with its translations, bodies and terms. Raises NodeNotFound, NotPermitted."""
    rows, is_limited = permitted.readable(models.Node.objects.filter(id=node_id), node_id)
    node = _whole(rows, within="nodes:read" if is_limited else "").first()
    if node is None:
        raise permitted.not_found(node_id)
    return node


def get_by_slug(*, kind: str, locale: str, slug: str) -> models.Node:
    """The node with this slug today, whatever its status. Raises InvalidKind, NodeNotFound, NotPermitted."""
    kinds.get_kind(kind)
    nodes = models.Node.objects.filter(translations__kind=kind, translations__locale=locale, translations__slug=slug)
    node = _whole(limiting.visible(nodes, "nodes:read", permitted.COLUMNS), within="nodes:read").first()
    if node is None:
        raise NodeNotFound(
            wording.say('There is no {kind} with the slug "{slug}" in {locale}.', kind=kind, slug=slug, locale=locale)
        )
    return node


def find_redirect(*, kind: str, locale: str, slug: str) -> models.Redirect | None:
    """The redirect from an old slug, or None."""
    return models.Redirect.objects.filter(kind=kind, locale=locale, slug=slug).first()


def list_nodes(*, locale: str | None = None) -> QuerySet[models.Node]:
    """Nodes with their translations, of one locale only when it is given. Raises NotPermitted."""
    nodes = limiting.visible(models.Node.objects.all(), "nodes:list", permitted.COLUMNS)
    return _with_texts(nodes, "nodes:list", locale=locale)


def export_nodes() -> QuerySet[models.Node]:
    """Nodes with all that belongs to them. Raises NotPermitted."""
    return _whole(limiting.visible(models.Node.objects.all(), "nodes:export", permitted.COLUMNS), within="nodes:export")


def find_nodes(node_ids: Iterable[uuid.UUID]) -> QuerySet[models.Node]:
    """Those of the nodes the request at work may read, with their translations."""
    nodes = limiting.among(models.Node.objects.filter(id__in=list(node_ids)), "nodes:read", permitted.COLUMNS)
    return _with_texts(nodes, "nodes:read")


def _with_texts(nodes: QuerySet[models.Node], permission: str, *, locale: str | None = None) -> QuerySet[models.Node]:
    texts = models.NodeTranslation.objects.order_by("locale")
    translations = limiting.among(texts, permission, permitted.OF_TEXT)
    if locale is not None:
        translations = translations.filter(locale=locale)
    return nodes.prefetch_related(Prefetch("translations", queryset=translations))


def category_ids_of(node_ids: Iterable[uuid.UUID]) -> Mapping[uuid.UUID, list[uuid.UUID]]:
    """The categories of each of the nodes, in the editors' order."""
    links = models.NodeCategory.objects.filter(node_id__in=list(node_ids)).order_by("position")
    return _grouped(links.values_list("node_id", "category_id"))


def tag_ids_of(node_ids: Iterable[uuid.UUID]) -> Mapping[uuid.UUID, list[uuid.UUID]]:
    """The tags of each of the nodes."""
    links = models.NodeTag.objects.filter(node_id__in=list(node_ids)).order_by("tag_id")
    return _grouped(links.values_list("node_id", "tag_id"))


def _grouped(pairs: Iterable[tuple[uuid.UUID, uuid.UUID]]) -> Mapping[uuid.UUID, list[uuid.UUID]]:
    found: dict[uuid.UUID, list[uuid.UUID]] = defaultdict(list)
    for node_id, term_id in pairs:
        found[node_id].append(term_id)
    return found


def get_category(*, category_id: uuid.UUID) -> models.Category:
    """Raises CategoryNotFound."""
    category = list_categories().filter(id=category_id).first()
    if category is None:
        raise CategoryNotFound(wording.say("There is no category {category}.", category=ids.encode("cat", category_id)))
    return category


def list_categories() -> QuerySet[models.Category]:
    """Categories with their translations."""
    return models.Category.objects.prefetch_related(
        Prefetch("translations", queryset=models.CategoryTranslation.objects.order_by("locale"))
    )


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


def list_comments() -> QuerySet[models.Node]:
    """Comments with their words and, as `state`, what was said about them. Raises NotPermitted."""
    nodes = limiting.visible(models.Node.objects.filter(kind=kinds.COMMENT), "nodes:list", permitted.COLUMNS)
    state = Case(
        When(is_spam=True, then=Value(State.SPAM.value)),
        When(status=models.Status.PUBLISHED, then=Value(State.APPROVED.value)),
        When(status=models.Status.DRAFT, then=Value(State.PENDING.value)),
        default=Value(State.REJECTED.value),
    )
    return nodes.annotate(state=state).prefetch_related("translations", "bodies")


def get_comment(*, comment_id: uuid.UUID) -> models.Node:
    """Raises NodeNotFound, NotPermitted."""
    comment = list_comments().filter(id=comment_id).first()
    if comment is None:
        raise permitted.not_found(comment_id)
    return comment


def get_menu(*, menu_id: uuid.UUID) -> models.Menu:
    """Raises MenuNotFound."""
    menu = models.Menu.objects.filter(id=menu_id).first()
    if menu is None:
        raise menus.not_found(menu_id)
    return menu


def list_menus() -> QuerySet[models.Menu]:
    """Menus, each with all its items."""
    return models.Menu.objects.all()


def _whole(nodes: QuerySet[models.Node], *, within: str = "") -> QuerySet[models.Node]:
    """With all that belongs to them; of texts those within the limits of the permission, if one is given."""
    translations = models.NodeTranslation.objects.order_by("locale")
    bodies = models.Body.objects.order_by("locale")
    if within:
        translations, bodies = permitted.texts(translations, within), permitted.texts(bodies, within)
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
