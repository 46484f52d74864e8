"""Reads of the media library."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable

from django.db.models import Q, QuerySet

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
    """Those of the addresses that mean an asset of the tenant, with the asset: that of its file, or one elsewhere that
    it was fetched from."""
    given = set(urls)
    places = {url: place for url in given if (place := files.place_of(url)) is not None}
    sources = find_sources(given - places.keys())
    fetched = {url: source.asset_id for url, source in sources.items() if source.asset_id}
    if not places and not fetched:
        return {}
    rows = models.Asset.objects.filter(Q(place__in=places.values()) | Q(id__in=fetched.values()))
    assets: dict[uuid.UUID | str, models.Asset] = {}
    for asset in _whole(rows).prefetch_related("sources"):
        assets[asset.id] = assets[asset.place] = asset
    own = {url: assets[place] for url, place in places.items() if place in assets}
    return {url: asset for url, asset in own.items() if files.address(asset.path) == url} | {
        url: assets[asset_id] for url, asset_id in fetched.items() if asset_id in assets
    }


def find_sources(urls: Iterable[str]) -> dict[str, models.Source]:
    """Those of the addresses elsewhere that were asked already, with what came of it."""
    wanted = {url_sha256(url): url for url in urls}
    rows = models.Source.objects.filter(url_sha256__in=wanted) if wanted else []
    return {wanted[row.url_sha256]: row for row in rows}


def means(asset: models.Asset, url: str) -> bool:
    """Whether the asset was fetched from the address. `asset` has its sources loaded."""
    return url_sha256(url) in {source.url_sha256 for source in asset.sources.all()}


def url_sha256(url: str) -> str:
    """What a source is found by; an address without a scheme is one with `https:`."""
    return hashlib.sha256((f"https:{url}" if url.startswith("//") else url).encode()).hexdigest()


def usage_of(*, asset_id: uuid.UUID) -> list[usage.Use]:
    """What shows the asset and may be read. Raises AssetNotFound, NotPermitted."""
    return usage.told(usage.of(get_asset(asset_id=asset_id).id))


def not_found(asset_id: uuid.UUID) -> AssetNotFound:
    """The error for an asset that is not there."""
    return AssetNotFound(wording.say("There is no asset {asset}.", asset=ids.encode("asset", asset_id)))


def _whole(rows: QuerySet[models.Asset]) -> QuerySet[models.Asset]:
    return rows.prefetch_related("translations", "renditions")
