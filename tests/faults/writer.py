"""A process that does the work of a busy shop until it is stopped or killed, and notes what it knows to be committed.

python -m tests.faults.writer TENANT JOURNAL SEED

A line of the journal is written after a commit: its time, and the ids of its events in order.
"""

from __future__ import annotations

import random
import signal
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

import django


@dataclass(frozen=True, slots=True)
class Entry:
    """One commit: `at` is a time of the clock in seconds."""

    at: float
    event_ids: list[uuid.UUID]


def read_journal(path: Path) -> list[Entry]:
    """Whole lines only: the writer may have been killed in the middle of one."""
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    words = [line.split() for line in lines if line.endswith("\n")]
    return [Entry(float(at), [uuid.UUID(event_id) for event_id in ids]) for at, *ids in words]


@dataclass
class Shop:
    """What the writer has made so far, to go on with."""

    chance: random.Random
    variants: list[uuid.UUID] = field(default_factory=list)
    products: list[uuid.UUID] = field(default_factory=list)
    newest_id: int = 0


def add_product(shop: Shop) -> None:
    """Six in stock, with a threshold of three."""
    from apps.commerce import services
    from tests.commerce import making

    title = f"Shoe {uuid.uuid4().hex[:12]}"
    product = making.make_product(making.product_fields(title, variants=[making.variant_fields(sku=title)]))
    services.publish_product(product_id=product.id, now=making.NOW)
    making.count(product.variants[0].row.id, 6, low_stock_threshold=3)
    shop.products.append(product.id)
    shop.variants.append(product.variants[0].row.id)


def sell(shop: Shop) -> None:
    """One to four; what is not there cannot be sold, and leaves no event."""
    from apps.commerce import errors
    from tests.commerce import making

    variant_id = shop.chance.choice(shop.variants)
    try:
        making.adjust(variant_id, -shop.chance.randint(1, 4))
    except errors.InsufficientInventory:
        making.count(variant_id, 6)


def rename_product(shop: Shop) -> None:
    from tests.commerce import making

    translation = {"locale": "en", "title": f"Renamed {uuid.uuid4().hex[:12]}"}
    making.update(shop.chance.choice(shop.products), translations=[translation])


def add_post(shop: Shop) -> None:
    from tests.content import making

    making.make_node(f"Post {uuid.uuid4().hex[:12]}", kind="post", publish=True)


WORK: tuple[Callable[[Shop], None], ...] = (add_product, sell, sell, sell, rename_product, add_post)


def write_one(shop: Shop, journal: TextIO) -> None:
    """One piece of work with a correlation id of its own, and what it left in the log."""
    from apps.kernel import context

    work = shop.chance.choice(WORK) if shop.products else add_product
    with context.use(correlation_id=uuid.uuid4()) as acting:
        work(shop)
    event_ids = _events_of(shop, acting.correlation_id)
    if not event_ids:
        raise AssertionError(f"{work.__name__} was committed without an event")
    journal.write(" ".join([str(time.time()), *map(str, event_ids)]) + "\n")
    journal.flush()


def _events_of(shop: Shop, correlation_id: uuid.UUID | None) -> list[uuid.UUID]:
    """Its own commits come one after the other, so none of them has an id below the newest it knows."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, event_id FROM outbox_log WHERE id > %s AND correlation_id = %s ORDER BY id",
            [shop.newest_id, correlation_id],
        )
        rows = cursor.fetchall()
    shop.newest_id = rows[-1][0] if rows else shop.newest_id
    return [event_id for _, event_id in rows]


def main(tenant_slug: str, journal: str, seed: str) -> None:
    django.setup()
    from apps.tenants import queries
    from tests import factories

    stopped = []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
    shop = Shop(random.Random(seed))
    with Path(journal).open("w") as file, factories.at_work(queries.get_tenant(slug_or_id=tenant_slug)):
        while not stopped:
            write_one(shop, file)
            time.sleep(shop.chance.random() * 0.05)  # a shop, not a load test


if __name__ == "__main__":
    main(*sys.argv[1:])
