"""Images of products that were elsewhere and are in the media library now."""

from __future__ import annotations

import uuid

from apps.commerce import events, permitted, snapshots
from apps.commerce.services.recording import is_before_wanted, record, writing
from apps.media import files
from apps.media import queries as library


def take_fetched(product_id: uuid.UUID) -> int:
    """Show the library's files in place of the addresses they were fetched from; returns how many images that were.

    Images keep their identity, so variants keep theirs. Raises ProductNotFound.
    """
    with writing():
        snapshot = snapshots.get(product_id, lock=True)
        permitted.check("update", snapshot)
        elsewhere = [image for image in snapshot.images if image.asset_id is None]
        assets = library.find_by_address(image.url for image in elsewhere)
        taken = [image for image in elsewhere if image.url in assets]
        if not taken:
            return 0
        before = snapshots.product_fields(snapshot) if is_before_wanted() else None
        for image in taken:
            image.asset = assets[image.url]
            image.url = files.address(image.asset.path)
            image.save(update_fields=["asset", "url"])
        snapshot.product.save(update_fields=["updated_at"])
        record(events.ProductUpdated(**snapshots.product_fields(snapshot)), product_id, before=before)
    return len(taken)
