"""What limited grants mean for products."""

from __future__ import annotations

import uuid
from collections.abc import Collection

from apps.accounts.access import limiting
from apps.commerce import errors, models, snapshots
from apps.kernel import ids, wording
from apps.kernel.errors import NotFound

COLUMNS = limiting.Columns(category="categories__category_id", published={"status": models.Product.Status.PUBLISHED})


def check(action: str, snapshot: snapshots.Snapshot, *, category_ids: Collection[uuid.UUID] | None = None) -> None:
    """Raises NotPermitted where the request at work may not do this to the product, or place it in these categories.

    Where it may not even see the product, ProductNotFound, as for one that is not there.
    """
    before = set(snapshot.category_ids)
    after = before if category_ids is None else set(category_ids)
    what = ids.encode("prod", snapshot.id)
    facts = limiting.Facts(categories=before & after, moved_categories=before ^ after)
    try:
        limiting.check(f"products:{action}", facts, what=what)
    except limiting.NotPermitted:
        if limiting.held("products:read"):
            check_readable(
                snapshot, errors.ProductNotFound(wording.say("There is no product {product}.", product=what))
            )
        raise


def check_new(*, category_ids: Collection[uuid.UUID]) -> None:
    """Raises NotPermitted where the request at work may not make a product in these categories."""
    facts = limiting.Facts(categories=category_ids, moved_categories=category_ids)
    limiting.check("products:create", facts, what=wording.say("a product in these categories"))


def check_readable(snapshot: snapshots.Snapshot, missing: NotFound) -> None:
    """Raises `missing`, as if it were not there, for a product the request at work may not see. Raises NotPermitted."""
    alternatives, row = limiting.demand("products:read"), snapshot.product
    if alternatives is None:
        return
    is_published = row.status == models.Product.Status.PUBLISHED
    facts = limiting.Facts(categories=snapshot.category_ids, is_published=is_published)
    if not any(limiting.fits(constraint, facts, None) for constraint in alternatives):
        raise missing
