"""Creating nodes, one or a batch at the same number of queries."""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import datetime

from django.db.models import Max

from apps.content import events, models, permitted
from apps.content.services import bodies, paths, places, records, redirects, trees
from apps.content.services.checks import (
    FIELDS,
    check_bodies_are_translated,
    check_locales,
    check_seo_locales,
    check_terms,
    unknown_ids,
)
from apps.content.services.errors import ExternalIdTaken, named_integrity_errors
from apps.content.services.inputs import BatchNode, NewNode, locales_of
from apps.content.services.locks import lock_content
from apps.content.services.slugs import SlugSpace, WhenTaken, derive
from apps.kernel import errors, ids, seo, wording
from apps.outbox.append import unit_of_work
from apps.tenants import custom_fields

_ROWS_PER_STATEMENT = 500


def create_node(*, new: NewNode, now: datetime) -> models.Node:
    """A node in its place in the tree, a draft unless `publish` is given.

    Raises LocaleNotEnabled, SlugTaken, ExternalIdTaken, PathTaken, TreeTooDeep, ValidationFailed.
    """
    with unit_of_work():
        [node] = create_nodes(batch=[BatchNode.model_construct(**new.__dict__)], now=now)
        if new.position is not None:
            node = places.move_node(node_id=node.id, position=new.position)
    return node


def create_nodes(
    *, batch: Sequence[BatchNode], now: datetime, when_taken: WhenTaken = WhenTaken.REFUSE
) -> list[models.Node]:
    """All nodes of the batch or none, each last among its siblings. Raises what `create_node` raises."""
    for new in batch:
        _check(new)
    with unit_of_work(), named_integrity_errors():
        lock_content()
        _check_external_ids(batch)
        for new in batch:
            custom_fields.check_values(subject=FIELDS, name=new.kind, values=new.fields)
        check_terms(
            category_ids={id for new in batch for id in new.category_ids},
            tag_ids={id for new in batch for id in new.tag_ids},
        )
        nodes = _placed(batch, now)
        paths.check_free({node.id: node.old_paths for node in nodes if node.old_paths})
        translations = _translated(nodes, batch, when_taken)
        texts = [
            models.Body(
                node_id=node.id,
                locale=body.locale,
                format=body.format.value,
                body=bodies.stored(body, pointer=f"/bodies/{index}"),
            )
            for node, new in zip(nodes, batch, strict=True)
            for index, body in enumerate(new.bodies)
        ]
        models.Node.objects.bulk_create(nodes, batch_size=_ROWS_PER_STATEMENT)
        models.NodeTranslation.objects.bulk_create(translations, batch_size=_ROWS_PER_STATEMENT)
        models.Body.objects.bulk_create(texts, batch_size=_ROWS_PER_STATEMENT)
        _link_terms(nodes, batch)
        _record(nodes, batch, translations, texts)
        _take_over_redirects(translations)
    return nodes


def _check(new: BatchNode) -> None:
    permitted.check_new(kind=new.kind, locales=locales_of(new.translations, new.bodies))
    check_locales(translations=new.translations, bodies=new.bodies)
    check_seo_locales(new.seo)
    check_bodies_are_translated(locales_of(new.bodies), locales_of(new.translations))
    if new.published_at is not None and not new.publish:
        raise errors.ValidationFailed.for_field(
            "/published_at",
            "not_published",
            wording.say("a draft has no date of publication; send publish too, or leave it out."),
        )


def _check_external_ids(batch: Sequence[BatchNode]) -> None:
    wanted = Counter(new.external_id for new in batch if new.external_id is not None)
    taken = set(models.Node.objects.filter(external_id__in=list(wanted)).values_list("external_id", flat=True))
    taken |= {external_id for external_id, count in wanted.items() if count > 1}
    if taken:
        raise ExternalIdTaken(
            wording.say(
                'There is a node with the external id "{external_id}" already; update that one.',
                external_id=min(str(id) for id in taken),
            )
        )


def _placed(batch: Sequence[BatchNode], now: datetime) -> list[models.Node]:
    """Unsaved nodes with their parent, position and depth."""
    parent_ids = {new.parent_id for new in batch if new.parent_id is not None}
    depths = dict(permitted.parents(parent_ids).values_list("id", "depth")) if parent_ids else {}
    last = _last_positions(parent_ids, with_roots=any(new.parent_id is None for new in batch))
    nodes = []
    for new in batch:
        if new.parent_id is not None and new.parent_id not in depths:
            raise unknown_ids("/parent_id", "node", [new.parent_id])
        depth = 0 if new.parent_id is None else depths[new.parent_id] + 1
        trees.check_depth(depth, f'The node "{new.translations[0].title}"')
        last[new.parent_id] += 1
        node = models.Node(
            id=new.id or ids.new_id(),
            kind=new.kind,
            parent_id=new.parent_id,
            position=last[new.parent_id],
            depth=depth,
            author_name=new.author_name,
            metadata=new.metadata,
            external_id=new.external_id,
            comments_open=new.comments_open,
            old_paths=new.old_paths,
            seo=seo.stored(new.seo),
            fields=new.fields,
            created_by=new.created_by or permitted.creator(),
        )
        if new.publish:
            node.status, node.published_at = models.Status.PUBLISHED, new.published_at or now
        depths[node.id] = depth
        nodes.append(node)
    return nodes


