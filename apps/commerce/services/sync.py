"""Bring products into the state an outside system gives them: new ones are made, others changed where they differ.

A product is found again by its `external_id`. Only the fields that are set on an input count, and within them only what
the input speaks of: other locales, other currencies and other stock locations stay as they are. So do the variants when
their options come in another language: `aligning` tells which is which.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from apps.commerce import errors, models, snapshots
from apps.commerce.services import aligning, inputs, inventory, locations, parts, pricing, products, variants
from apps.commerce.services.recording import writing
from apps.kernel import wording
from apps.kernel.errors import DomainError
from apps.outbox.append import unit_of_work

_PLAIN_FIELDS = ("vendor", "product_type", "tags", "is_gift_card")
_REPLACED = ("category_ids", "images", "seo", "fields")


@dataclass(slots=True)
class Synced:
    """What became of one input: `created`, `updated` or `unchanged`, and of how many of its parts."""

    outcome: str
    variants: Counter[str] = field(default_factory=Counter)
    images: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Outcome:
    """By the index of each input."""

    done: dict[int, Synced] = field(default_factory=dict)
    failures: dict[int, DomainError] = field(default_factory=dict)


def sync_products(
    *,
    wanted: Sequence[inputs.NewProduct],
    now: datetime,
    reason: str = "import",
    remember: Callable[[snapshots.Snapshot], None] = lambda snapshot: None,
) -> Outcome:
    """One transaction for the batch; an input that can't be taken is left out whole and named.

    Each input needs an `external_id`. `reason` goes into the ledger of the stock. `remember` is shown each product that
    is there before it may change.
    """
    outcome = Outcome()
    with unit_of_work():
        stored = _lock_stored(wanted)
        for snapshot in stored.values():
            remember(snapshot)
        codes = {entry.location for product in wanted for variant in product.variants for entry in variant.stock}
        found = locations.find_locations(codes)
        stored |= _create_missing(wanted, stored, outcome, now)
        settled = outcome.done.keys() | outcome.failures.keys()
        try:
            with writing(savepoint=True):
                outcome.done |= {
                    index: _Sync(stored[product.external_id], product, found, now, reason).run()
                    for index, product in enumerate(wanted)
                    if index not in settled and product.external_id in stored
                }
        except DomainError:
            _sync_one_by_one(wanted, outcome, found, now, reason)
    return outcome


def _create_missing(
    wanted: Sequence[inputs.NewProduct],
    stored: dict[str | None, snapshots.Snapshot],
    outcome: Outcome,
    now: datetime,
) -> dict[str | None, snapshots.Snapshot]:
    """Make those that are not stored; returns those that another import has made between our look and our write."""
    missing = [index for index, product in enumerate(wanted) if product.external_id not in stored]
    made = products.create_products(new=[wanted[index] for index in missing], now=now)
    for position, snapshot in made.created.items():
        counts = Counter(created=len(snapshot.variants)), Counter(created=len(snapshot.images))
        outcome.done[missing[position]] = Synced("created", *counts)
    own = {snapshot.product.external_id for snapshot in made.created.values()}
    failed = [wanted[missing[position]] for position in made.failures]
    # Whatever stood in the way, a handle or a SKU: where the product is there now, it was its own.
    overtaken = _lock_stored([product for product in failed if product.external_id not in own])
    for position, failure in made.failures.items():
        if wanted[missing[position]].external_id not in overtaken:
            outcome.failures[missing[position]] = failure
    return overtaken


def _sync_one_by_one(
    wanted: Sequence[inputs.NewProduct],
    outcome: Outcome,
    found: dict[str, models.StockLocation],
    now: datetime,
    reason: str,
) -> None:
    """One of them can't be taken: again, each by itself, from what is stored."""
    for index, product in enumerate(wanted):
        if index in outcome.done or index in outcome.failures:
            continue
        (snapshot,) = _lock_stored([product]).values()
        try:
            with writing(savepoint=True):
                outcome.done[index] = _Sync(snapshot, product, found, now, reason).run()
        except DomainError as failure:
            outcome.failures[index] = failure


def _lock_stored(wanted: Sequence[inputs.NewProduct]) -> dict[str | None, snapshots.Snapshot]:
    external_ids = {product.external_id for product in wanted if product.external_id}
    rows = models.Product.objects.filter(external_id__in=external_ids).order_by("id").select_for_update(no_key=True)
    return {snapshot.product.external_id: snapshot for snapshot in snapshots.load(rows)}


