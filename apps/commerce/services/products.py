"""Products: many or one are made in the same way, and what exists is changed by its differences."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import IntegrityError

from apps.commerce import errors, events, models, permitted, snapshots
from apps.commerce.custom_fields import FIELDS
from apps.commerce.services import bulk, handles, inputs, locations, parts, variants
from apps.commerce.services.recording import is_before_wanted, named, record, writing
from apps.events import registry
from apps.kernel import seo, wording
from apps.kernel.errors import DomainError, FieldProblem
from apps.outbox.append import unit_of_work
from apps.tenants import custom_fields

_PLAIN_FIELDS = ("vendor", "product_type", "tags", "is_gift_card", "metadata")
# These have events of their own.
_ASIDE: dict[str, type[registry.Payload]] = {"seo": events.SeoUpdated, "fields": events.FieldsUpdated}


@dataclass(slots=True)
class Outcome:
    """What became of a batch, by the index of each input."""

    created: dict[int, snapshots.Snapshot] = field(default_factory=dict)
    failures: dict[int, DomainError] = field(default_factory=dict)


def create_product(*, new: inputs.NewProduct, now: datetime) -> snapshots.Snapshot:
    """A product with translations, options, images, variants, prices and stock.

    Raises NoVariants, DuplicateHandle, DuplicateSku, DuplicateExternalId, DuplicateVariant, InvalidPrice,
    LocaleNotEnabled, UnknownOptionValue, UnknownImage, CategoryNotFound, LocationNotFound.
    """
    with unit_of_work():
        outcome = create_products(new=[new], now=now)
        if 0 in outcome.failures:
            raise outcome.failures[0]
    return outcome.created[0]


def create_products(*, new: Sequence[inputs.NewProduct], now: datetime) -> Outcome:
    """Many products at the cost of one statement a table; an input that can't be taken is left out whole and named."""
    with unit_of_work():
        try:
            with unit_of_work(savepoint=True):
                return _create_batch(new, now)
        except IntegrityError as error:
            if named(error) is None:
                raise
        # Somebody took a handle or a SKU between our look and our write: look again, one at a time.
        outcome = Outcome()
        for index, product in enumerate(new):
            try:
                with writing(savepoint=True):
                    alone = _create_batch([product], now)
            except DomainError as failure:
                outcome.failures[index] = failure
            else:
                if 0 in alone.created:
                    outcome.created[index] = alone.created[0]
                else:
                    outcome.failures[index] = alone.failures[0]
        return outcome


def update_product(*, product_id: uuid.UUID, changes: inputs.ProductChanges) -> snapshots.Snapshot:
    """Change what is given; nothing is written and no event recorded when nothing differs.

    Raises ProductNotFound, DuplicateHandle, LocaleNotEnabled, CategoryNotFound, OptionValueInUse.
    """
    with writing():
        snapshot = snapshots.get(product_id, lock=True)
        placed = changes.category_ids if "category_ids" in changes.model_fields_set else None
        permitted.check("update", snapshot, category_ids=placed)
        apply_product_changes(snapshot, changes)
    return snapshot


def publish_product(*, product_id: uuid.UUID, now: datetime) -> snapshots.Snapshot:
    """Show it to customers; a product that is shown stays as it is. Raises ProductNotFound."""
    return _set_status(product_id, "published", now)


def unpublish_product(*, product_id: uuid.UUID, now: datetime) -> snapshots.Snapshot:
    """Back to draft, from published or archived. Raises ProductNotFound."""
    return _set_status(product_id, "draft", now)


def archive_product(*, product_id: uuid.UUID, now: datetime) -> snapshots.Snapshot:
    """Out of sight and out of the editors' way, kept. Raises ProductNotFound."""
    return _set_status(product_id, "archived", now)


def delete_product(*, product_id: uuid.UUID) -> None:
    """Delete it with all that belongs to it; the ledger of its stock is kept.

    Raises ProductNotFound, CannotDeletePublished.
    """
    with writing():
        snapshot = snapshots.get(product_id, lock=True)
        permitted.check("delete", snapshot)
        product = snapshot.product
        if product.status == models.Product.Status.PUBLISHED:
            raise errors.CannotDeletePublished(wording.say("The product is published; unpublish or archive it first."))
        before = snapshots.product_fields(snapshot) | {"status": product.status, "variants": len(snapshot.variants)}
        product.delete()
        record(events.ProductDeleted(), product_id, before=before)


