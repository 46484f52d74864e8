"""A rebuild of a long log under continuous reads, killed with -9 at every step and resumed: `make rebuild-proof`.

The documents come out byte for byte as they were, no read fails or sees a mix of two generations, nobody is told.
Exit codes: 0 proved, 1 not (the report tells why).
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from apps.kernel import isolation
from tests.benchmarks import installation

EVENTS_EACH = 5
SLUG = "proof-site"
# Page after page, a reader sees these nodes; their old documents carry a mark the new ones do not have.
MARKED = 4
MARK = "seen in the old generation"
MARK_OLD = """
UPDATE {table} SET document = replace(document, '"title":"', %s)
WHERE id IN (SELECT id FROM readmodels_contentdocument_live ORDER BY published_at DESC, id DESC LIMIT %s)
"""


@dataclass
class Report:
    """`problems` is empty when everything was proved."""

    events: int = 0
    documents: int = 0
    killed_at: list[str] = field(default_factory=list)
    seconds: float = 0
    reads: int = 0
    failed_reads: int = 0
    mixed_reads: int = 0
    reads_of_the_new_generation: int = 0
    mails: int = 0
    effects_changed: bool = False
    documents_equal: bool = False
    problems: list[str] = field(default_factory=list)


def prove(*, events: int, kill_at: Sequence[str], reads_to: Path) -> Report:
    """Fill, mark, rebuild with a kill at each place, compare. Needs an installation of its own, profile `test`."""
    from django.conf import settings

    from apps.consumers import models, tasks
    from tests import factories
    from tests.benchmarks import filling
    from tests.faults import mailbox

    report = Report()
    tenant = factories.make_tenant(slug=SLUG, currency="EUR", settings={"notice_email": "stock@example.test"})
    _run_low(tenant)
    report.events = filling.fill(tenant.id, nodes=max(1, events // EVENTS_EACH), events_each=EVENTS_EACH)
    tasks.drain()
    before, effects = _checksum(report), list(models.Effect.objects.values())
    mails = len(mailbox.delivered(settings.DATA_DIR))
    _mark_old_documents()
    began = time.monotonic()
    reader = _start_reader(reads_to)
    try:
        _rebuild_with_kills(report, kill_at)
    finally:
        time.sleep(0.5)  # a few reads of what is live now
        reader.send_signal(signal.SIGTERM)
        reader.wait(timeout=60)
    report.seconds = round(time.monotonic() - began, 1)
    report.documents_equal = _checksum(report) == before
    report.effects_changed = list(models.Effect.objects.values()) != effects
    report.mails = len(mailbox.delivered(settings.DATA_DIR)) - mails
    _count_reads(report, reads_to)
    _judge(report)
    return report


def _run_low(tenant: Any) -> None:
    """An effect that is there before, so that one more would be seen."""
    from tests import factories
    from tests.commerce import making

    with factories.at_work(tenant):
        variant = making.make_variant(sku="LOW")
        making.count(variant.id, 6, low_stock_threshold=3)
        making.adjust(variant.id, -5)


def _checksum(report: Report) -> tuple[int, int]:
    """Of all rows readers can see, whatever their order: how many, and the xor of their hashes."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*), COALESCE(bit_xor(hashtextextended(d::text, 0)), 0) FROM readmodels_contentdocument_live d"
        )
        count, total = cursor.fetchone()
    report.documents = count
    return count, total


def _mark_old_documents() -> None:
    """The rebuild finds that the live generation differs from the log there, and that the new one does not."""
    from django.db import connection

    from apps.consumers import generations, projections

    content = projections.get("content")
    [documents] = [relation for relation in content.relations if relation.live == "readmodels_contentdocument_live"]
    with connection.cursor() as cursor:
        table = documents.table(generations.live_number(content))
        cursor.execute(MARK_OLD.format(table=table), [f'"title":"{MARK} ', MARKED])


def _rebuild_with_kills(report: Report, kill_at: Sequence[str]) -> None:
    """A run that is killed at each place, each taking up what the one before has left, and one that is not."""
    for number, name in enumerate(kill_at):
        finished = _rebuild(resume=number > 0, failpoint=name)
        if finished.returncode == -signal.SIGKILL:
            report.killed_at.append(name)
        else:
            report.problems.append(f"{name}: exit code {finished.returncode}, {finished.stderr[-300:]}")
    if "rebuild.after_swap" not in kill_at:
        _rebuild(resume=True, failpoint="")


def places(events: int) -> list[str]:
    """Where a rebuild of so many events can be killed: a short one folds all lanes in one step."""
    from apps.consumers import rebuild
    from apps.kernel import failpoints

    found = [name for name in failpoints.POINTS if name.startswith("rebuild.")]
    return [name for name in found if name != "rebuild.after_lanes" or events > rebuild.STEP_EVENTS]


def _rebuild(*, resume: bool, failpoint: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(installation.CHECKOUT / "manage.py"), "events_rebuild", "content", "--quiet"]
    command += ["--resume"] if resume else []
    environment = os.environ | {"RUSTOK_FAILPOINT": failpoint}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def _start_reader(reads_to: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.faults.rebuild_reader", SLUG, str(reads_to)]
    return subprocess.Popen(command, cwd=installation.CHECKOUT)


def _count_reads(report: Report, reads_to: Path) -> None:
    seen = json.loads(reads_to.read_text())
    report.reads, report.failed_reads, report.mixed_reads = seen["reads"], seen["failed"], seen["mixed"]
    report.reads_of_the_new_generation = seen["new"]


def _judge(report: Report) -> None:
    from tests.faults import invariants

    checks = {
        "documents differ from before": report.documents_equal,
        "reads failed": not report.failed_reads,
        "reads saw a mix of generations": not report.mixed_reads,
        "no read before the swap, or none after it": 0 < report.reads_of_the_new_generation < report.reads,
        "effects changed": not report.effects_changed,
        "mails were sent": not report.mails,
    }
    report.problems += [words for words, holds in checks.items() if not holds] + invariants.broken()


def main() -> int:
    parser = argparse.ArgumentParser(description="Rebuild a long log under reads, killed at every step.")
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--kill-at", nargs="+", metavar="FAILPOINT", help="default: at every step of a rebuild")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report there as well")
    options = parser.parse_args()
    os.environ |= {"RUSTOK_PROFILE": "test", "DJANGO_SETTINGS_MODULE": "tests.faults.settings"}
    with installation.own_installation() as data_dir:
        kill_at = options.kill_at or places(options.events)
        with isolation.all_tenants(reason="test"):
            report = prove(events=options.events, kill_at=kill_at, reads_to=data_dir.parent / "reads")
    print("\n".join(f"{name.replace('_', ' '):<30} {value}" for name, value in vars(report).items()))
    if options.json:
        options.json.write_text(json.dumps(vars(report), indent=2))
    return 1 if report.problems else 0


if __name__ == "__main__":
    sys.exit(main())
