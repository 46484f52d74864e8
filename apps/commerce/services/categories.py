"""The category tree: parent, position and depth are kept here, and nobody else sets them."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from django.db import connection
from django.db.models import F

from apps.commerce import errors, events, models
from apps.commerce.models.taxonomy import MAXIMUM_DEPTH
from apps.commerce.services import handles, inputs, told
from apps.commerce.services.recording import record_on, writing
from apps.kernel import ids, validation, wording
from apps.kernel.errors import FieldProblem, ValidationFailed
from apps.tenants import scope

_TRANSLATED = ("name", "description")


def create_category(*, new: inputs.NewCategory) -> models.Category:
    """Raises CategoryNotFound for the parent, CategoryTooDeep, DuplicateHandle, LocaleNotEnabled."""
    handles.check_locales([translation.locale for translation in new.translations])
    with writing():
        _lock_tree()
        depth = _depth_below(_get(new.parent_id)) if new.parent_id else 0
        _check_depth(depth)
        category = models.Category.objects.create(
            parent_id=new.parent_id,
            position=_make_room(new.parent_id, new.position if "position" in new.model_fields_set else None, None),
            depth=depth,
            is_active=new.is_active,
        )
        _insert_translations(category, new.translations)
        _record(events.CategoryCreated(**_state(category)), category)
        told.change_seo(category, new)
    return category


def update_category(*, category_id: uuid.UUID, changes: inputs.CategoryChanges) -> models.Category:
    """Change what is given: translations are replaced, a new parent takes everything below along.

    Nothing is written and no event recorded when nothing differs. Raises CategoryNotFound, CategoryCycle,
    CategoryTooDeep, DuplicateHandle, LocaleNotEnabled.
    """
    with writing():
        _lock_tree()
        category = _get(category_id)
        before = _state(category)
        given = changes.model_fields_set
        if "is_active" in given:
            category.is_active = changes.is_active
        if "translations" in given:
            _replace_translations(category, changes.translations)
        if {"parent_id", "position"} & given:
            _place(category, changes)
        after = _state(category)
        if before != after:
            category.save()
            _record(events.CategoryUpdated(**after), category, before=before)
        told.change_seo(category, changes)
    return category


def delete_category(*, category_id: uuid.UUID) -> None:
    """Products in it stay, without it. Raises CategoryNotFound, CategoryHasChildren."""
    with writing():
        _lock_tree()
        category = _get(category_id)
        if category.children.exists():
            raise errors.CategoryHasChildren(wording.say("Categories lie below this one; move or delete them first."))
        before = _state(category)
        category.delete()
        record_on(events.CATEGORY, category_id, events.CategoryDeleted(), before=before)


def find_or_create_path(*, names: Sequence[str], locale: str) -> uuid.UUID:
    """The category at the end of a path of names from the top; what is missing of the path is made."""
    handles.check_locales([locale])
    if not names:
        raise ValidationFailed.for_field("/names", "too_short", wording.say("a category path needs at least one name."))
    with writing():
        path = _find_path(names, locale)
        if len(path) < len(names):
            _lock_tree()
            path = _find_path(names, locale)  # another import may have made it while we waited for the lock
        for name in names[len(path) :]:
            fields = {"parent_id": path[-1] if path else None, "translations": [{"locale": locale, "name": name}]}
            path.append(create_category(new=validation.parse(inputs.NewCategory, fields)).id)
    return path[-1]


def _find_path(names: Sequence[str], locale: str) -> list[uuid.UUID]:
    """The categories at the start of the path that are there."""
    path: list[uuid.UUID] = []
    for name in names:
        parent_id = path[-1] if path else None
        below = models.CategoryTranslation.objects.filter(locale=locale, name=name, category__parent_id=parent_id)
        found = below.order_by("category_id").values_list("category_id", flat=True).first()
        if found is None:
            break
        path.append(found)
    return path


def _lock_tree() -> None:
    """One change of a tenant's tree at a time: two moves at once could close a circle neither of them sees."""
    with connection.cursor() as cursor:
        key = f"commerce.category:{scope.current_id()}"
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [key])


def _get(category_id: uuid.UUID) -> models.Category:
    category = models.Category.objects.filter(id=category_id).first()
    if category is None:
        raise errors.CategoryNotFound(
            wording.say("There is no category {category}.", category=ids.encode("cat", category_id))
        )
    return category


