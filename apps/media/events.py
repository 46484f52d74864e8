"""What is published about assets: each event carries all of the asset but the bytes of its files."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from apps.events import fields, registry

ASSET = "media.asset"
_Path = Annotated[str, Field(description="Where the file is, below the address of all media.")]


class AssetFocus(registry.Payload):
    """What of an image is to be seen where it is cut, in percent."""

    x: Annotated[int, Field(description="From the left.")]
    y: Annotated[int, Field(description="From the top.")]


class AssetRendition(registry.Payload):
    """An image in another size."""

    name: str
    media_type: str
    path: _Path
    size: int
    width: int
    height: int


class AssetTranslation(registry.Payload):
    """What is said of an asset in one language."""

    locale: fields.Locale
    alt: str
    caption: str


class AssetState(registry.Payload):
    """The whole asset."""

    kind: Annotated[str, Field(description="`image`, `document`, `video` or `audio`.")]
    media_type: str
    name: str
    folder: Annotated[str, Field(description="Where editors look for it; empty at the top.")]
    path: _Path
    size: Annotated[int, Field(description="Bytes of the file.")]
    sha256: str
    width: int | None
    height: int | None
    focal_point: AssetFocus | None
    renditions: list[AssetRendition]
    translations: list[AssetTranslation]


@registry.event("media.asset.uploaded")
class AssetUploaded(AssetState):
    """A file came into the library; it never changes."""


@registry.event("media.asset.updated")
class AssetUpdated(AssetState):
    """Something that is said of the file changed; carries all of it."""


@registry.event("media.asset.deleted")
class AssetDeleted(registry.Payload):
    """The asset and its files are gone."""
