"""What the audit log costs a write, with and without it in one run: `python -m tests.benchmarks.auditing`.

Products are updated in turns, one with and one without entries, so that the noise of the machine meets both alike.
Exit code 1 when the ratio is missed.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable

from tests.benchmarks.installation import Ratio, own_installation

TARGET = 1.05


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--updates", type=int, default=2_000, help="updates of each kind (default: 2,000)")
    parser.add_argument("--description", type=int, default=2_000, help="letters of the description (default: 2,000)")
    options = parser.parse_args()
    with own_installation():
        ratios = [product_update(options.updates, options.description), entry_alone(options.updates)]
    print("\n".join(map(str, ratios)))
    sys.exit(0 if ratios[0].is_met else 1)


def product_update(updates: int, description: int) -> Ratio:
    """The time of an update of a product with six variants, the commit included, in microseconds."""
    from apps.kernel import context
    from tests import factories
    from tests.commerce import making

    with factories.at_work(factories.make_tenant(currency="EUR")), context.use(client_address="192.0.2.1"):
        product = making.make_product(making.sized_fields(*"ABCDEF", vendor="0"))
        translations = [{"locale": "en", "title": "A", "description": "x" * description}]
        making.update(product.id, translations=translations)
        numbers = iter(range(10_000_000))

        def update() -> None:
            making.update(product.id, vendor=str(next(numbers)))

        told, untold = _in_turns(update, updates)
    return Ratio("an update of a product with its entry / without", told, untold, TARGET, unit="µs", at_most=True)


def entry_alone(entries: int) -> Ratio:
    """An entry in a transaction of its own, beside a transaction that does nothing else than read."""
    from django.db import connection, transaction

    from tests import factories
    from tests.audit import writing

    tenant_id = factories.make_tenant().id

    def read() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT 1")

    told = _typical([_timed(lambda: writing.write(tenant_id)) for _ in range(entries)])
    untold = _typical([_timed(read) for _ in range(entries)])
    return Ratio("an entry in a transaction of its own / an empty one", told, untold, 100, unit="µs", at_most=True)


def _in_turns(work: Callable[[], None], times: int) -> tuple[float, float]:
    """The time with and without entries."""
    from apps.audit import recording

    record, wanted = recording.record_event, recording.is_counted_only
    told, untold = [], []
    for _ in range(times):
        told.append(_timed(work))
        recording.record_event = lambda *_, **__: None
        recording.is_counted_only = lambda *_: True
        untold.append(_timed(work))
        recording.record_event, recording.is_counted_only = record, wanted
    return _typical(told), _typical(untold)


def _timed(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1e6


def _typical(times: list[float]) -> float:
    """The first decile: what the work takes when nobody else has the machine. The beginning, not warm, is left out."""
    return statistics.quantiles(times[len(times) // 10 :], n=10)[0]


if __name__ == "__main__":
    main()
