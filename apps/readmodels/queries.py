"""Reads of the prepared documents, with the locale fallback in the same query: requested, then the tenant's default."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any

import orjson
from django.db.models import Q, QuerySet

from apps.content import kinds
from apps.kernel import errors, ids, wording
from apps.readmodels import following, models
from apps.tenants import scope


class ProductNotFound(errors.NotFound):
    """No published product has this handle or id. Follow the links of a list."""

    code = "product_not_found"


class ContentNotFound(errors.NotFound):
    """No published node of this kind has this slug or id. Follow the links of a list."""

    code = "content_not_found"


class KindNotFound(errors.NotFound):
    """No kind of content has this name. `detail` names those there are."""

    code = "kind_not_found"


class TermNotFound(errors.NotFound):
    """No category, collection or tag has this slug. List those there are."""

    code = "term_not_found"


def in_locale[Row: Any](queryset: QuerySet[Row], locale: str) -> QuerySet[Row]:
    """One row per entity: its translation into `locale`, else into the tenant's default locale."""
    fallback = scope.current().default_locale
    if locale == fallback:
        return queryset.filter(locale=locale)
    return queryset.filter(Q(locale=locale) | (Q(locale=fallback) & ~Q(locales__contains=[locale])))


def get_product(*, handle_or_id: str, locale: str) -> models.LiveProduct:
    """By handle in the locale or the default one, or by id. Raises ProductNotFound."""
    products = models.LiveProduct.objects.all()
    if handle_or_id.startswith("prod_"):
        found = in_locale(products.filter(id=ids.decode("prod", handle_or_id)), locale).first()
    else:
        found = _by_name(products.filter(handle=handle_or_id), products, locale)
    if found is None:
        raise ProductNotFound(wording.say('There is no published product "{product}".', product=handle_or_id))
    return found


def content_of(kind: str) -> QuerySet[models.LiveContent]:
    """What the public sees of a kind: the published nodes, and of those that follow their parent the ones whose parent
    it sees too. Raises KindNotFound.
    """
    try:
        follows_parent = kinds.get_kind(kind).follows_parent
    except kinds.InvalidKind as error:
        raise KindNotFound(error.detail) from None
    nodes = models.LiveContent.objects.filter(kind=kind)
    return nodes.filter(following.ParentIsShown()) if follows_parent else nodes


def shown_content() -> QuerySet[models.LiveContent]:
    """What the public sees of all kinds."""
    stand_alone = ~Q(kind__in=kinds.following_parents())
    return models.LiveContent.objects.filter(stand_alone | Q(following.ParentIsShown()))


def get_content(*, kind: str, slug_or_id: str, locale: str) -> models.LiveContent:
    """By slug in the locale or the default one, or by id. Raises ContentNotFound, KindNotFound."""
    nodes = content_of(kind)
    if slug_or_id.startswith("node_"):
        found = in_locale(nodes.filter(id=ids.decode("node", slug_or_id)), locale).first()
    else:
        found = _by_name(nodes.filter(slug=slug_or_id), nodes, locale)
    if found is None:
        raise ContentNotFound(wording.say('There is no published {kind} "{node}".', kind=kind, node=slug_or_id))
    return found


def comments_on(node: models.LiveContent) -> QuerySet[models.LiveContent]:
    """What was said about a node, in whatever language, answers included."""
    ids = following.below(node.tenant_id, node.id, kinds.COMMENT)
    return models.LiveContent.objects.filter(id__in=ids, kind=kinds.COMMENT)


def get_parent(*, kind: str, slug_or_id: str, locale: str) -> models.LiveContent:
    """By id in any kind, or by a slug of this one. Raises ContentNotFound, KindNotFound."""
    if not slug_or_id.startswith("node_"):
        return get_content(kind=kind, slug_or_id=slug_or_id, locale=locale)
    parent_id = ids.decode("node", slug_or_id)
    found = shown_content().filter(id=parent_id).first()
    if found is None:
        raise ContentNotFound(wording.say('There is nothing published with the id "{id}".', id=slug_or_id))
    return found


def find_redirect(*, kind: str, slug: str, locale: str) -> str | None:
    """The present slug of the node an old slug of this kind leads to, or None."""
    locales = [locale, scope.current().default_locale]
    old = models.LiveRedirect.objects.filter(kind=kind, slug=slug, locale__in=locales)
    found = in_locale(content_of(kind).filter(id__in=old.values("id")), locale).first()
    return found.slug if found else None


def find_by_old_path(*, path: str, locale: str) -> models.LiveContent:
    """The published node that was at this path of another site, in the locale or the default one.

    Raises ContentNotFound.
    """
    owners = models.LivePath.objects.filter(path=path).values("id")
    found = in_locale(shown_content().filter(id__in=owners), locale).order_by("id").first()
    if found is None:
        raise ContentNotFound(wording.say('Nothing that is published was at "{path}".', path=path))
    return found


def get_term(*, source: str, slug: str, taxonomy: str | None = None) -> models.LiveTerm:
    """A category, collection or tag by its slug in any locale. Raises TermNotFound."""
    terms = models.LiveTerm.objects.filter(source=source, slug=slug)
    found = (terms.filter(taxonomy=taxonomy) if taxonomy else terms).order_by("id").first()
    if found is None:
        raise TermNotFound(wording.say('There is no {kind} "{slug}".', kind=source.rpartition(".")[2], slug=slug))
    return found


def term_labels(*, term_ids: Iterable[uuid.UUID], locale: str) -> dict[uuid.UUID, bytes]:
    """`{"id", "name", "slug", "taxonomy"}` of each term as JSON text, in one query."""
    wanted = set(term_ids)
    if not wanted:
        return {}
    rows = in_locale(models.LiveTerm.objects.filter(id__in=wanted), locale)
    labels = {}
    for term_id, document in rows.values_list("id", "document"):
        whole = orjson.loads(document)
        labels[term_id] = orjson.dumps({key: whole[key] for key in ("id", "name", "slug", "taxonomy")})
    return labels


def _by_name[Row: Any](named: QuerySet[Row], everything: QuerySet[Row], locale: str) -> Row | None:
    """The name may be the one of either locale; the answer is in the requested one where it exists."""
    fallback = scope.current().default_locale
    candidates = {row.locale: row for row in named.filter(locale__in=[locale, fallback]).order_by("id")}
    match = candidates.get(locale) or candidates.get(fallback)
    if match is None or match.locale == locale or locale not in match.locales:
        return match
    return everything.filter(id=match.id, locale=locale).first()
