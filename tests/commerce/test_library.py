"""Products that show images of the media library: by id, or by the address that was copied out of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from apps.commerce import errors, models, services, snapshots
from apps.kernel import ids, validation
from apps.kernel.errors import ValidationFailed
from apps.media import files, usage
from apps.media import models as media
from apps.media import services as library
from apps.media.errors import AssetInUse
from apps.outbox.models import Log
from apps.readmodels.projections import products as projection
from apps.tenants import scope
from rustok.testing.asserting import assert_same_queries
from tests import factories
from tests.commerce import making
from tests.content.making import make_node, update
from tests.media.making import make_asset, picture


@pytest.fixture(autouse=True)
def at_work(db: None, settings: Any, tmp_path: Path) -> Iterator[scope.Scope]:
    settings.MEDIA_ROOT = tmp_path / "media"
    with factories.at_work(factories.make_tenant(default_locale="en", locales=["de"], currency="EUR")) as entered:
        yield entered


def images_of(product_id: Any) -> list[dict[str, Any]]:
    """As the last event of the product has them."""
    rows = Log.objects.filter(
        aggregate_id=product_id, type__in=["commerce.product.created", "commerce.product.updated"]
    )
    last = rows.order_by("-version").first()
    assert last is not None
    images: list[dict[str, Any]] = last.data["images"]
    return images


def show(product_id: Any, *images: dict[str, Any]) -> None:
    changes = validation.parse(services.ProductChanges, {"images": list(images)})
    services.update_product(product_id=product_id, changes=changes)


def test_an_image_of_the_library_is_recorded_with_its_sizes_and_words() -> None:
    asset = make_asset(content=picture((600, 300)), alt="Red shoes")
    elsewhere = {"url": "https://example.com/a.png", "alt": "Other"}

    product = making.make_product(images=[{"asset_id": ids.encode("asset", asset.id)}, elsewhere]).product

    ours, other = images_of(product.id)
    assert (ours["asset_id"], ours["url"]) == (str(asset.id), files.address(asset.path))
    assert ours["alts"] == {"en": "Red shoes"}
    assert [(each["name"], each["width"]) for each in ours["renditions"]] == [("thumbnail", 160), ("small", 480)]
    assert (other["asset_id"], other["alts"], other["renditions"]) == (None, {}, [])


def test_a_storefront_shows_the_sizes_and_the_words_of_its_language() -> None:
    image = {
        "id": str(ids.new_id()), "url": "/media/a.png", "alt": "", "position": 0, "asset_id": str(ids.new_id()),
        "alts": {"de": "Rote Schuhe"}, "renditions": [{"name": "small", "url": "/s.webp", "width": 4, "height": 2}],
    }  # fmt: skip

    assert projection._image(image, "de")["alt"] == "Rote Schuhe"
    assert projection._image(image, "en")["alt"] == ""
    assert projection._image(image | {"alt": "Shoes"}, "de")["alt"] == "Shoes"
    assert projection._image(image, "de")["renditions"] == image["renditions"]
    assert "renditions" not in projection._image(image | {"asset_id": None}, "de")


def test_an_address_copied_out_of_the_library_means_the_asset() -> None:
    asset, other = make_asset(), make_asset()
    product = making.make_product(images=[{"url": files.address(asset.path)}]).product
    with factories.at_work(factories.make_tenant()):
        foreign = make_asset()

    assert models.ProductImage.objects.get().asset_id == asset.id
    show(product.id, {"url": files.address(asset.path), "alt": "Same"}, {"url": files.address(foreign.path)})
    assert [image["asset_id"] for image in images_of(product.id)] == [str(asset.id), None]
    show(product.id, {"asset_id": str(other.id)})
    assert [image["asset_id"] for image in images_of(product.id)] == [str(other.id)]


@pytest.mark.parametrize(
    ("image", "pointer", "code"),
    [
        ({}, "/images/0/url", "one_source"),
        ({"asset_id": str(ids.new_id()), "url": "/a.png"}, "/images/0/url", "one_source"),
        ({"asset_id": "prod_1"}, "/images/0/asset_id", "invalid_id"),
        ({"asset_id": str(ids.new_id())}, "/images/0/asset_id", "unknown_asset"),
    ],
)
def test_an_image_is_one_thing_that_is_there(image: dict[str, Any], pointer: str, code: str) -> None:
    with pytest.raises(ValidationFailed) as refused:
        making.make_product(images=[image])

    assert (refused.value.problems[0].pointer, refused.value.problems[0].code) == (pointer, code)


def test_no_document_and_no_asset_of_another_tenant_becomes_an_image() -> None:
    document = make_asset(content=b"%PDF-1.7", name="a.pdf", declared="application/pdf")
    with factories.at_work(factories.make_tenant()):
        foreign = make_asset()

    for asset in (document, foreign):
        with pytest.raises(errors.UnknownAsset):
            making.make_product(images=[{"asset_id": str(asset.id)}])


def test_an_asset_a_product_shows_is_not_deleted_and_one_it_no_longer_shows_is() -> None:
    asset = make_asset()
    product = making.make_product(title="Shoes", images=[{"asset_id": str(asset.id)}]).product

    assert usage.of(asset.id) == [usage.Use("product", ids.encode("prod", product.id), "Shoes")]
    with pytest.raises(AssetInUse, match="product Shoes"):
        library.delete_asset(asset_id=asset.id, force=True)
    with pytest.raises(IntegrityError), transaction.atomic():
        media.Asset.objects.filter(id=asset.id).delete()  # the database holds it too
    show(product.id)
    library.delete_asset(asset_id=asset.id)
    assert not media.Asset.objects.exists()


def test_a_page_that_mentions_an_asset_is_known_and_gives_way_to_force() -> None:
    asset, alone = make_asset(), make_asset()
    linked = make_node(
        "About", bodies=[{"locale": "en", "format": "markdown", "body": f"![x]({files.address(asset.path)})"}]
    )

    found = make_node("Found", seo={"en": {"image_id": str(asset.id)}})
    product = making.make_product(title="Mug", seo={"en": {"image_id": str(asset.id)}}).product

    assert usage.of(asset.id) == [
        usage.Use("node", ids.encode("node", linked.id), "About"),
        usage.Use("node", ids.encode("node", found.id), "Found"),
        usage.Use("product", ids.encode("prod", product.id), "Mug"),
    ]
    assert usage.of(alone.id) == []
    with pytest.raises(AssetInUse, match="node About"):
        library.delete_asset(asset_id=asset.id)
    library.delete_asset(asset_id=asset.id, force=True)
    update(linked, author_name="Ann")  # which stays as it is


def test_products_are_read_in_as_many_queries_however_many_images_are_of_the_library() -> None:
    def load(products: list[models.Product]) -> None:
        payloads = [snapshots.product_fields(snapshot) for snapshot in snapshots.load(products)]
        assert {len(payload["images"]) for payload in payloads} == {2}

    for number in range(3):
        making.make_product(title=f"P{number}", images=[{"asset_id": str(make_asset().id)} for _ in range(2)])
    products = list(models.Product.objects.all())

    assert_same_queries(lambda: load(products[:1]), lambda: load(products))
