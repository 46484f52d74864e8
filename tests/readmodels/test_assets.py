"""Assets of the storefront, by the ids that blocks name them by."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from apps.consumers import status
from apps.kernel import ids
from apps.media import services
from tests import factories
from tests.media.making import make_asset, picture, update
from tests.readmodels.conftest import Get, make_product


@pytest.fixture(autouse=True)
def media(settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path / "media"


def test_an_asset_is_shown_with_its_sizes_in_the_language_that_was_asked_for(get: Get) -> None:
    asset = make_asset(content=picture((600, 300)), alt="Red shoes")
    update(
        asset,
        focal_point={"x": 10, "y": 90},
        translations=[{"locale": "en", "alt": "Red shoes"}, {"locale": "de", "alt": "Rote Schuhe", "caption": "Neu"}],
    )
    path = f"assets/{ids.encode('asset', asset.id)}"

    shown = get(path, locale="de").json()

    assert (shown["alt"], shown["caption"], shown["focal_point"]) == ("Rote Schuhe", "Neu", {"x": 10, "y": 90})
    assert [(each["name"], each["width"]) for each in shown["renditions"]] == [("thumbnail", 160), ("small", 480)]
    assert (shown["url"], shown["width"]) == (f"/media/{asset.path}", 600)
    assert get(path).json()["alt"] == "Red shoes"
    update(asset, translations=[{"locale": "en", "alt": "Only"}])
    assert get(path, locale="de").json()["alt"] == "Only"
    assert status.verify() == []


def test_an_asset_that_is_gone_or_another_tenants_is_not_there(get: Get) -> None:
    asset = make_asset()
    path = f"assets/{ids.encode('asset', asset.id)}"
    assert get(path).status_code == 200
    services.delete_asset(asset_id=asset.id)
    with factories.at_work(factories.make_tenant()):
        foreign = make_asset()

    assert get(path).json()["code"] == "asset_not_found"
    assert get(f"assets/{ids.encode('asset', foreign.id)}").json()["code"] == "asset_not_found"
    assert get("assets/shoes").status_code == 404
    assert status.verify() == []


def test_a_product_of_the_storefront_has_the_sizes_of_its_images(get: Get) -> None:
    asset = make_asset(content=picture((600, 300)), alt="Red shoes")
    make_product("Shoes", images=[{"asset_id": str(asset.id)}, {"url": "https://example.com/a.png", "alt": "Other"}])

    ours, other = get("products/shoes").json()["images"]

    assert (ours["url"], ours["alt"]) == (f"/media/{asset.path}", "Red shoes")
    assert [(each["name"], each["height"]) for each in ours["renditions"]] == [("thumbnail", 80), ("small", 240)]
    assert (other["alt"], "renditions" in other) == ("Other", False)
    assert status.verify() == []
