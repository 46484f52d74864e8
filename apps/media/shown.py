"""What the API answers about assets."""

from __future__ import annotations

from typing import Annotated, TypedDict

from apps.kernel import ids, validation
from apps.kernel.operations import Id, Moment, one_of
from apps.media import files, models, services, usage


class AssetFocalPoint(TypedDict):
    """In percent from the left and from the top."""

    x: int
    y: int


class AssetRendition(TypedDict):
    name: str
    url: str
    media_type: str
    size: int
    width: int
    height: int


class AssetTranslation(TypedDict):
    locale: str
    alt: str
    caption: str


class Asset(TypedDict):
    """A file of the library. Addresses are paths, the same on every host of the installation; `size` is in bytes."""

    id: Id
    kind: Annotated[str, one_of(*models.Kind.values)]
    media_type: str
    name: str
    folder: str
    url: str
    size: int
    sha256: str
    width: int | None
    height: int | None
    focal_point: AssetFocalPoint | None
    renditions: list[AssetRendition]
    translations: list[AssetTranslation]
    created_at: Moment
    updated_at: Moment


class AssetUse(TypedDict):
    """Something that shows the asset."""

    type: str
    id: str
    title: str


class AssetUsage(TypedDict):
    """What shows the asset and you may read, at most 100 of each type."""

    uses: list[AssetUse]


def asset(row: models.Asset) -> Asset:
    return {
        "id": ids.encode("asset", row.id),
        "kind": row.kind,
        "media_type": row.media_type,
        "name": row.name,
        "folder": row.folder,
        "url": files.address(row.path),
        "size": row.size,
        "sha256": row.sha256,
        "width": row.width,
        "height": row.height,
        "focal_point": None if row.focal_x is None else {"x": row.focal_x, "y": row.focal_y or 0},
        "renditions": [_rendition(row, each) for each in row.renditions.all()],
        "translations": [
            {"locale": each.locale, "alt": each.alt, "caption": each.caption} for each in row.translations.all()
        ],
        "created_at": validation.to_text(row.created_at),
        "updated_at": validation.to_text(row.updated_at),
    }


def _rendition(row: models.Asset, rendition: models.Rendition) -> AssetRendition:
    return {
        "name": rendition.name,
        "url": files.address(services.path_of(row, rendition)),
        "media_type": rendition.media_type,
        "size": rendition.size,
        "width": rendition.width,
        "height": rendition.height,
    }


def uses(found: list[usage.Use]) -> AssetUsage:
    return {"uses": [{"type": use.type, "id": use.id, "title": use.title} for use in found]}
