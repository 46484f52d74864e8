"""Menus: trees of what a storefront links to, each written, moved and recorded as a whole."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

from django.db.models import Model
from pydantic import BeforeValidator, Field, ValidationInfo

from apps.content import blocks, events, models
from apps.content.services import records
from apps.content.services.checks import unknown_ids
from apps.content.services.errors import (
    ExternalIdTaken,
    LocaleNotEnabled,
    LocationTaken,
    MenuItemNotFound,
    MenuNotFound,
    TreeCycle,
    TreeTooDeep,
    named_integrity_errors,
)
from apps.content.services.inputs import ExternalId
from apps.kernel import errors, ids, validation, wording
from apps.outbox.append import unit_of_work
from apps.tenants import scope

LEVELS = 5
MAXIMUM_ITEMS = 500
# What an item can lead to, with the prefix of its id. Products and their terms are another app's: whether they are
# there is seen when the menu is read.
PREFIXES = {
    "node": "node",
    "content_category": "cat",
    "tag": "tag",
    "product": "prod",
    "category": "cat",
    "collection": "coll",
}
_OURS: dict[str, type[Model]] = {"node": models.Node, "content_category": models.Category, "tag": models.Tag}


def _decode_target(value: Any, info: ValidationInfo) -> Any:
    """By the type beside it; of one that is wrong, only that it is an id."""
    if not isinstance(value, str):
        return value
    prefix = PREFIXES.get(info.data.get("type", ""), value.rpartition("_")[0])
    try:
        return ids.decode(prefix, value)
    except ids.InvalidId as error:
        raise wording.refusal("invalid_id", "{reason}", reason=error.detail) from None


def _refuse_any(value: Any) -> Any:
    if value != []:
        raise wording.refusal("too_deep", "a menu has {levels} levels at most", levels=LEVELS)
    return value


MenuId = Annotated[uuid.UUID, validation.TypedId("menu")]
MenuItemId = Annotated[uuid.UUID, validation.TypedId("item")]
MenuLocation = Literal["header", "footer", "sidebar", "mobile"]
_TargetText = Annotated[str, Field(max_length=36, pattern=ids.pattern("(node|cat|tag|prod|coll)"))]
_Titles = Annotated[
    dict[validation.Locale, validation.Title], Field(max_length=validation.MAXIMUM_LOCALES), validation.ByLocale()
]
_Below = Field(max_length=MAXIMUM_ITEMS)
_None = Annotated[list[None], BeforeValidator(_refuse_any), Field(max_length=0)]


class MenuTargetInput(validation.Input):
    """What an item leads to, by its id. What is not published is left out where the menu is shown."""

    type: Literal["node", "content_category", "tag", "product", "category", "collection"]
    id: Annotated[uuid.UUID, BeforeValidator(_decode_target, json_schema_input_type=_TargetText)]


class MenuItemFields(validation.Input):
    """What items of all levels have. One that was there keeps the `id` it is sent with."""

    id: MenuItemId | None = None
    titles: _Titles = {}
    target: MenuTargetInput | None = None
    url: blocks.OptionalAddress = None
    icon: Annotated[str, validation.Line(64)] = ""


class MenuItemInput5(MenuItemFields):
    """An item of the fifth level, below which there is none."""

    children: _None = []


class MenuItemInput4(MenuItemFields):
    """An item of the fourth level."""

    children: Annotated[list[MenuItemInput5], _Below] = []


class MenuItemInput3(MenuItemFields):
    """An item of the third level."""

    children: Annotated[list[MenuItemInput4], _Below] = []


class MenuItemInput2(MenuItemFields):
    """An item of the second level."""

    children: Annotated[list[MenuItemInput3], _Below] = []


class MenuItemInput(MenuItemFields):
    """An item of a menu. It leads to a `target`, whose title it takes in the locales that `titles` has not, to a `url`,
    or nowhere: a heading."""

    children: Annotated[list[MenuItemInput2], _Below] = []


Items = Annotated[list[MenuItemInput], _Below]


class NewMenu(validation.Input):
    """A menu to create, shown at `location` or nowhere."""

    name: validation.Title
    location: MenuLocation | None = None
    items: Items = []
    external_id: ExternalId | None = None


class MenuChanges(validation.Input):
    """What is given is changed; `items` replace the whole tree, and `location` null takes the menu from where it is."""

    name: validation.Title | None = None
    location: MenuLocation | None = None
    items: Items | None = None


class MenuItemMove(validation.Input):
    """`parent_id` null is the top of the menu; `position` absent is last."""

    item_id: MenuItemId
    parent_id: MenuItemId | None = None
    position: validation.Position | None = None


def create_menu(*, new: NewMenu) -> models.Menu:
    """Raises LocationTaken, ExternalIdTaken, LocaleNotEnabled, ValidationFailed."""
    with unit_of_work(), named_integrity_errors():
        _check_location(new.location)
        if new.external_id is not None and models.Menu.objects.filter(external_id=new.external_id).exists():
            raise ExternalIdTaken(
                wording.say(
                    'There is a menu with the external id "{external_id}" already; update that one.',
                    external_id=new.external_id,
                )
            )
        items = _checked(new.items, present=[])
        menu = models.Menu.objects.create(
            name=new.name, location=new.location, items=_stored(items), external_id=new.external_id
        )
        records.of_menu(menu.id, events.MenuCreated(**_state(menu)))
    return menu


def update_menu(*, menu_id: uuid.UUID, changes: MenuChanges) -> models.Menu:
    """Change what is given; nothing is written and no event recorded where nothing differs.

    Raises MenuNotFound, LocationTaken, LocaleNotEnabled, ValidationFailed.
    """
    with unit_of_work(), named_integrity_errors():
        menu = _locked_menu(menu_id)
        before = _state(menu)
        if changes.name is not None:
            menu.name = changes.name
        if "location" in changes.model_fields_set and changes.location != menu.location:
            _check_location(changes.location)
            menu.location = changes.location
        if changes.items is not None:
            menu.items = _stored(_checked(changes.items, present=menu.items))
        return _write(menu, before)


def move_menu_item(*, menu_id: uuid.UUID, move: MenuItemMove) -> models.Menu:
    """Put an item, with all below it, at a place among the children of another one, or at the top.

    Raises MenuNotFound, MenuItemNotFound, TreeCycle, TreeTooDeep.
    """
    with unit_of_work():
        menu = _locked_menu(menu_id)
        before = _state(menu)
        siblings, moved = _find(menu.items, move.item_id)
        if move.parent_id is not None and any(item["id"] == str(move.parent_id) for item in _walk([moved])):
            raise TreeCycle(wording.say("An item can't be placed below itself."))
        siblings.remove(moved)
        target = menu.items if move.parent_id is None else _find(menu.items, move.parent_id)[1]["children"]
        target.insert(len(target) if move.position is None else move.position, moved)
        if _height(menu.items) > LEVELS:
            detail = wording.say("a menu has {levels} levels at most", levels=LEVELS)
            raise TreeTooDeep(detail, problems=[errors.FieldProblem("/parent_id", "depth_too_large", detail)])
        return _write(menu, before)


def delete_menu(*, menu_id: uuid.UUID) -> None:
    """Raises MenuNotFound."""
    with unit_of_work():
        menu = _locked_menu(menu_id)
        before = _state(menu)
        menu.delete()
        records.of_menu(menu_id, events.MenuDeleted(), before=before)


def not_found(menu_id: uuid.UUID) -> MenuNotFound:
    """The error for a menu that is not there."""
    return MenuNotFound(wording.say("There is no menu {menu}.", menu=ids.encode("menu", menu_id)))


def _write(menu: models.Menu, before: dict[str, Any]) -> models.Menu:
    after = _state(menu)
    if after != before:
        menu.save()
        records.of_menu(menu.id, events.MenuUpdated(**after), before=before)
    return menu


def _locked_menu(menu_id: uuid.UUID) -> models.Menu:
    menu = models.Menu.objects.select_for_update().filter(id=menu_id).first()
    if menu is None:
        raise not_found(menu_id)
    return menu


def _check_location(location: str | None) -> None:
    holder = models.Menu.objects.filter(location=location).first() if location else None
    if holder is not None:
        raise LocationTaken(
            wording.say(
                'The menu "{menu}" is shown at "{location}"; take it from there first.',
                menu=holder.name,
                location=location,
            )
        )


def _checked(items: Sequence[MenuItemInput], *, present: list[dict[str, Any]]) -> list[events.MenuItem]:
    """The items as they are recorded. Raises LocaleNotEnabled, ValidationFailed, pointing at each that is wrong."""
    placed = list(_placed(items, "/items"))
    if len(placed) > MAXIMUM_ITEMS:
        said = wording.say("a menu has {limit} items at most.", limit=MAXIMUM_ITEMS)
        raise errors.ValidationFailed.for_field("/items", "too_long", said)
    _check_locales(placed)
    if problems := [*_problems(placed), *_repeated(placed)]:
        raise validation.refused(problems)
    known = {(item["target"]["type"], item["target"]["id"]) for item in _walk(present) if item["target"]}
    _check_targets([item for item in placed if _target_of(item[1]) not in known])
    return [_recorded(item) for item in items]


def _placed(items: Sequence[MenuItemFields], pointer: str) -> Iterator[tuple[str, MenuItemFields]]:
    for index, item in enumerate(items):
        yield f"{pointer}/{index}", item
        yield from _placed(getattr(item, "children", ()), f"{pointer}/{index}/children")


def _check_locales(placed: Sequence[tuple[str, MenuItemFields]]) -> None:
    at_work = scope.current()
    problems = [
        errors.FieldProblem(f"{pointer}/titles/{locale}", "locale_not_enabled", at_work.refusal_of(locale))
        for pointer, item in placed
        for locale in item.titles
        if locale not in at_work.locales
    ]
    if problems:
        raise LocaleNotEnabled(wording.join("; ", [problem.detail for problem in problems[:5]]), problems=problems)


def _problems(placed: Sequence[tuple[str, MenuItemFields]]) -> Iterator[errors.FieldProblem]:
    for pointer, item in placed:
        if item.target is not None and item.url is not None:
            said = wording.say("an item leads to a target or to a url; leave one of them out.")
            yield errors.FieldProblem(f"{pointer}/url", "two_targets", said)
        if item.target is None and not item.titles:
            said = wording.say("an item without a target needs a title in some language.")
            yield errors.FieldProblem(f"{pointer}/titles", "title_missing", said)


def _repeated(placed: Sequence[tuple[str, MenuItemFields]]) -> Iterator[errors.FieldProblem]:
    seen = set()
    for pointer, item in placed:
        if item.id is not None and item.id in seen:
            name = ids.encode("item", item.id)
            yield errors.FieldProblem(f"{pointer}/id", "duplicate", wording.say('"{name}" is given twice.', name=name))
        seen.add(item.id)


def _target_of(item: MenuItemFields) -> tuple[str, str] | None:
    return None if item.target is None else (item.target.type, str(item.target.id))


def _check_targets(placed: Sequence[tuple[str, MenuItemFields]]) -> None:
    """Raises ValidationFailed for nodes and terms that are not there."""
    for kind, model in _OURS.items():
        wanted = {item.target.id: pointer for pointer, item in placed if item.target and item.target.type == kind}
        if not wanted:
            continue
        found = set(model._default_manager.filter(pk__in=list(wanted)).values_list("pk", flat=True))
        if missing := sorted(wanted.keys() - found):
            raise unknown_ids(f"{wanted[missing[0]]}/target/id", PREFIXES[kind], missing)


def _recorded(item: MenuItemFields) -> events.MenuItem:
    return events.MenuItem(
        id=item.id or ids.new_id(),
        titles=item.titles,
        target=events.MenuTarget(type=item.target.type, id=item.target.id) if item.target else None,
        url=item.url,
        icon=item.icon,
        children=[_recorded(child) for child in getattr(item, "children", ())],
    )


def _stored(items: Sequence[events.MenuItem]) -> list[dict[str, Any]]:
    return [item.model_dump(mode="json") for item in items]


def _state(menu: models.Menu) -> dict[str, Any]:
    items = [events.MenuItem.model_validate(item) for item in menu.items]
    return {"name": menu.name, "location": menu.location, "items": items}


def _walk(items: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for item in items:
        yield item
        yield from _walk(item["children"])


def _height(items: Sequence[dict[str, Any]]) -> int:
    return max((1 + _height(item["children"]) for item in items), default=0)


def _find(items: list[dict[str, Any]], item_id: uuid.UUID) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The item among its siblings. Raises MenuItemNotFound."""
    for siblings in [items, *(item["children"] for item in _walk(items))]:
        for item in siblings:
            if item["id"] == str(item_id):
                return siblings, item
    raise MenuItemNotFound(wording.say("The menu has no item {item}.", item=ids.encode("item", item_id)))