def apply_product_changes(snapshot: snapshots.Snapshot, changes: inputs.ProductChanges) -> bool:
    """Write what differs on the locked product and record it; returns whether anything did."""
    product, given = snapshot.product, changes.model_fields_set
    before = snapshots.product_fields(snapshot) if is_before_wanted() else None
    plain = [name for name in _PLAIN_FIELDS if name in given and getattr(changes, name) != getattr(product, name)]
    for name in plain:
        setattr(product, name, getattr(changes, name))
    differs = bool(plain)
    moved: list[snapshots.Variant] = []
    if "category_ids" in given:
        differs |= parts.replace_categories(snapshot, changes.category_ids)
    if "translations" in given:
        differs |= parts.replace_translations(snapshot, changes.translations)
    if "options" in given:
        options_differ, reordered = parts.replace_options(snapshot, changes.options)
        differs |= options_differ
        moved += reordered
    if "images" in given:
        images_differ, bared = parts.replace_images(snapshot, changes.images)
        differs |= images_differ
        moved += [variant for variant in bared if variant not in moved]
    aside = _change_aside(product, changes)
    if not differs and not aside:
        return False
    product.save(update_fields=[*plain, *aside, "updated_at"])
    for name, was in aside.items():
        record(_ASIDE[name](**{name: getattr(product, name)}), snapshot.id, before={name: was})
    if not differs:
        return True
    record(events.ProductUpdated(**snapshots.product_fields(snapshot)), snapshot.id, before=before)
    for variant in moved:
        variants.record_change(snapshot, variant)
    return True


def _change_aside(product: models.Product, changes: inputs.ProductChanges) -> dict[str, Any]:
    """What differs of the SEO fields and the tenant's own, with what was there before.

    Fields are those of the type the product has from now on, so a change of the type asks for them again.
    """
    given = changes.model_fields_set
    wanted = {
        "seo": seo.stored(changes.seo) if "seo" in given else product.seo,
        "fields": changes.fields if "fields" in given else product.fields,
    }
    handles.check_seo_locales(changes.seo)
    if given & {"fields", "product_type"}:
        custom_fields.check_values(subject=FIELDS, name=product.product_type, values=wanted["fields"])
    before = {name: getattr(product, name) for name, value in wanted.items() if value != getattr(product, name)}
    for name in before:
        setattr(product, name, wanted[name])
    return before


def apply_status(snapshot: snapshots.Snapshot, status: str, now: datetime) -> bool:
    """Bring the locked product into the status and record it; returns whether it was in another one."""
    product = snapshot.product
    if product.status == status:
        return False
    before = {"status": product.status, "published_at": product.published_at}
    product.status = models.Product.Status(status)
    product.published_at = now if status == "published" else None
    product.save(update_fields=["status", "published_at", "updated_at"])
    after = {"status": product.status, "published_at": product.published_at}
    record(_status_event(status, now), snapshot.id, before=before, after=after)
    return True


def _set_status(product_id: uuid.UUID, status: str, now: datetime) -> snapshots.Snapshot:
    with writing():
        snapshot = snapshots.get(product_id, lock=True)
        permitted.check("update", snapshot)
        apply_status(snapshot, status, now)
    return snapshot


def _status_event(
    status: str, now: datetime
) -> events.ProductPublished | events.ProductArchived | events.ProductUnpublished:
    if status == "published":
        return events.ProductPublished(published_at=now)
    return events.ProductArchived() if status == "archived" else events.ProductUnpublished()


def _create_batch(new: Sequence[inputs.NewProduct], now: datetime) -> Outcome:
    """1. Build the rows. 2. Refuse what others hold. 3. Put the stock on. 4. Write, table by table. 5. Record."""
    outcome = Outcome()
    built = _build_all(new, outcome, now)
    _settle_categories(built, outcome)
    _settle_external_ids(new, built, outcome)
    _settle_skus(built, outcome)
    _settle_handles(new, built, outcome)
    movements = _put_stock(new, built, outcome, now)
    _insert(list(built.values()), movements)
    for index, snapshot in built.items():
        _record_creation(snapshot)
        outcome.created[index] = snapshot
    return outcome


def _build_all(new: Sequence[inputs.NewProduct], outcome: Outcome, now: datetime) -> dict[int, snapshots.Snapshot]:
    built = {}
    library = parts.Library.of(image for product in new for image in product.images)
    for index, product in enumerate(new):
        permitted.check_new(category_ids=product.category_ids)
        try:
            built[index] = _build(product, library, now)
        except DomainError as failure:
            outcome.failures[index] = failure
    return built


def _build(new: inputs.NewProduct, library: parts.Library, now: datetime) -> snapshots.Snapshot:
    if not new.variants:
        raise errors.NoVariants.for_field(
            "/variants", "no_variants", wording.say("a product needs at least one variant.")
        )
    handles.check_locales([translation.locale for translation in new.translations])
    handles.check_seo_locales(new.seo)
    custom_fields.check_values(subject=FIELDS, name=new.product_type, values=new.fields)
    product = models.Product(
        status=new.status,
        external_id=new.external_id,
        published_at=now if new.status == "published" else None,
        seo=seo.stored(new.seo),
        fields=new.fields,
        **{name: getattr(new, name) for name in _PLAIN_FIELDS},
    )
    snapshot = snapshots.Snapshot(product, category_ids=sorted(set(new.category_ids)))
    for translation in new.translations:
        snapshot.translations[translation.locale] = parts.build_translation(product, translation)
    snapshot.options = parts.build_options(product, new.options)
    snapshot.images = parts.build_images(product, new.images, library)
    for position, variant in enumerate(new.variants):
        pointer = f"/variants/{position}"
        snapshot.variants.append(variants.build_variant(snapshot, variant, position=position, pointer=pointer))
    return snapshot


