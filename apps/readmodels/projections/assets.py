"""Documents of assets from the asset's own stream: what blocks of content and others name by id."""

from __future__ import annotations

import uuid

from apps.consumers import projections
from apps.events import envelope
from apps.readmodels.projections import shared

DOCUMENT = projections.Relation("readmodels_assetdocument", ("tenant_id", "id", "document"))


def apply(state: projections.State | None, event: envelope.Event) -> projections.State | None:
    """The asset after one event: each carries all of it."""
    if event.type == "media.asset.deleted" or (state is None and event.type != "media.asset.uploaded"):
        return None
    return event.data | {"updated_at": shared.at(event)}


def render(tenant_id: uuid.UUID, asset_id: uuid.UUID, state: projections.State) -> dict[str, list[projections.Row]]:
    """One row in all locales: an asset carries its words in each."""
    return {DOCUMENT.template: [(tenant_id, asset_id, shared.to_json(state))]}


PROJECTION = projections.register(
    projections.Projection(
        name="assets",
        version=1,
        aggregate_types=("media.asset",),
        types=("media.asset.uploaded", "media.asset.updated", "media.asset.deleted"),
        state_template="readmodels_assetstate",
        relations=(DOCUMENT,),
        apply=apply,
        render=render,
    )
)
