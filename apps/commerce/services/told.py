"""What search engines are told about categories and collections: beside their state, with events of its own."""

from __future__ import annotations

from apps.commerce import events, models
from apps.commerce.services import handles, inputs
from apps.commerce.services.recording import record_on
from apps.kernel import seo

_EVENTS = {
    models.Category: (events.CATEGORY, events.CategorySeoUpdated),
    models.Collection: (events.COLLECTION, events.CollectionSeoUpdated),
}


def change_seo(
    row: models.Category | models.Collection, given: inputs.CategoryChanges | inputs.CollectionInput
) -> None:
    """Write and record it where it is given and differs, in the caller's transaction. Raises LocaleNotEnabled."""
    handles.check_seo_locales(given.seo)
    wanted = seo.stored(given.seo)
    if "seo" not in given.model_fields_set or wanted == row.seo:
        return
    before = {"seo": row.seo}
    row.seo = wanted
    row.save(update_fields=["seo"])
    aggregate, event = _EVENTS[type(row)]
    record_on(aggregate, row.id, event(seo=wanted), before=before)
