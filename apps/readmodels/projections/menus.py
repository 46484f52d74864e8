"""Menu documents from the menu's own stream; what items lead to is joined when a menu is read."""

from __future__ import annotations

import uuid

from apps.consumers import projections
from apps.events import envelope
from apps.readmodels.projections import shared

DOCUMENT = projections.Relation("readmodels_menudocument", ("tenant_id", "id", "location", "document"))


def apply(state: projections.State | None, event: envelope.Event) -> projections.State | None:
    """The menu after one event: each carries all of it."""
    if event.type == "content.menu.deleted" or (state is None and event.type != "content.menu.created"):
        return None
    return event.data | {"updated_at": shared.at(event)}


def render(tenant_id: uuid.UUID, menu_id: uuid.UUID, state: projections.State) -> dict[str, list[projections.Row]]:
    """One row in all locales: items carry their titles in each."""
    return {DOCUMENT.template: [(tenant_id, menu_id, state["location"], shared.to_json(state))]}


PROJECTION = projections.register(
    projections.Projection(
        name="menus",
        version=1,
        aggregate_types=("content.menu",),
        types=("content.menu.created", "content.menu.updated", "content.menu.deleted"),
        state_template="readmodels_menustate",
        relations=(DOCUMENT,),
        apply=apply,
        render=render,
    )
)
