"""Assets as a storefront shows them: addresses, sizes, and the words of one language."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

import orjson

from apps.kernel import errors, ids, wording
from apps.media import files
from apps.readmodels import models, shown
from apps.readmodels.projections import shared
from apps.tenants import scope


class AssetNotFound(errors.NotFound):
    """There is no asset with this id. Leave out what names it."""

    code = "asset_not_found"


def get_asset(*, asset_id: uuid.UUID, locale: str) -> shown.StoreAsset:
    """Raises AssetNotFound."""
    found = models.LiveAsset.objects.filter(id=asset_id).first()
    if found is None:
        raise AssetNotFound(wording.say("There is no asset {asset}.", asset=ids.encode("asset", asset_id)))
    state = orjson.loads(found.document)
    alts = {each["locale"]: each["alt"] for each in state["translations"]}
    captions = {each["locale"]: each["caption"] for each in state["translations"]}
    return {
        "id": ids.encode("asset", found.id),
        "kind": state["kind"],
        "media_type": state["media_type"],
        "url": files.address(state["path"]),
        "size": state["size"],
        "width": state["width"],
        "height": state["height"],
        "focal_point": state["focal_point"],
        "renditions": [_rendition(each) for each in state["renditions"]],
        "locale": locale,
        "alt": _words(alts, locale),
        "caption": _words(captions, locale),
        "updated_at": state["updated_at"],
    }


def _rendition(rendition: Mapping[str, Any]) -> shown.StoreRendition:
    return {
        "name": rendition["name"],
        "url": files.address(rendition["path"]),
        "width": rendition["width"],
        "height": rendition["height"],
    }


def _words(by_locale: Mapping[str, str], locale: str) -> str:
    """In the language, else in the tenant's default one, else in any; nothing where nothing is said."""
    if locale in by_locale:
        return by_locale[locale]
    return shared.localised(by_locale, scope.current().default_locale) if by_locale else ""