def _place(category: models.Category, changes: inputs.CategoryChanges) -> None:
    parent_id = changes.parent_id if "parent_id" in changes.model_fields_set else category.parent_id
    moves = parent_id != category.parent_id
    if moves:
        parent = _get(parent_id) if parent_id else None
        levels = _levels_below(category)
        if parent and (parent.id == category.id or any(parent.id == row.id for level in levels for row in level)):
            raise errors.CategoryCycle(wording.say("A category can't lie below itself; choose a parent outside of it."))
        depth = _depth_below(parent) if parent else 0
        _check_depth(depth + len(levels))
        _shift_depths(levels, depth - category.depth)
        category.parent, category.depth = parent, depth
    if "position" in changes.model_fields_set:
        if moves or changes.position != category.position:
            category.position = _make_room(parent_id, changes.position, category.id)
    elif moves:
        category.position = _make_room(parent_id, None, category.id)


def _levels_below(category: models.Category) -> list[list[models.Category]]:
    """Everything below, one list a level."""
    levels = []
    row = [category]
    while row := list(models.Category.objects.filter(parent_id__in=[one.id for one in row])):
        levels.append(row)
    return levels


def _shift_depths(levels: Sequence[Sequence[models.Category]], by: int) -> None:
    if not by:
        return
    for row in (row for level in levels for row in level):
        row.depth += by
        row.save(update_fields=["depth"])
        _record(events.CategoryUpdated(**_state(row)), row)


def _depth_below(parent: models.Category) -> int:
    return parent.depth + 1


def _check_depth(depth: int) -> None:
    if depth > MAXIMUM_DEPTH:
        detail = wording.say(
            "The tree would be {depth} levels deep; {maximum_depth} are allowed.",
            depth=depth + 1,
            maximum_depth=MAXIMUM_DEPTH + 1,
        )
        raise errors.CategoryTooDeep(detail, problems=[FieldProblem("/parent_id", "depth_too_large", detail)])


def _make_room(parent_id: uuid.UUID | None, position: int | None, moving_id: uuid.UUID | None) -> int:
    """A free position among the children: the wanted one, pushing those from there on down, or the last."""
    siblings = models.Category.objects.filter(parent_id=parent_id).order_by("position", "id")
    if moving_id is not None:
        siblings = siblings.exclude(id=moving_id)
    if position is None:
        last = siblings.values_list("position", flat=True).last()
        return 0 if last is None else last + 1
    if siblings.filter(position=position).exists():
        for row in siblings.filter(position__gte=position).select_for_update():
            models.Category.objects.filter(id=row.id).update(position=F("position") + 1)
            row.position += 1
            _record(events.CategoryUpdated(**_state(row)), row)
    return position


def _insert_translations(category: models.Category, translations: Sequence[inputs.CategoryTranslationInput]) -> None:
    for given, handle in zip(translations, _settle(category, translations), strict=True):
        models.CategoryTranslation.objects.create(
            category=category, locale=given.locale, name=given.name, handle=handle, description=given.description
        )


def _replace_translations(category: models.Category, translations: Sequence[inputs.CategoryTranslationInput]) -> None:
    """A handle that is not given stays as it is."""
    handles.check_locales([translation.locale for translation in translations])
    stored = {row.locale: row for row in category.translations.all()}
    kept = [
        given.model_copy(update={"handle": given.handle or stored[given.locale].handle})
        if given.locale in stored
        else given
        for given in translations
    ]
    wanted = {
        given.locale: {"handle": handle} | {name: getattr(given, name) for name in _TRANSLATED}
        for given, handle in zip(kept, _settle(category, kept), strict=True)
    }
    category.translations.exclude(locale__in=list(wanted)).delete()
    for locale, values in wanted.items():
        row = stored.get(locale)
        if row is None:
            models.CategoryTranslation.objects.create(category=category, locale=locale, **values)
        elif any(getattr(row, name) != value for name, value in values.items()):
            models.CategoryTranslation.objects.filter(pk=row.pk).update(**values)


def _settle(category: models.Category, translations: Sequence[inputs.CategoryTranslationInput]) -> list[str]:
    group = [
        handles.Wish(given.locale, given.handle, given.name, f"/translations/{index}/handle")
        for index, given in enumerate(translations)
    ]
    (result,) = handles.settle(of=models.CategoryTranslation, owner="category", groups=[group], owner_id=category.id)
    if isinstance(result, errors.DuplicateHandle):
        raise result
    return result


def _state(category: models.Category) -> dict[str, Any]:
    return {
        "parent_id": category.parent_id,
        "position": category.position,
        "depth": category.depth,
        "is_active": category.is_active,
        "translations": [
            events.CategoryTranslation(locale=row.locale, name=row.name, handle=row.handle, description=row.description)
            for row in models.CategoryTranslation.objects.filter(category=category).order_by("locale")
        ],
    }


def _record(payload: events.CategoryState, category: models.Category, *, before: dict[str, Any] | None = None) -> None:
    record_on(events.CATEGORY, category.id, payload, before=before)
