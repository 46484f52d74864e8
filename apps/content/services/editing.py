"""Changing what a node says: its fields, terms, translations, bodies and status."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from apps.content import events, models, permitted
from apps.content.services import bodies, paths, records, redirects
from apps.content.services.checks import (
    FIELDS,
    check_bodies_are_translated,
    check_locales,
    check_seo_locales,
    check_terms,
)
from apps.content.services.errors import (
    LastTranslation,
    TranslationNotFound,
    named_integrity_errors,
)
from apps.content.services.inputs import BodyInput, NodeChanges, TranslationChange, locales_of
from apps.content.services.locks import lock_content
from apps.content.services.slugs import SlugSpace, WhenTaken
from apps.kernel import errors, seo, wording
from apps.outbox.append import unit_of_work
from apps.tenants import custom_fields


def locked_node(node_id: uuid.UUID) -> models.Node:
    """The node, not to be changed by others until the transaction ends. Raises NodeNotFound.

    Whoever changes it asks `permitted` next.
    """
    node = models.Node.objects.select_for_update().filter(id=node_id).first()
    if node is None:
        raise permitted.not_found(node_id)
    return node


def update_node(*, node_id: uuid.UUID, changes: NodeChanges, when_taken: WhenTaken = WhenTaken.REFUSE) -> models.Node:
    """Change what is given; nothing is written and no event recorded where nothing differs.

    Raises NodeNotFound, LocaleNotEnabled, SlugTaken, PathTaken, ValidationFailed.
    """
    check_locales(translations=changes.translations, bodies=changes.bodies)
    check_seo_locales(changes.seo or ())
    check_terms(category_ids=set(changes.category_ids or ()), tag_ids=set(changes.tag_ids or ()))
    with unit_of_work(), named_integrity_errors():
        lock_content()
        node = locked_node(node_id)
        permitted.check("update", node, locales=_touched(changes))
        is_different = _change_fields(node, changes)
        is_different |= _change_tags(node, changes.tag_ids)
        is_different |= _switch_comments(node, changes)
        is_different |= _change_seo(node, changes.seo)
        is_different |= _change_own_fields(node, changes.fields)
        is_different |= paths.change(node, changes.old_paths)
        is_different |= _change_translations(node, changes.translations or [], when_taken)
        is_different |= _change_bodies(node, changes.bodies or [])
        if is_different:
            node.save()
    return node


def _touched(changes: NodeChanges) -> set[str] | None:
    """The locales that change, or None for all: the rest of a node speaks in every locale."""
    if changes.model_fields_set - {"translations", "bodies"}:
        return None
    return locales_of(changes.translations, changes.bodies) or None


def _change_fields(node: models.Node, changes: NodeChanges) -> bool:
    links = models.NodeCategory.objects.filter(node=node).order_by("position")
    before = list(links.values_list("category_id", flat=True))
    category_ids = before if changes.category_ids is None else changes.category_ids
    wanted = changes.model_dump(include={"author_name", "metadata"}, exclude_none=True)
    different = {name: value for name, value in wanted.items() if getattr(node, name) != value}
    if not different and category_ids == before:
        return False
    fields_before = dict(records.node_fields(node, before))
    for name, value in different.items():
        setattr(node, name, value)
    if category_ids != before:
        links.delete()
        models.NodeCategory.objects.bulk_create(
            models.NodeCategory(node=node, category_id=category_id, position=position)
            for position, category_id in enumerate(category_ids)
        )
    records.of_node(node.id, records.node_fields(node, category_ids), before=fields_before)
    return True


def _change_tags(node: models.Node, tag_ids: list[uuid.UUID] | None) -> bool:
    if tag_ids is None:
        return False
    before = set(models.NodeTag.objects.filter(node=node).values_list("tag_id", flat=True))
    attached = [tag_id for tag_id in tag_ids if tag_id not in before]
    detached = sorted(before - set(tag_ids))
    models.NodeTag.objects.filter(node=node, tag_id__in=detached).delete()
    models.NodeTag.objects.bulk_create(models.NodeTag(node=node, tag_id=tag_id) for tag_id in attached)
    for tag_id in detached:
        records.of_node(node.id, events.TagDetached(tag_id=tag_id), before={"tag_id": tag_id}, after={})
    for tag_id in attached:
        records.of_node(node.id, events.TagAttached(tag_id=tag_id))
    return bool(attached or detached)


def _switch_comments(node: models.Node, changes: NodeChanges) -> bool:
    if "comments_open" not in changes.model_fields_set or changes.comments_open == node.comments_open:
        return False
    before = {"is_open": node.comments_open}
    node.comments_open = changes.comments_open
    records.of_node(node.id, events.CommentsSwitched(is_open=node.comments_open), before=before)
    return True


def _change_seo(node: models.Node, given: Mapping[str, seo.SeoInput] | None) -> bool:
    wanted = node.seo if given is None else seo.stored(given)
    if wanted == node.seo:
        return False
    before = {"seo": node.seo}
    node.seo = wanted
    records.of_node(node.id, events.SeoUpdated(seo=wanted), before=before)
    return True


def _change_own_fields(node: models.Node, values: dict[str, Any] | None) -> bool:
    if values is None or values == node.fields:
        return False
    custom_fields.check_values(subject=FIELDS, name=node.kind, values=values)
    before = {"fields": node.fields}
    node.fields = values
    records.of_node(node.id, events.FieldsUpdated(fields=values), before=before)
    return True


def _change_translations(node: models.Node, changes: list[TranslationChange], when_taken: WhenTaken) -> bool:
    if not changes:
        return False
    rows = {row.locale: row for row in models.NodeTranslation.objects.filter(node=node)}
    is_different = False
    for change in changes:
        row = rows.get(change.locale)
        if row is None:
            _add_translation(node, change, when_taken)
            is_different = True
        else:
            is_different |= _change_translation(node, row, change, when_taken)
    return is_different


def _add_translation(node: models.Node, change: TranslationChange, when_taken: WhenTaken) -> None:
    if change.title is None:
        raise errors.ValidationFailed.for_field(
            "/translations",
            "title_missing",
            wording.say('"{locale}" is a new translation and needs a title.', locale=change.locale),
        )
    space = SlugSpace(models.NodeTranslation, kind=node.kind, locale=change.locale)
    slug = space.claim(given=change.slug, title=change.title, prefix="node", owner=node.id, when_taken=when_taken)
    row = models.NodeTranslation.objects.create(
        node=node, kind=node.kind, locale=change.locale, title=change.title, slug=slug, excerpt=change.excerpt or ""
    )
    records.of_node(node.id, records.translation(row))
    redirects.give_up(kind=node.kind, locale=row.locale, slugs=[slug])


def _change_translation(
    node: models.Node, row: models.NodeTranslation, change: TranslationChange, when_taken: WhenTaken
) -> bool:
    wanted = change.model_dump(include={"title", "slug", "excerpt"}, exclude_none=True)
    different = {name: value for name, value in wanted.items() if getattr(row, name) != value}
    if not different:
        return False
    old_slug, before = row.slug, {"title": row.title, "slug": row.slug, "excerpt": row.excerpt}
    for name, value in different.items():
        setattr(row, name, value)
    if "slug" in different:
        space = SlugSpace(models.NodeTranslation, kind=node.kind, locale=row.locale)
        row.slug = space.claim(given=change.slug, title=row.title, prefix="node", owner=node.id, when_taken=when_taken)
    row.save()
    records.of_node(node.id, records.translation(row), before=before)
    if row.slug != old_slug:
        redirects.give_up(kind=node.kind, locale=row.locale, slugs=[row.slug])
        redirects.add(node=node, locale=row.locale, slug=old_slug)
    return True


def _change_bodies(node: models.Node, changes: list[BodyInput]) -> bool:
    if not changes:
        return False
    translated = set(models.NodeTranslation.objects.filter(node=node).values_list("locale", flat=True))
    check_bodies_are_translated(locales_of(changes), translated)
    rows = {row.locale: row for row in models.Body.objects.filter(node=node)}
    is_different = False
    for index, change in enumerate(changes):
        row = rows.get(change.locale) or models.Body(node=node, locale=change.locale)
        before = (row.format, row.body)
        row.format, row.body = change.format.value, bodies.stored(change, pointer=f"/bodies/{index}")
        if row._state.adding or before != (row.format, row.body):
            row.save()
            records.of_node(node.id, records.body(row), before=dict(zip(("format", "body"), before, strict=True)))
            is_different = True
    return is_different


def remove_translation(*, node_id: uuid.UUID, locale: str) -> models.Node:
    """Take the node out of a locale: title, slug, body, and the redirects of that locale.

    Raises NodeNotFound, TranslationNotFound, LastTranslation.
    """
    with unit_of_work():
        lock_content()
        node = locked_node(node_id)
        permitted.check("update", node, locales={locale})
        rows = models.NodeTranslation.objects.filter(node=node)
        present = set(rows.values_list("locale", flat=True))
        if locale not in present:
            raise TranslationNotFound(
                wording.say(
                    'The node {node} is not translated into "{locale}"; it is into {present}.',
                    node=node,
                    locale=locale,
                    present=", ".join(sorted(present)),
                )
            )
        if present == {locale}:
            raise LastTranslation(
                wording.say(
                    '"{locale}" is the only translation of the node {node}; add another one first, or delete the node.',
                    locale=locale,
                    node=node,
                )
            )
        before = dict(records.translation(rows.get(locale=locale)))
        rows.filter(locale=locale).delete()
        models.Body.objects.filter(node=node, locale=locale).delete()
        records.of_node(node.id, events.TranslationRemoved(locale=locale), before=before, after={})
        redirects.remove_of_translation(node=node, locale=locale)
        node.save()
    return node


def publish_node(*, node_id: uuid.UUID, now: datetime, published_at: datetime | None = None) -> models.Node:
    """Show the node to the public. An earlier date of publication is kept unless another one is given.

    Publishing what is published changes nothing. Raises NodeNotFound.
    """
    with unit_of_work():
        node = locked_node(node_id)
        permitted.check("update", node)
        at = published_at or node.published_at or now
        if node.status == models.Status.PUBLISHED and node.published_at == at:
            return node
        before = {"status": node.status, "published_at": node.published_at}
        node.status, node.published_at = models.Status.PUBLISHED, at
        mark_spam(node, False)
        node.save()
        after = {"status": node.status, "published_at": at}
        records.of_node(node.id, events.NodePublished(published_at=at), before=before, after=after)
    return node


def mark_spam(node: models.Node, is_spam: bool) -> None:
    """Take a comment for spam, or not: what is published or a draft is none. The caller saves the node."""
    if node.is_spam != is_spam:
        node.is_spam = is_spam
        records.of_node(node.id, events.CommentMarked(is_spam=is_spam), before={"is_spam": not is_spam})


def unpublish_node(*, node_id: uuid.UUID) -> models.Node:
    """Back to draft, from published or archived. A draft stays as it is. Raises NodeNotFound."""
    return _set_status(node_id, models.Status.DRAFT, events.NodeUnpublished())


def archive_node(*, node_id: uuid.UUID) -> models.Node:
    """Out of sight, kept. Archiving what is archived changes nothing. Raises NodeNotFound."""
    return _set_status(node_id, models.Status.ARCHIVED, events.NodeArchived())


def _set_status(
    node_id: uuid.UUID, status: models.Status, payload: events.NodeUnpublished | events.NodeArchived
) -> models.Node:
    with unit_of_work():
        node = locked_node(node_id)
        permitted.check("update", node)
        if node.status != status:
            before = {"status": node.status}
            node.status = status
            mark_spam(node, False)
            node.save()
            records.of_node(node.id, payload, before=before, after={"status": status})
    return node
