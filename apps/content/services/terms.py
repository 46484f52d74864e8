"""Categories in their trees, and tags."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from django.db.models import QuerySet

from apps.content import events, models
from apps.content.services import records, trees
from apps.content.services.checks import check_locales, check_seo_locales, unknown_ids
from apps.content.services.errors import CategoryNotFound, TagNotFound, TreeCycle, named_integrity_errors
from apps.content.services.inputs import (
    CategoryChanges,
    NewCategory,
    NewTag,
    TagChanges,
    TermTranslationChange,
    TermTranslationInput,
)
from apps.content.services.locks import lock_content
from apps.content.services.slugs import SlugSpace, WhenTaken
from apps.kernel import errors, ids, seo, wording
from apps.outbox.append import unit_of_work

type TermTranslation = models.CategoryTranslation | models.TagTranslation


def create_category(*, new: NewCategory, when_taken: WhenTaken = WhenTaken.REFUSE) -> models.Category:
    """A category, last among its siblings or at `position`. Raises LocaleNotEnabled, SlugTaken, TreeTooDeep."""
    check_locales(translations=new.translations)
    with unit_of_work(), named_integrity_errors():
        lock_content()
        category = models.Category(id=ids.new_id(), taxonomy=new.taxonomy, parent_id=new.parent_id)
        category.depth = _checked_depth(category, new.parent_id)
        category.position = trees.last_position(_siblings(category)) + 1
        category.save(force_insert=True)
        for entry in new.translations:
            _add(models.CategoryTranslation(category=category, taxonomy=category.taxonomy), entry, when_taken)
        records.of_category(category.id, events.CategoryCreated(**_state(category)))
        _change_seo(category, new.seo)
        if new.position is not None:
            _place(category, new.parent_id, new.position)
    return category


def update_category(
    *, category_id: uuid.UUID, changes: CategoryChanges, when_taken: WhenTaken = WhenTaken.REFUSE
) -> models.Category:
    """Change what is given; nothing is written and no event recorded when nothing differs.

    Raises CategoryNotFound, LocaleNotEnabled, SlugTaken, TreeCycle, TreeTooDeep, ValidationFailed.
    """
    check_locales(translations=changes.translations)
    with unit_of_work(), named_integrity_errors():
        lock_content()
        category = _locked_category(category_id)
        _change_seo(category, changes.seo)
        before = _state(category)
        rows = {row.locale: row for row in models.CategoryTranslation.objects.filter(category=category)}
        is_different = False
        for change in changes.translations or []:
            row = rows.get(change.locale) or models.CategoryTranslation(category=category, taxonomy=category.taxonomy)
            is_different |= _change(row, change, when_taken)
        parent_id = changes.parent_id if "parent_id" in changes.model_fields_set else category.parent_id
        is_placed = parent_id == category.parent_id and changes.position is None
        if not is_placed and _place(category, parent_id, changes.position, before):
            return category  # its event carries the translations too
        if is_different:
            category.save()
            records.of_category(category.id, events.CategoryUpdated(**_state(category)), before=before)
    return category


def _change_seo(category: models.Category, given: Mapping[str, seo.SeoInput] | None) -> None:
    """Write and record what search engines are told, where it is given and differs. Raises LocaleNotEnabled."""
    if given is None:
        return
    check_seo_locales(given)
    wanted = seo.stored(given)
    if wanted != category.seo:
        before = {"seo": category.seo}
        category.seo = wanted
        category.save(update_fields=["seo"])
        records.of_category(category.id, events.CategorySeoUpdated(seo=wanted), before=before)


def delete_category(*, category_id: uuid.UUID) -> None:
    """Delete the category; its children move up to its parent, its nodes lose it. Raises CategoryNotFound."""
    with unit_of_work():
        lock_content()
        category = _locked_category(category_id)
        before = _state(category)
        _take_out_nodes(category)
        children = list(models.Category.objects.filter(parent=category).order_by("position", "id"))
        position = trees.last_position(models.Category.objects.filter(**_place_of(category, category.parent_id)))
        below = models.Category.objects.filter(id__in=trees.descendants(models.Category, category.id))
        up = {row.id: (row.id, row.parent_id, row.position, row.depth - 1) for row in below}
        for number, child in enumerate(children, start=1):
            up[child.id] = (child.id, category.parent_id, position + number, child.depth - 1)
        trees.update_places(models.Category, up.values())
        _record_updates(list(up))
        category.delete()
        records.of_category(category_id, events.CategoryDeleted(), before=before)


def create_tag(*, new: NewTag, when_taken: WhenTaken = WhenTaken.REFUSE) -> models.Tag:
    """Raises LocaleNotEnabled, SlugTaken."""
    check_locales(translations=new.translations)
    with unit_of_work(), named_integrity_errors():
        lock_content()
        tag = models.Tag.objects.create()
        for entry in new.translations:
            _add(models.TagTranslation(tag=tag), entry, when_taken)
        records.of_tag(tag.id, events.TagCreated(translations=_translations(tag.translations)))
    return tag


def update_tag(*, tag_id: uuid.UUID, changes: TagChanges, when_taken: WhenTaken = WhenTaken.REFUSE) -> models.Tag:
    """Change what is given; nothing is written and no event recorded when nothing differs.

    Raises TagNotFound, LocaleNotEnabled, SlugTaken, ValidationFailed.
    """
    check_locales(translations=changes.translations)
    with unit_of_work(), named_integrity_errors():
        lock_content()
        tag = _locked_tag(tag_id)
        before = {"translations": _translations(tag.translations)}
        rows = {row.locale: row for row in models.TagTranslation.objects.filter(tag=tag)}
        is_different = False
        for change in changes.translations:
            row = rows.get(change.locale) or models.TagTranslation(tag=tag)
            is_different |= _change(row, change, when_taken)
        if is_different:
            tag.save()
            payload = events.TagUpdated(translations=_translations(tag.translations))
            records.of_tag(tag.id, payload, before=before)
    return tag


def delete_tag(*, tag_id: uuid.UUID) -> None:
    """Delete the tag; each node that has it loses it first. Raises TagNotFound."""
    with unit_of_work():
        lock_content()
        tag = _locked_tag(tag_id)
        before = {"translations": _translations(tag.translations)}
        links = models.NodeTag.objects.filter(tag=tag)
        for node_id in links.order_by("node_id").values_list("node_id", flat=True):
            records.of_node(node_id, events.TagDetached(tag_id=tag.id), follows=True)
        links.delete()
        tag.delete()
        records.of_tag(tag_id, events.TagDeleted(), before=before)


def _locked_category(category_id: uuid.UUID) -> models.Category:
    category = models.Category.objects.select_for_update().filter(id=category_id).first()
    if category is None:
        raise CategoryNotFound(wording.say("There is no category {category}.", category=ids.encode("cat", category_id)))
    return category


def _locked_tag(tag_id: uuid.UUID) -> models.Tag:
    tag = models.Tag.objects.select_for_update().filter(id=tag_id).first()
    if tag is None:
        raise TagNotFound(wording.say("There is no tag {tag}.", tag=ids.encode("tag", tag_id)))
    return tag


def _space(row: TermTranslation, locale: str) -> SlugSpace:
    if isinstance(row, models.CategoryTranslation):
        return SlugSpace(models.CategoryTranslation, taxonomy=row.taxonomy, locale=locale)
    return SlugSpace(models.TagTranslation, locale=locale)


def _owner(row: TermTranslation) -> tuple[str, uuid.UUID]:
    return ("cat", row.category_id) if isinstance(row, models.CategoryTranslation) else ("tag", row.tag_id)


def _add(row: TermTranslation, entry: TermTranslationInput | TermTranslationChange, when_taken: WhenTaken) -> None:
    if entry.name is None:
        raise errors.ValidationFailed.for_field(
            "/translations",
            "name_missing",
            wording.say('"{locale}" is a new translation and needs a name.', locale=entry.locale),
        )
    prefix, owner = _owner(row)
    row.locale, row.name, row.description = entry.locale, entry.name, entry.description or ""
    row.slug = _space(row, entry.locale).claim(
        given=entry.slug, title=entry.name, prefix=prefix, owner=owner, when_taken=when_taken
    )
    row.save()


def _change(row: TermTranslation, change: TermTranslationChange, when_taken: WhenTaken) -> bool:
    """Write what differs; whether anything did."""
    if row._state.adding:
        _add(row, change, when_taken)
        return True
    wanted = change.model_dump(include={"name", "slug", "description"}, exclude_none=True)
    different = {name: value for name, value in wanted.items() if getattr(row, name) != value}
    if not different:
        return False
    for name, value in different.items():
        setattr(row, name, value)
    if "slug" in different:
        prefix, owner = _owner(row)
        row.slug = _space(row, row.locale).claim(
            given=change.slug, title=row.name, prefix=prefix, owner=owner, when_taken=when_taken
        )
    row.save()
    return True


def _translations(rows: Any) -> list[events.TermTranslation]:
    return [
        events.TermTranslation(locale=row.locale, name=row.name, slug=row.slug, description=row.description)
        for row in rows.order_by("locale")
    ]


def _state(category: models.Category) -> dict[str, Any]:
    return {
        "taxonomy": category.taxonomy,
        "parent_id": category.parent_id,
        "position": category.position,
        "depth": category.depth,
        "translations": _translations(category.translations),
    }


def _place_of(category: models.Category, parent_id: uuid.UUID | None) -> dict[str, Any]:
    return {"taxonomy": category.taxonomy, "parent_id": parent_id}


def _siblings(category: models.Category) -> QuerySet[models.Category]:
    return models.Category.objects.filter(**_place_of(category, category.parent_id))


def _checked_depth(category: models.Category, parent_id: uuid.UUID | None) -> int:
    """The depth below this parent. Raises ValidationFailed, TreeCycle, TreeTooDeep."""
    if parent_id is None:
        return 0
    parent = models.Category.objects.filter(id=parent_id).first()
    if parent is None:
        raise unknown_ids("/parent_id", "cat", [parent_id])
    if parent.taxonomy != category.taxonomy:
        raise errors.ValidationFailed.for_field(
            "/parent_id",
            "other_taxonomy",
            wording.say(
                '{parent} is in the taxonomy "{other}", not in "{taxonomy}".',
                parent=parent,
                other=parent.taxonomy,
                taxonomy=category.taxonomy,
            ),
        )
    if category.id in trees.ancestors_and_self(models.Category, parent.id):
        raise TreeCycle(
            wording.say(
                "{category} can't be placed below {parent}: that is itself or below it.",
                category=_named(category),
                parent=_named(parent),
            )
        )
    height = 0
    if not category._state.adding:
        below = models.Category.objects.filter(id__in=trees.descendants(models.Category, category.id))
        height = max((depth - category.depth for depth in below.values_list("depth", flat=True)), default=0)
    trees.check_depth(parent.depth + 1 + height, wording.say("The deepest category of this branch"))
    return parent.depth + 1


def _place(
    category: models.Category,
    parent_id: uuid.UUID | None,
    position: int | None,
    before: dict[str, Any] | None = None,
) -> bool:
    """Put the category there, with an event for each category whose place changes; whether it had to move."""
    depth = _checked_depth(category, parent_id)
    order = list(
        models.Category.objects.filter(**_place_of(category, parent_id))
        .order_by("position", "id")
        .values_list("id", "position")
    )
    siblings = [(id, at) for id, at in order if id != category.id]
    index = len(siblings) if position is None else min(position, len(siblings))
    if parent_id == category.parent_id and [id for id, _ in order].index(category.id) == index:
        return False
    positions = trees.positions_with(siblings, id=category.id, index=index)
    places: list[tuple[uuid.UUID, uuid.UUID | None, int, int]] = [
        (id, parent_id, at, depth) for id, at in positions.items()
    ]
    if depth != category.depth:
        below = models.Category.objects.filter(id__in=trees.descendants(models.Category, category.id))
        places += [(row.id, row.parent_id, row.position, row.depth + depth - category.depth) for row in below]
    trees.update_places(models.Category, places)
    category.parent_id, category.position, category.depth = parent_id, positions[category.id], depth
    _record_updates([id for id, *_ in places], moved=category.id, before=before)
    return True


def _record_updates(
    category_ids: Sequence[uuid.UUID], *, moved: uuid.UUID | None = None, before: dict[str, Any] | None = None
) -> None:
    """Of these only the one that was `moved` is told to the audit log, and that where it is no new one."""
    for category in models.Category.objects.filter(id__in=category_ids).order_by("id").prefetch_related("translations"):
        is_moved = category.id == moved and before is not None
        payload = events.CategoryUpdated(**_state(category))
        records.of_category(category.id, payload, before=before if is_moved else None, follows=not is_moved)


def _take_out_nodes(category: models.Category) -> None:
    links = models.NodeCategory.objects.filter(category=category)
    node_ids = list(links.values_list("node_id", flat=True))
    links.delete()
    nodes = models.Node.objects.filter(id__in=node_ids).order_by("id").prefetch_related("category_links")
    for node in nodes:
        in_order = sorted(node.category_links.all(), key=lambda link: link.position)
        fields = records.node_fields(node, [link.category_id for link in in_order])
        records.of_node(node.id, fields, follows=True)


def _named(category: models.Category) -> str:
    translation = models.CategoryTranslation.objects.filter(category=category).order_by("locale").first()
    return f'"{translation.name if translation else category.taxonomy}" ({category})'