def _last_positions(parent_ids: set[uuid.UUID], *, with_roots: bool) -> defaultdict[uuid.UUID | None, int]:
    last: defaultdict[uuid.UUID | None, int] = defaultdict(lambda: -1)
    if parent_ids:
        children = models.Node.objects.filter(parent_id__in=parent_ids).order_by().values("parent_id")
        last.update(children.annotate(last=Max("position")).values_list("parent_id", "last"))
    if with_roots:
        last[None] = trees.last_position(models.Node.objects.filter(parent=None))
    return last


def _translated(
    nodes: Sequence[models.Node], batch: Sequence[BatchNode], when_taken: WhenTaken
) -> list[models.NodeTranslation]:
    """Unsaved translations with slugs nobody has."""
    spaces: dict[tuple[str, str], SlugSpace] = {}
    wanted: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    pairs = [(node, entry) for node, new in zip(nodes, batch, strict=True) for entry in new.translations]
    for node, entry in pairs:
        slug = entry.slug or derive(title=entry.title, prefix="node", owner=node.id)
        wanted[node.kind, entry.locale].append(slug)
    for (kind, locale), slugs in wanted.items():
        spaces[kind, locale] = SlugSpace(models.NodeTranslation, kind=kind, locale=locale)
        spaces[kind, locale].load(slugs)
    return [
        models.NodeTranslation(
            node_id=node.id,
            kind=node.kind,
            locale=entry.locale,
            title=entry.title,
            excerpt=entry.excerpt,
            slug=spaces[node.kind, entry.locale].claim(
                given=entry.slug, title=entry.title, prefix="node", owner=node.id, when_taken=when_taken
            ),
        )
        for node, entry in pairs
    ]


def _link_terms(nodes: Sequence[models.Node], batch: Sequence[BatchNode]) -> None:
    pairs = list(zip(nodes, batch, strict=True))
    models.NodeCategory.objects.bulk_create(
        [
            models.NodeCategory(node_id=node.id, category_id=category_id, position=position)
            for node, new in pairs
            for position, category_id in enumerate(new.category_ids)
        ],
        batch_size=_ROWS_PER_STATEMENT,
    )
    models.NodeTag.objects.bulk_create(
        [models.NodeTag(node_id=node.id, tag_id=tag_id) for node, new in pairs for tag_id in new.tag_ids],
        batch_size=_ROWS_PER_STATEMENT,
    )


def _record(
    nodes: Sequence[models.Node],
    batch: Sequence[BatchNode],
    translations: Sequence[models.NodeTranslation],
    texts: Sequence[models.Body],
) -> None:
    translations_of, bodies_of = defaultdict(list), defaultdict(list)
    for row in translations:
        translations_of[row.node_id].append(
            events.NodeTranslation(locale=row.locale, title=row.title, slug=row.slug, excerpt=row.excerpt)
        )
    for body in texts:
        bodies_of[body.node_id].append(events.NodeBody(locale=body.locale, format=body.format, body=body.body))
    for node, new in zip(nodes, batch, strict=True):
        created = events.NodeCreated(
            kind=node.kind,
            author_name=node.author_name,
            metadata=node.metadata,
            category_ids=new.category_ids,
            tag_ids=new.tag_ids,
            parent_id=node.parent_id,
            position=node.position,
            depth=node.depth,
            translations=translations_of[node.id],
            bodies=bodies_of[node.id],
        )
        records.of_node(node.id, created)
        if node.seo:
            records.of_node(node.id, events.SeoUpdated(seo=node.seo))
        if node.fields:
            records.of_node(node.id, events.FieldsUpdated(fields=node.fields))
        if node.old_paths:
            records.of_node(node.id, events.PathsUpdated(paths=node.old_paths))
        if node.comments_open is not None:
            records.of_node(node.id, events.CommentsSwitched(is_open=node.comments_open))
        if node.published_at is not None:
            records.of_node(node.id, events.NodePublished(published_at=node.published_at))


def _take_over_redirects(translations: Sequence[models.NodeTranslation]) -> None:
    slugs = defaultdict(list)
    for row in translations:
        slugs[row.kind, row.locale].append(row.slug)
    for (kind, locale), taken in slugs.items():
        redirects.give_up(kind=kind, locale=locale, slugs=taken)