def _settle_categories(built: dict[int, snapshots.Snapshot], outcome: Outcome) -> None:
    wanted = {category_id for snapshot in built.values() for category_id in snapshot.category_ids}
    if not wanted:
        return
    known = set(models.Category.objects.filter(id__in=wanted).values_list("id", flat=True))
    for index, snapshot in list(built.items()):
        if unknown := set(snapshot.category_ids) - known:
            outcome.failures[index] = parts.category_not_found(unknown.pop())
            del built[index]


def _settle_external_ids(
    new: Sequence[inputs.NewProduct], built: dict[int, snapshots.Snapshot], outcome: Outcome
) -> None:
    wanted = {product.external_id for product in new if product.external_id}
    if not wanted:
        return
    taken = set(models.Product.objects.filter(external_id__in=wanted).values_list("external_id", flat=True))
    for index in list(built):
        external_id = new[index].external_id
        if external_id in taken:
            detail = wording.say(
                'A product for "{external_id}" exists already; update it instead.', external_id=external_id
            )
            problem = FieldProblem("/external_id", "duplicate_external_id", detail)
            outcome.failures[index] = errors.DuplicateExternalId(detail, problems=[problem])
            del built[index]
        elif external_id:
            taken.add(external_id)


def _settle_skus(built: dict[int, snapshots.Snapshot], outcome: Outcome) -> None:
    wanted = {variant.row.sku for snapshot in built.values() for variant in snapshot.variants if variant.row.sku}
    if not wanted:
        return
    taken = set(models.Variant.objects.filter(sku__in=wanted).values_list("sku", flat=True))
    for index, snapshot in list(built.items()):
        own: set[str] = set()
        for position, variant in enumerate(snapshot.variants):
            sku = variant.row.sku
            if sku and (sku in taken or sku in own):
                outcome.failures[index] = variants.duplicate_sku(sku, f"/variants/{position}/sku")
                del built[index]
                break
            if sku:
                own.add(sku)
        else:
            taken |= own


def _settle_handles(new: Sequence[inputs.NewProduct], built: dict[int, snapshots.Snapshot], outcome: Outcome) -> None:
    indexes = list(built)
    groups = [parts.wishes(new[index].translations) for index in indexes]
    settled = handles.settle(of=models.ProductTranslation, owner="product", groups=groups)
    for index, result in zip(indexes, settled, strict=True):
        if isinstance(result, errors.DuplicateHandle):
            outcome.failures[index] = result
            del built[index]
            continue
        for translation, handle in zip(new[index].translations, result, strict=True):
            built[index].translations[translation.locale].handle = handle


def _put_stock(
    new: Sequence[inputs.NewProduct], built: dict[int, snapshots.Snapshot], outcome: Outcome, now: datetime
) -> list[models.InventoryMovement]:
    codes = {entry.location for index in built for variant in new[index].variants for entry in variant.stock}
    found = locations.find_locations(codes)
    movements = []
    for index, snapshot in list(built.items()):
        own: list[models.InventoryMovement] = []
        try:
            for variant, given in zip(snapshot.variants, new[index].variants, strict=True):
                own += variants.build_stock(variant, given.stock, found, now=now)
        except errors.LocationNotFound as failure:
            outcome.failures[index] = failure
            del built[index]
        else:
            movements += own
    return movements


def _insert(built: Sequence[snapshots.Snapshot], movements: Sequence[models.InventoryMovement]) -> None:
    if not built:
        return
    bulk.insert([snapshot.product for snapshot in built])
    bulk.insert([translation for snapshot in built for translation in snapshot.translations.values()])
    parts.insert_options([option for snapshot in built for option in snapshot.options])
    bulk.insert([image for snapshot in built for image in snapshot.images])
    parts.insert_categories([(snapshot, snapshot.category_ids) for snapshot in built])
    variants.insert([variant for snapshot in built for variant in snapshot.variants], movements)


def _record_creation(snapshot: snapshots.Snapshot) -> None:
    whole: dict[str, Any] = snapshots.product_fields(snapshot)
    whole["variants"] = [events.Variant(**snapshots.whole_variant(variant)) for variant in snapshot.variants]
    record(events.ProductCreated(**whole), snapshot.id)
    product = snapshot.product
    for name, event in _ASIDE.items():
        if value := getattr(product, name):
            record(event(**{name: value}), snapshot.id)
    if product.status == "published" and product.published_at:
        record(events.ProductPublished(published_at=product.published_at), snapshot.id)
    elif product.status == "archived":
        record(events.ProductArchived(), snapshot.id)
