"""The event core against ceilings measured in the same run: `make bench-events`. Exit code 1 when a ratio is missed.

Each line shows what was measured, its ceiling, their ratio and the target. Machines are noisy: compare the ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict

from tests.benchmarks.installation import CHECKOUT, Ratio, own_installation

PARTS = ("reading", "latency", "publishing", "writing")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", action="append", choices=PARTS, help="only this part; may be repeated")
    parser.add_argument("--nodes", type=int, default=40_000, help="nodes of 5 events each (default: 40,000)")
    parser.add_argument("--seconds", type=float, default=30, help="length of each latency measurement (default: 30)")
    parser.add_argument("--json", action="store_true", help="machine-readable output")
    options = parser.parse_args()
    parts = options.part or list(PARTS)
    with own_installation():
        from apps.kernel import isolation
        from tests import factories

        tenant_id = factories.make_tenant().id
        with isolation.all_tenants(reason="benchmark"):  # as the commands that do this work
            ratios = list(measure(parts, tenant_id, nodes=options.nodes, seconds=options.seconds))
    if options.json:
        print(json.dumps([asdict(ratio) | {"value": ratio.value, "is_met": ratio.is_met} for ratio in ratios]))
    else:
        print("\n".join(map(str, ratios)))
    sys.exit(0 if all(ratio.is_met for ratio in ratios) else 1)


def measure(parts: list[str], tenant_id: uuid.UUID, *, nodes: int, seconds: float) -> Iterator[Ratio]:
    from tests.benchmarks import publishing, reading, writing

    if "reading" in parts:  # first: what it counts is the whole log
        yield from reading.live_projection(tenant_id, nodes=nodes // 4)
        yield from reading.rebuilding()
    if "latency" in parts:
        with events_run():
            yield from reading.latency(tenant_id, seconds=seconds, foreign_seconds=seconds * 2)
    if "publishing" in parts:
        yield from publishing.publishing(tenant_id, nodes=nodes // 4)
    if "writing" in parts:
        yield from writing.appending(tenant_id, seconds=seconds / 6)


@contextmanager
def events_run() -> Iterator[None]:
    """The product's own long-running process beside us; what it says of the poison we give it is no news."""
    command = [sys.executable, str(CHECKOUT / "manage.py"), "events_run"]
    environment = os.environ | {"RUSTOK_LOG_LEVEL": "CRITICAL"}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    main()
