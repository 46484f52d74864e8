"""Where an asset is shown, as the media library is told."""

from __future__ import annotations

import pytest

from apps.commerce import showing as products
from apps.content import showing as nodes
from apps.kernel import ids
from tests.content.making import make_node
from tests.readmodels.conftest import make_product

pytestmark = pytest.mark.usefixtures("at_work")


def test_blocks_and_what_search_engines_are_shown_count() -> None:
    asset, other = ids.new_id(), ids.new_id()
    picture = {"type": "image", "picture": {"asset_id": str(asset)}}
    make_node("In a block", bodies=[{"locale": "en", "format": "json", "body": [picture]}])
    make_node("In the results", seo={"en": {"image_id": str(asset)}})
    make_node("Elsewhere", seo={"en": {"image_id": str(other)}})
    make_product("Mug", seo={"en": {"image_id": str(asset)}})
    make_product("Plate")

    assert [use.title for use in nodes.nodes_with(asset, 10)] == ["In a block", "In the results"]
    assert [use.title for use in products.found_by(asset, 10)] == ["Mug"]
    assert nodes.nodes_with(ids.new_id(), 10) == products.found_by(ids.new_id(), 10) == []
