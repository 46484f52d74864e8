"""Collections: products picked by hand, in an order of their own."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from apps.commerce import errors, events, models
from apps.commerce.services import handles, inputs, told
from apps.commerce.services.recording import record_on, writing
from apps.kernel import ids, wording

_TRANSLATED = ("title", "description")


def create_collection(*, new: inputs.CollectionInput) -> models.Collection:
    """Raises DuplicateHandle, LocaleNotEnabled."""
    handles.check_locales([translation.locale for translation in new.translations])
    with writing():
        collection = models.Collection.objects.create()
        for given, handle in zip(new.translations, _settle(collection, new.translations), strict=True):
            models.CollectionTranslation.objects.create(
                collection=collection,
                locale=given.locale,
                title=given.title,
                handle=handle,
                description=given.description,
            )
        record_on(events.COLLECTION, collection.id, events.CollectionCreated(**_state(collection)))
        told.change_seo(collection, new)
    return collection


def update_collection(*, collection_id: uuid.UUID, changes: inputs.CollectionInput) -> models.Collection:
    """Replace its translations; a handle that is not given stays. Raises CollectionNotFound, DuplicateHandle."""
    handles.check_locales([translation.locale for translation in changes.translations])
    with writing():
        collection = _lock(collection_id)
        before = _state(collection)
        _replace_translations(collection, changes.translations)
        after = _state(collection)
        if before != after:
            collection.save(update_fields=["updated_at"])
            record_on(events.COLLECTION, collection.id, events.CollectionUpdated(**after), before=before)
        told.change_seo(collection, changes)
    return collection


def delete_collection(*, collection_id: uuid.UUID) -> None:
    """Its products stay. Raises CollectionNotFound."""
    with writing():
        collection = _lock(collection_id)
        before = _state(collection)
        collection.delete()
        record_on(events.COLLECTION, collection_id, events.CollectionDeleted(), before=before)


def add_to_collection(*, collection_id: uuid.UUID, product_id: uuid.UUID, position: int | None = None) -> None:
    """Put a product into it, last when no position is given; one that is in it already moves to the position.

    Raises CollectionNotFound, ProductNotFound.
    """
    with writing():
        collection = _lock(collection_id)
        if not models.Product.objects.filter(id=product_id).exists():
            raise errors.ProductNotFound(
                wording.say("There is no product {product}.", product=ids.encode("prod", product_id))
            )
        placed = models.CollectionProduct.objects.filter(collection=collection)
        row = placed.filter(product_id=product_id).first()
        if row is not None and position in (None, row.position):
            return
        if position is None:
            last = placed.order_by("position").values_list("position", flat=True).last()
            position = 0 if last is None else last + 1
        if row is None:
            models.CollectionProduct.objects.create(collection=collection, product_id=product_id, position=position)
        else:
            row.position = position
            row.save(update_fields=["position"])
        payload = events.CollectionProductAdded(product_id=product_id, position=position)
        record_on(events.COLLECTION, collection.id, payload)


def remove_from_collection(*, collection_id: uuid.UUID, product_id: uuid.UUID) -> None:
    """Raises CollectionNotFound, ProductNotFound where the product is not in it."""
    with writing():
        collection = _lock(collection_id)
        removed, _ = models.CollectionProduct.objects.filter(collection=collection, product_id=product_id).delete()
        if not removed:
            raise errors.ProductNotFound(
                wording.say(
                    "The product {product} is not in the collection {collection}.",
                    product=ids.encode("prod", product_id),
                    collection=collection,
                )
            )
        record_on(events.COLLECTION, collection.id, events.CollectionProductRemoved(product_id=product_id))


def _lock(collection_id: uuid.UUID) -> models.Collection:
    collection = models.Collection.objects.select_for_update(no_key=True).filter(id=collection_id).first()
    if collection is None:
        raise errors.CollectionNotFound(
            wording.say("There is no collection {collection}.", collection=ids.encode("coll", collection_id))
        )
    return collection


def _replace_translations(
    collection: models.Collection, translations: Sequence[inputs.CollectionTranslationInput]
) -> None:
    stored = {row.locale: row for row in collection.translations.all()}
    kept = [
        given.model_copy(update={"handle": given.handle or stored[given.locale].handle})
        if given.locale in stored
        else given
        for given in translations
    ]
    wanted = {
        given.locale: {"handle": handle} | {name: getattr(given, name) for name in _TRANSLATED}
        for given, handle in zip(kept, _settle(collection, kept), strict=True)
    }
    collection.translations.exclude(locale__in=list(wanted)).delete()
    for locale, values in wanted.items():
        row = stored.get(locale)
        if row is None:
            models.CollectionTranslation.objects.create(collection=collection, locale=locale, **values)
        elif any(getattr(row, name) != value for name, value in values.items()):
            models.CollectionTranslation.objects.filter(pk=row.pk).update(**values)


def _settle(collection: models.Collection, translations: Sequence[inputs.CollectionTranslationInput]) -> list[str]:
    group = [
        handles.Wish(given.locale, given.handle, given.title, f"/translations/{index}/handle")
        for index, given in enumerate(translations)
    ]
    (result,) = handles.settle(
        of=models.CollectionTranslation, owner="collection", groups=[group], owner_id=collection.id
    )
    if isinstance(result, errors.DuplicateHandle):
        raise result
    return result


def _state(collection: models.Collection) -> dict[str, Any]:
    return {
        "translations": [
            events.CollectionTranslation(
                locale=row.locale, title=row.title, handle=row.handle, description=row.description
            )
            for row in models.CollectionTranslation.objects.filter(collection=collection).order_by("locale")
        ]
    }
