"""What a product is made of beside its variants: translations, options, images, categories; built, and replaced by
their differences so that what stays keeps its identity."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from apps.commerce import errors, models, snapshots
from apps.commerce.services import bulk, handles, inputs
from apps.kernel import ids, wording
from apps.kernel.errors import FieldProblem, ValidationFailed
from apps.media import files
from apps.media import models as media
from apps.media import queries as library

_TRANSLATED = ("title", "subtitle", "description", "meta_title", "meta_description")


def category_not_found(category_id: uuid.UUID) -> errors.CategoryNotFound:
    detail = wording.say("There is no category {category}.", category=ids.encode("cat", category_id))
    return errors.CategoryNotFound(detail, problems=[FieldProblem("/category_ids", "category_not_found", detail)])


def replace_categories(snapshot: snapshots.Snapshot, wanted: Sequence[uuid.UUID]) -> bool:
    """Raises CategoryNotFound."""
    before, after = set(snapshot.category_ids), set(wanted)
    if before == after:
        return False
    known = set(models.Category.objects.filter(id__in=after - before).values_list("id", flat=True))
    if unknown := after - before - known:
        raise category_not_found(unknown.pop())
    models.ProductCategory.objects.filter(product_id=snapshot.id, category_id__in=before - after).delete()
    insert_categories([(snapshot, sorted(after - before))])
    snapshot.category_ids = sorted(after)
    return True


def insert_categories(placed: Sequence[tuple[snapshots.Snapshot, Sequence[uuid.UUID]]]) -> None:
    rows = [
        {"tenant_id": snapshot.product.tenant_id, "product_id": snapshot.id, "category_id": category_id}
        for snapshot, category_ids in placed
        for category_id in category_ids
    ]
    bulk.insert_values(models.ProductCategory, rows)


def build_translation(product: models.Product, given: inputs.ProductTranslationInput) -> models.ProductTranslation:
    """Without its handle."""
    return models.ProductTranslation(
        tenant_id=product.tenant_id,
        product_id=product.id,
        locale=given.locale,
        **{name: getattr(given, name) for name in _TRANSLATED},
    )


def wishes(translations: Sequence[inputs.ProductTranslationInput]) -> list[handles.Wish]:
    return [
        handles.Wish(given.locale, given.handle, given.handle_source or given.title, f"/translations/{index}/handle")
        for index, given in enumerate(translations)
    ]


def replace_translations(snapshot: snapshots.Snapshot, wanted: Sequence[inputs.ProductTranslationInput]) -> bool:
    """Raises LocaleNotEnabled, DuplicateHandle."""
    new_locales = [given for given in wanted if given.locale not in snapshot.translations]
    if new_locales or len({given.locale for given in wanted}) != len(wanted):
        handles.check_locales([given.locale for given in wanted])
    new_handles = [
        given
        for given in wanted
        if given.locale not in snapshot.translations
        or (given.handle and given.handle != snapshot.translations[given.locale].handle)
    ]
    settled: dict[str, str] = {}
    if new_handles:
        (result,) = handles.settle(
            of=models.ProductTranslation, owner="product", groups=[wishes(new_handles)], owner_id=snapshot.id
        )
        if isinstance(result, errors.DuplicateHandle):
            raise result
        settled = {given.locale: handle for given, handle in zip(new_handles, result, strict=True)}
    differs = False
    for given in wanted:
        row = snapshot.translations.get(given.locale)
        if row is None:
            row = snapshot.translations[given.locale] = build_translation(snapshot.product, given)
            row.handle = settled[given.locale]
            row.save(force_insert=True)
            differs = True
            continue
        changes = {name: getattr(given, name) for name in _TRANSLATED if getattr(given, name) != getattr(row, name)}
        if given.locale in settled:
            changes["handle"] = settled[given.locale]
        if changes:
            for name, value in changes.items():
                setattr(row, name, value)
            row.save(update_fields=list(changes))
            differs = True
    for locale in snapshot.translations.keys() - {given.locale for given in wanted}:
        snapshot.translations.pop(locale).delete()
        differs = True
    return differs


def build_options(product: models.Product, wanted: Sequence[inputs.OptionInput]) -> list[snapshots.Option]:
    """Raises ValidationFailed for a value given twice."""
    _check_options(wanted, known=set())
    return [_build_option(product, given, position) for position, given in enumerate(wanted)]


def insert_options(options: Sequence[snapshots.Option]) -> None:
    bulk.insert([option.row for option in options])
    _insert_option_names(options)
    insert_values([value for option in options for value in option.values])


def insert_values(values: Sequence[snapshots.Value]) -> None:
    bulk.insert([value.row for value in values])
    _insert_value_names(values)


def replace_options(
    snapshot: snapshots.Snapshot, wanted: Sequence[inputs.OptionInput]
) -> tuple[bool, list[snapshots.Variant]]:
    """Whether anything differs, and the variants whose values now come in another order.

    An option or value that shares a name with a stored one is that one. Raises OptionValueInUse, ValidationFailed.
    """
    _check_options(wanted, known=_locales_of(snapshot.options))
    kept_options = _match(snapshot.options, wanted)
    used = {value_id for variant in snapshot.variants for value_id in variant.value_ids}
    differs = [option.row.id for option in snapshot.options] != [
        option.row.id if option else None for option in kept_options
    ]
    after: list[snapshots.Option] = []
    gone: list[snapshots.Value] = []
    for position, (given, stored) in enumerate(zip(wanted, kept_options, strict=True)):
        if stored is None:
            option = _build_option(snapshot.product, given, position)
            insert_options([option])
            after.append(option)
            differs = True
            continue
        values_differ, dropped = _replace_values(stored, given)
        gone += dropped
        differs |= values_differ | _rename_option(stored, given.names)
        if stored.row.position != position:
            stored.row.position = position
            stored.row.save(update_fields=["position"])
            differs = True
        after.append(stored)
    gone_options = [option for option in snapshot.options if option not in after]
    gone += [value for option in gone_options for value in option.values]
    for value in gone:
        if value.row.id in used:
            name = next(iter(value.names.values()), str(value.row))
            raise errors.OptionValueInUse(
                wording.say('Variants still have the option value "{name}"; change or remove them first.', name=name)
            )
    if gone:
        models.OptionValue.objects.filter(id__in=[value.row.id for value in gone]).delete()
    if gone_options:
        models.Option.objects.filter(id__in=[option.row.id for option in gone_options]).delete()
    snapshot.options = after
    reordered = []
    for variant in snapshot.variants:
        value_ids = snapshot.sort_values(variant.value_ids)
        if value_ids != variant.value_ids:
            variant.value_ids = value_ids
            reordered.append(variant)
    return differs, reordered


@dataclass(frozen=True, slots=True)
class Library:
    """The assets that images name, by id and by address."""

    by_id: Mapping[uuid.UUID, media.Asset]
    by_url: Mapping[str, media.Asset]

    @classmethod
    def of(cls, wanted: Iterable[inputs.ImageInput]) -> Self:
        """Whoever gives the address of a file of the library, or one it was fetched from, means the asset."""
        given = list(wanted)
        asset_ids = {image.asset_id for image in given if image.asset_id is not None}
        return cls(
            library.find_assets(ids=asset_ids) if asset_ids else {},
            library.find_by_address(image.url for image in given if image.url),
        )

    def sources(self, wanted: Sequence[inputs.ImageInput]) -> list[tuple[inputs.ImageInput, str, media.Asset | None]]:
        """Each image with its address, and its asset if it is one. Raises UnknownAsset for those that are not there."""
        found: list[tuple[inputs.ImageInput, str, media.Asset | None]] = []
        for index, given in enumerate(wanted):
            asset = self.by_id.get(given.asset_id) if given.asset_id else self.by_url.get(given.url or "")
            if given.asset_id and (asset is None or asset.kind != media.Kind.IMAGE):
                shown = ids.encode("asset", given.asset_id)
                said = wording.say("the media library has no image {asset}; upload it first.", asset=shown)
                raise errors.UnknownAsset.for_field(f"/images/{index}/asset_id", "unknown_asset", said)
            found.append((given, files.address(asset.path) if asset else given.url or "", asset))
        return found


def build_images(
    product: models.Product, wanted: Sequence[inputs.ImageInput], found: Library
) -> list[models.ProductImage]:
    """Raises UnknownAsset."""
    return [
        models.ProductImage(
            tenant_id=product.tenant_id, product_id=product.id, url=url, alt=given.alt, position=position, asset=asset
        )
        for position, (given, url, asset) in enumerate(found.sources(wanted))
    ]


def shows(image: models.ProductImage, url: str | None) -> bool:
    """Whether the address means the image: its own, or the one its file was fetched from."""
    return url is not None and (image.url == url or (image.asset is not None and library.means(image.asset, url)))


def replace_images(
    snapshot: snapshots.Snapshot, wanted: Sequence[inputs.ImageInput]
) -> tuple[bool, list[snapshots.Variant]]:
    """Whether anything differs, and the variants that lost their image. An image keeps its identity by its URL, also
    when what is there was fetched into the library meanwhile.

    Raises UnknownAsset.
    """
    before = [(image.url, image.alt, image.position) for image in snapshot.images]
    if len(before) == len(wanted) and all(
        shows(image, given.url) and (image.alt, image.position) == (given.alt, position)
        for position, (image, given) in enumerate(zip(snapshot.images, wanted, strict=True))
    ):
        return False, []
    sources = Library.of(wanted).sources(wanted)
    if before == [(url, given.alt, position) for position, (given, url, _) in enumerate(sources)]:
        return False, []
    stored: dict[str, list[models.ProductImage]] = defaultdict(list)
    for image in snapshot.images:
        stored[image.url].append(image)
    after: list[models.ProductImage] = []
    for position, (given, url, asset) in enumerate(sources):
        same = stored[url] or (stored[given.url] if given.url else [])
        if not same:
            image = models.ProductImage(product_id=snapshot.id, url=url, alt=given.alt, position=position, asset=asset)
            image.save(force_insert=True)
        else:
            image = same.pop(0)
            if (image.url, image.alt, image.position) != (url, given.alt, position):
                image.url, image.asset, image.alt, image.position = url, asset, given.alt, position
                image.save(update_fields=["url", "asset", "alt", "position"])
        after.append(image)
    gone = {image.id for images in stored.values() for image in images}
    bared = [variant for variant in snapshot.variants if variant.row.image_id in gone]
    for variant in bared:
        variant.row.image = None
        variant.row.save(update_fields=["image"])
    models.ProductImage.objects.filter(id__in=gone).delete()
    snapshot.images = after
    return True, bared


def _build_option(product: models.Product, given: inputs.OptionInput, position: int) -> snapshots.Option:
    row = models.Option(tenant_id=product.tenant_id, product_id=product.id, position=position)
    values = [_new_value(row, value, index) for index, value in enumerate(given.values)]
    return snapshots.Option(row, dict(given.names), values)


def _new_value(option: models.Option, given: inputs.OptionValueInput, position: int) -> snapshots.Value:
    row = models.OptionValue(tenant_id=option.tenant_id, option_id=option.id, position=position)
    return snapshots.Value(row, dict(given.names))


def _insert_option_names(options: Sequence[snapshots.Option]) -> None:
    rows = [
        {"tenant_id": option.row.tenant_id, "option_id": option.row.id, "locale": locale, "name": name}
        for option in options
        for locale, name in option.names.items()
    ]
    bulk.insert_values(models.OptionTranslation, rows)


def _insert_value_names(values: Sequence[snapshots.Value]) -> None:
    rows = [
        {"tenant_id": value.row.tenant_id, "value_id": value.row.id, "locale": locale, "name": name}
        for value in values
        for locale, name in value.names.items()
    ]
    bulk.insert_values(models.OptionValueTranslation, rows)


def _check_options(wanted: Sequence[inputs.OptionInput], *, known: set[str]) -> None:
    """A locale that is in use already may stay, even where the tenant has disabled it since."""
    _check_names([option.names for option in wanted], "/options")
    for index, option in enumerate(wanted):
        _check_names([value.names for value in option.values], f"/options/{index}/values")
    handles.check_locales(sorted(_locales_of(wanted) - known), pointer="/options")


def _check_names(named: Sequence[dict[str, str]], pointer: str) -> None:
    seen: set[tuple[str, str]] = set()
    for index, names in enumerate(named):
        for locale, name in names.items():
            if (locale, name) in seen:
                raise ValidationFailed.for_field(
                    f"{pointer}/{index}/names/{locale}",
                    "given_twice",
                    wording.say('"{name}" is given twice.', name=name),
                )
            seen.add((locale, name))


def _locales_of(options: Sequence[snapshots.Option] | Sequence[inputs.OptionInput]) -> set[str]:
    own = {locale for option in options for locale in option.names}
    return own | {locale for option in options for value in option.values for locale in value.names}


def _match[Stored: (snapshots.Option, snapshots.Value)](
    stored: Sequence[Stored], wanted: Sequence[inputs.OptionInput | inputs.OptionValueInput]
) -> list[Stored | None]:
    """For each wanted entry the stored one that shares a name with it, each at most once."""
    by_name = {pair: entry for entry in stored for pair in entry.names.items()}
    matched: list[Stored | None] = []
    used: set[uuid.UUID] = set()
    for given in wanted:
        found = next((by_name[pair] for pair in given.names.items() if pair in by_name), None)
        if found is not None and found.row.id in used:
            found = None
        if found is not None:
            used.add(found.row.id)
        matched.append(found)
    return matched


def _replace_values(option: snapshots.Option, given: inputs.OptionInput) -> tuple[bool, list[snapshots.Value]]:
    """Whether anything differs, and the values no longer wanted, which are not deleted yet."""
    matched = _match(option.values, given.values)
    differs = False
    after, new = [], []
    for position, (wanted, stored) in enumerate(zip(given.values, matched, strict=True)):
        if stored is None:
            new.append(_new_value(option.row, wanted, position))
            after.append(new[-1])
            continue
        differs |= _rename_value(stored, wanted.names)
        if stored.row.position != position:
            stored.row.position = position
            stored.row.save(update_fields=["position"])
            differs = True
        after.append(stored)
    if new:
        insert_values(new)
    gone = [value for value in option.values if value not in after]
    option.values = after
    return differs or bool(new) or bool(gone), gone


def _rename_option(option: snapshots.Option, names: dict[str, str]) -> bool:
    if option.names == names:
        return False
    option.names = dict(names)
    rename_option(option)
    return True


def rename_option(option: snapshots.Option) -> None:
    """Write the names it has now."""
    models.OptionTranslation.objects.filter(option=option.row).delete()
    _insert_option_names([option])


def _rename_value(value: snapshots.Value, names: dict[str, str]) -> bool:
    if value.names == names:
        return False
    value.names = dict(names)
    rename_value(value)
    return True


def rename_value(value: snapshots.Value) -> None:
    """Write the names it has now."""
    models.OptionValueTranslation.objects.filter(value=value.row).delete()
    _insert_value_names([value])