@dataclass(slots=True)
class _Sync:
    """One stored product on its way to the wanted state."""

    snapshot: snapshots.Snapshot
    wanted: inputs.NewProduct
    locations: dict[str, models.StockLocation]
    now: datetime
    reason: str

    def run(self) -> Synced:
        """Options grow before the variants change and shrink after it, so that a value in use is never missing."""
        images_before = {image.id for image in self.snapshot.images}
        aligned = aligning.align(self.snapshot, self.wanted) if "options" in self.wanted.model_fields_set else None
        final = None if aligned is None else [_merged(entry) for entry in aligned]
        grown = None if aligned is None else self._with_leftovers(aligned)
        changed = products.apply_product_changes(self.snapshot, self._product_changes(grown))
        counts = self._sync_variants(aligned) if "variants" in self.wanted.model_fields_set else Counter()
        if final is not None:
            only_options = inputs.ProductChanges.model_construct(_fields_set={"options"}, options=final)
            changed |= products.apply_product_changes(self.snapshot, only_options)
        if "status" in self.wanted.model_fields_set:
            changed |= products.apply_status(self.snapshot, self.wanted.status, self.now)
        changed |= bool(counts["created"] or counts["updated"] or counts["removed"])
        images = Counter("unchanged" if image.id in images_before else "created" for image in self.snapshot.images)
        return Synced("updated" if changed else "unchanged", counts, images)

    def _product_changes(self, options: list[inputs.OptionInput] | None) -> inputs.ProductChanges:
        given = self.wanted.model_fields_set
        changes: dict[str, Any] = {
            name: getattr(self.wanted, name) for name in (*_PLAIN_FIELDS, *_REPLACED) if name in given
        }
        if "metadata" in given:
            changes["metadata"] = self.snapshot.product.metadata | self.wanted.metadata
        if "translations" in given:
            changes["translations"] = self._merged_translations()
        if options is not None:
            changes["options"] = options
        return inputs.ProductChanges.model_construct(_fields_set=set(changes), **changes)

    def _merged_translations(self) -> list[inputs.ProductTranslationInput]:
        """A wanted translation changes the fields it has set and leaves the others."""
        merged = []
        for given in self.wanted.translations:
            row = self.snapshot.translations.get(given.locale)
            if row is None:
                merged.append(given)
                continue
            values = _stored_translation(row) | {name: getattr(given, name) for name in given.model_fields_set}
            merged.append(inputs.ProductTranslationInput.model_construct(**values))
        own = {given.locale for given in self.wanted.translations}
        for locale, row in self.snapshot.translations.items():
            if locale not in own:
                merged.append(inputs.ProductTranslationInput.model_construct(**_stored_translation(row)))
        return merged

    def _with_leftovers(self, aligned: Sequence[aligning.Aligned]) -> list[inputs.OptionInput]:
        """The options, and after them what is stored and no longer wanted."""
        grown = []
        for entry in aligned:
            option = _merged(entry)
            left = [_value_input(value.names) for value in entry.dropped]
            grown.append(_option_input(option.names, [*option.values, *left]))
        kept = [entry.stored for entry in aligned]
        return grown + [_stored_option(option) for option in self.snapshot.options if option not in kept]

    def _sync_variants(self, aligned: Sequence[aligning.Aligned] | None) -> Counter[str]:
        counts: Counter[str] = Counter()
        value_ids = None if aligned is None else self._value_ids(aligned)
        matches = self._match_variants(value_ids)
        released = self._release_skus(matches)
        for position, (given, variant) in enumerate(zip(self.wanted.variants, matches, strict=True)):
            if variant is None and aligned is None:
                raise errors.VariantNotFound(
                    wording.say('The product has several variants, and none has the SKU "{sku}".', sku=given.sku)
                )
            if variant is None:
                variants.apply_new_variant(self.snapshot, given, now=self.now, position=position)
                counts["created"] += 1
                continue
            own_ids = None if value_ids is None else value_ids[position]
            changes = self._variant_changes(variant, given, position, own_ids)
            changed = variants.apply_variant_changes(self.snapshot, variant, changes)
            if not changed and variant.row.id in released:
                variants.record_change(self.snapshot, variant)
                changed = True
            changed |= pricing.apply_prices(self.snapshot, variant, given.prices)
            changed |= self._sync_stock(variant, given)
            counts["updated" if changed else "unchanged"] += 1
        if aligned is not None:
            counts["removed"] = self._remove_variants(aligned, matches, counts["created"])
        return +counts

    def _remove_variants(
        self, aligned: Sequence[aligning.Aligned], matches: Sequence[snapshots.Variant | None], created: int
    ) -> int:
        """Remove those that left the file. One of values the file's language has never told of can't have left."""
        untold = {value.row.id for entry in aligned for value in entry.untold}
        kept = {variant.row.id for variant in matches if variant}
        before = self.snapshot.variants[:-created] if created else list(self.snapshot.variants)
        gone = [entry for entry in before if entry.row.id not in kept and not untold.intersection(entry.value_ids)]
        for variant in gone:
            variants.apply_removal(self.snapshot, variant)
        return len(gone)

    def _value_ids(self, aligned: Sequence[aligning.Aligned]) -> list[list[uuid.UUID]]:
        """For each wanted variant the ids of its values. Raises UnknownOptionValue."""
        by_name: list[dict[str, uuid.UUID]] = []
        for entry, option in zip(aligned, self.snapshot.options, strict=False):
            pairs = zip(entry.given.values, option.values, strict=False)
            by_name.append({name: value.row.id for given, value in pairs for name in given.names.values()})
        found = []
        for index, given in enumerate(self.wanted.variants):
            if len(given.values) > len(by_name) or any(
                name not in names for name, names in zip(given.values, by_name, strict=False)
            ):
                found.append(variants.find_values(self.snapshot, given.values, pointer=f"/variants/{index}"))
            else:
                found.append([names[name] for name, names in zip(given.values, by_name, strict=False)])
        return found

    def _match_variants(self, value_ids: Sequence[list[uuid.UUID]] | None) -> list[snapshots.Variant | None]:
        """For each wanted variant the stored one: by its option values, else by its SKU, else the only one there is."""
        stored = self.snapshot.variants
        matches: list[snapshots.Variant | None] = [None] * len(self.wanted.variants)
        if value_ids is not None:
            by_combination = {variant.row.combination: variant for variant in stored}
            matches = [by_combination.get(snapshots.combination(own)) for own in value_ids]
        used = {variant.row.id for variant in matches if variant}
        by_sku = {variant.row.sku: variant for variant in stored if variant.row.sku and variant.row.id not in used}
        for index, given in enumerate(self.wanted.variants):
            if matches[index] is None and given.sku:
                matches[index] = by_sku.pop(given.sku, None)
        if len(stored) == len(self.wanted.variants) == 1 and matches == [None]:
            return [stored[0]]
        return matches

    def _release_skus(self, matches: Sequence[snapshots.Variant | None]) -> set[uuid.UUID]:
        """Take SKUs from variants of this product that another of its variants is about to get."""
        holders = {variant.row.sku: variant for variant in self.snapshot.variants if variant.row.sku}
        released = set()
        for given, variant in zip(self.wanted.variants, matches, strict=True):
            holder = holders.get(given.sku) if given.sku else None
            if holder is not None and holder is not variant:
                holder.row.sku = None
                holder.row.save(update_fields=["sku"])
                released.add(holder.row.id)
        return released

    def _variant_changes(
        self, variant: snapshots.Variant, given: inputs.VariantInput, position: int, value_ids: list[uuid.UUID] | None
    ) -> inputs.VariantChanges:
        names = (given.model_fields_set & inputs.VariantFieldsInput.model_fields.keys()) - {"metadata"}
        if value_ids is None:
            position = variant.row.position
        if value_ids is None or value_ids == variant.value_ids:
            names -= {"values"}
        changes: dict[str, Any] = {name: getattr(given, name) for name in names} | {"position": position}
        if "metadata" in given.model_fields_set:
            changes["metadata"] = variant.row.metadata | given.metadata
        if (image := self._stored_image(variant)) is not None and parts.shows(image, changes.get("image")):
            del changes["image"]  # the same picture, perhaps there more than once
        return inputs.VariantChanges.model_construct(_fields_set=set(changes), **changes)

    def _stored_image(self, variant: snapshots.Variant) -> models.ProductImage | None:
        return next((image for image in self.snapshot.images if image.id == variant.row.image_id), None)

    def _sync_stock(self, variant: snapshots.Variant, given: inputs.VariantInput) -> bool:
        changed = False
        for entry in given.stock:
            location = self.locations.get(entry.location)
            if location is None:
                raise locations.not_found(entry.location)
            stored = variant.levels.get(location.id)
            if (stored.stocked if stored else 0) == entry.quantity:
                continue
            level = inventory.lock_level(variant.row, location)
            if delta := entry.quantity - level.stocked:
                inventory.move(variant.row, level, delta, reason=self.reason, now=self.now)
                changed = True
        return changed


def _stored_translation(row: models.ProductTranslation) -> dict[str, Any]:
    names = inputs.ProductTranslationInput.model_fields.keys() - {"handle_source"}
    return {name: getattr(row, name) for name in names}


def _value_input(names: dict[str, str]) -> inputs.OptionValueInput:
    return inputs.OptionValueInput.model_construct(names=names)


def _option_input(names: dict[str, str], values: list[inputs.OptionValueInput]) -> inputs.OptionInput:
    return inputs.OptionInput.model_construct(names=names, values=values)


def _stored_option(option: snapshots.Option) -> inputs.OptionInput:
    return _option_input(option.names, [_value_input(value.names) for value in option.values])


def _merged(aligned: aligning.Aligned) -> inputs.OptionInput:
    """The wanted option with the names of other locales that the stored one has, and the values not spoken of."""
    pairs = zip(aligned.given.values, aligned.values, strict=True)
    values = [_value_input((stored.names if stored else {}) | given.names) for given, stored in pairs]
    values += [_value_input(value.names) for value in aligned.untold]
    return _option_input((aligned.stored.names if aligned.stored else {}) | aligned.given.names, values)
