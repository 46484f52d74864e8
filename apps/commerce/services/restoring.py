"""Putting things back as they were: what an import has made is discarded, what it changed gets its former state.

A product's parts come back with the identity they had, which variants' prices and readers' links hang on.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db.models import F, Model

from apps.commerce import errors, events, models, snapshots
from apps.commerce.services import categories, inventory, locations, parts, products, variants
from apps.commerce.services.recording import record, writing
from apps.kernel import wording

_PRODUCT = ("vendor", "product_type", "tags", "is_gift_card", "metadata", "external_id")
_TRANSLATION = ("title", "subtitle", "handle", "description", "meta_title", "meta_description")
_VARIANT = (
    *("position", "sku", "barcode", "weight_grams", "inventory_policy", "manage_inventory", "requires_shipping"),
    *("image_id", "metadata", "combination"),
)


def discard_product(*, product_id: uuid.UUID, now: datetime) -> None:
    """Delete it, published or not. Raises ProductNotFound."""
    with writing():
        snapshot = snapshots.get(product_id, lock=True)
        products.apply_status(snapshot, "draft", now)
        products.delete_product(product_id=product_id)


def discard_category(*, category_id: uuid.UUID) -> None:
    """Delete it where nothing is in it. Raises CategoryNotFound, CategoryHasChildren, CategoryInUse."""
    with writing():
        if models.ProductCategory.objects.filter(category_id=category_id).exists():
            raise errors.CategoryInUse(wording.say("Products are in this category."))
        categories.delete_category(category_id=category_id)


def restore_product(*, product_id: uuid.UUID, state: dict[str, Any], now: datetime, reason: str = "undo") -> None:
    """Bring it back to a dumped state, with an event for each part that differs; promises of stock stay.

    Raises ProductNotFound, DuplicateHandle, DuplicateSku, CategoryNotFound, InsufficientInventory.
    """
    with writing():
        _Restoring(snapshots.get(product_id, lock=True), snapshots.load_dump(state), now, reason).run()


class _Restoring:
    """From `at`, which is stored, to `to`, which was."""

    def __init__(self, at: snapshots.Snapshot, to: snapshots.Snapshot, now: datetime, reason: str) -> None:
        self.at, self.to, self.now, self.reason = at, to, now, reason
        self.stored = {variant.row.id: variant for variant in at.variants}
        self.wanted = {variant.row.id: variant for variant in to.variants}

    def run(self) -> None:
        """What others point at comes first and goes last."""
        before = snapshots.product_fields(self.at)
        self._put_options()
        self._put(self.at.images, self.to.images, ("url", "asset_id", "alt", "position"))
        self._restore_variants()
        self._drop_rest()
        self._restore_texts()
        parts.replace_categories(self.at, self.to.category_ids)
        product = self.at.product
        for name in _PRODUCT:
            setattr(product, name, getattr(self.to.product, name))
        product.save(update_fields=[*_PRODUCT, "updated_at"])
        after = snapshots.product_fields(self.to)
        if before != after:
            record(events.ProductUpdated(**after), self.at.id, before=before)
        self._tell_of_variants()
        self._restore_stock()
        if products.apply_status(self.at, self.to.product.status, self.now) and self.to.product.published_at:
            models.Product.objects.filter(id=product.id).update(published_at=self.to.product.published_at)

    def _put[Row: Model](self, stored: Iterable[Row], wanted: Iterable[Row], names: tuple[str, ...]) -> None:
        """Make and change rows by their id."""
        known = {row.pk: row for row in stored}
        for row in wanted:
            own = known.get(row.pk)
            if own is None:
                row.save(force_insert=True)
            elif any(getattr(own, name) != getattr(row, name) for name in names):
                row.save(force_update=True, update_fields=list(names))

    def _put_options(self) -> None:
        stored_options = {option.row.id: option for option in self.at.options}
        stored_values = {value.row.id: value for option in self.at.options for value in option.values}
        self._put([option.row for option in self.at.options], [option.row for option in self.to.options], ("position",))
        for option in self.to.options:
            own = stored_options.get(option.row.id)
            if own is None or own.names != option.names:
                parts.rename_option(option)
            rows = [stored_values[value.row.id].row for value in option.values if value.row.id in stored_values]
            self._put(rows, [value.row for value in option.values], ("position",))
            for value in option.values:
                known = stored_values.get(value.row.id)
                if known is None or known.names != value.names:
                    parts.rename_value(value)

    def _restore_variants(self) -> None:
        differing = [
            variant
            for variant_id, variant in self.wanted.items()
            if variant_id in self.stored and self._differs(variant, self.stored[variant_id])
        ]
        gone = [variant for variant_id, variant in self.stored.items() if variant_id not in self.wanted]
        # SKUs and values may have changed places: nobody keeps what another one is to get.
        models.Variant.objects.filter(id__in=[variant.row.id for variant in differing]).update(
            sku=None, combination=F("id")
        )
        self.removed = [(variant.row.id, snapshots.whole_variant(variant)) for variant in gone]
        models.Variant.objects.filter(id__in=[variant.row.id for variant in gone]).delete()
        self.changed = differing
        for variant in differing:
            variants.check_sku_is_free(variant.row)
            variant.row.save(force_update=True, update_fields=list(_VARIANT))
            if variant.value_ids != self.stored[variant.row.id].value_ids:
                variants.replace_values(variant, variant.value_ids)
            allowed = inventory.allows_backorder(variant.row)
            models.InventoryLevel.objects.filter(variant=variant.row).update(allow_backorder=allowed)
        self.added = [variant for variant_id, variant in self.wanted.items() if variant_id not in self.stored]
        for variant in self.added:
            variants.check_sku_is_free(variant.row)
        levels = {variant.row.id: variant.levels for variant in self.added}
        for variant in self.added:
            variant.levels = {}
            for price in variant.prices.values():
                price.pk = None
        variants.insert(self.added, [])
        for variant in self.added:
            variant.levels = levels[variant.row.id]

    def _differs(self, wanted: snapshots.Variant, stored: snapshots.Variant) -> bool:
        return wanted.value_ids != stored.value_ids or any(
            getattr(wanted.row, name) != getattr(stored.row, name) for name in _VARIANT
        )

    def _drop_rest(self) -> None:
        for model, stored, wanted in (
            (models.ProductImage, self.at.images, self.to.images),
            (models.OptionValue, _values(self.at), _values(self.to)),
            (models.Option, [option.row for option in self.at.options], [option.row for option in self.to.options]),
        ):
            gone = {row.pk for row in stored} - {row.pk for row in wanted}
            model.objects.filter(pk__in=gone).delete()

    def _restore_texts(self) -> None:
        stored = self.at.translations
        models.ProductTranslation.objects.filter(
            product_id=self.at.id, locale__in=stored.keys() - self.to.translations.keys()
        ).delete()
        for locale, row in self.to.translations.items():
            if locale not in stored:
                row.pk = None
                row.save(force_insert=True)
            elif any(getattr(stored[locale], name) != getattr(row, name) for name in _TRANSLATION):
                row.pk = stored[locale].pk
                row.save(force_update=True, update_fields=list(_TRANSLATION))

    def _tell_of_variants(self) -> None:
        for variant_id, before in self.removed:
            record(events.VariantDeleted(variant_id=variant_id), self.at.id, before=before)
        for variant in self.added:
            told = snapshots.Variant(variant.row, variant.value_ids, variant.prices)
            record(events.VariantCreated(**snapshots.whole_variant(told)), self.at.id)
        for variant in self.changed:
            variants.record_change(self.to, variant)
        for variant_id in self.wanted.keys() & self.stored.keys():
            variants.replace_prices(self.at, self.stored[variant_id], list(self.wanted[variant_id].prices.values()))

    def _restore_stock(self) -> None:
        for variant_id, wanted in self.wanted.items():
            stored = self.stored[variant_id].levels if variant_id in self.stored else {}
            for location_id in wanted.levels.keys() | stored.keys():
                self._restore_level(wanted, location_id, wanted.levels.get(location_id))

    def _restore_level(
        self, variant: snapshots.Variant, location_id: uuid.UUID, wanted: models.InventoryLevel | None
    ) -> None:
        location = models.StockLocation.objects.filter(id=location_id).first()
        if location is None:
            raise locations.not_found(str(location_id))
        level = inventory.lock_level(variant.row, location)
        quantity = wanted.stocked if wanted else 0
        if delta := quantity - level.stocked:
            level = inventory.move(variant.row, level, delta, reason=self.reason, now=self.now)
        if wanted is None and not level.reserved and not level.incoming:
            level.delete()
        elif wanted is not None:
            models.InventoryLevel.objects.filter(pk=level.pk).update(
                low_stock_threshold=wanted.low_stock_threshold, incoming=wanted.incoming
            )


def _values(snapshot: snapshots.Snapshot) -> list[models.OptionValue]:
    return [value.row for option in snapshot.options for value in option.values]
