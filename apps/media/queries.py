"""Reads of the media library."""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from django.db.models import QuerySet

from apps.accounts.access import limiting
from apps.kernel import ids, wording
from apps.media import files, models, usage
from apps.media.errors import AssetNotFound

COLUMNS = limiting.Columns(own="created_by")


def get_asset(*, asset_id: uuid.UUID) -> models.Asset:
    """The asset with its texts and sizes. Raises AssetNotFound, NotPermitted."""
    rows = limiting.visible(models.Asset.objects.filter(id=asset_id), "media:read", COLUMNS)
    asset = _whole(rows).first()
    if asset is None:
        raise not_found(asset_id)
    return asset


def list_assets() -> QuerySet[models.Asset]:
    """Raises NotPermitted."""
    return _whole(limiting.visible(models.Asset.objects.all(), "media:list", COLUMNS))


def find_assets(*, ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, models.Asset]:
    """Those of the assets that are there, by id, with their texts and sizes: for services, whoever asks."""
    return {asset.id: asset for asset in _whole(models.Asset.objects.filter(id__in=list(ids)))}


def find_by_address(urls: Iterable[str]) -> dict[str, models.Asset]:
    """Those of the addresses that are of files of the tenant's assets, with the asset."""
    found = {url: place for url in urls if (place := files.place_of(url)) is not None}
    if not found:
        return {}
    assets = {asset.place: asset for asset in _whole(models.Asset.objects.filter(place__in=found.values()))}
    return {
        url: assets[place]
        for url, place in found.items()
        if place in assets and files.address(assets[place].path) == url
    }


def usage_of(*, asset_id: uuid.UUID) -> list[usage.Use]:
    """What shows the asset. Raises AssetNotFound, NotPermitted."""
    return usage.of(get_asset(asset_id=asset_id).id)


def not_found(asset_id: uuid.UUID) -> AssetNotFound:
    """The error for an asset that is not there."""
    return AssetNotFound(wording.say("There is no asset {asset}.", asset=ids.encode("asset", asset_id)))


def _whole(rows: QuerySet[models.Asset]) -> QuerySet[models.Asset]:
    return rows.prefetch_related("translations", "renditions")
