"""Every export there is, imported whole, imported again, killed with -9 at random rows and resumed, undone under kills:
`make import-proof`.

The tenant whose import was killed ends as the one whose import was not; again changes nothing and appends no event; and
undone, each is as it was before. Exit codes: 0 proved, 1 not (the report tells why).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.benchmarks import installation

# No setting of the product, which would refuse it.
SHARED = Path(os.environ.pop("RUSTOK_SHARED_DATA", "") or Path(__file__).parents[3] / "shared" / "data")
COMMANDS = {"shopify": "import_shopify", "woo": "import_woocommerce", "wxr": "import_wordpress"}
KILLS = 2
DONE, DONE_WITH_SKIPPED = 0, 3
# What differs between two imports of one file, and says nothing of what is in it.
_ACCIDENTAL = frozenset({"id", "version", "created_at", "updated_at", "published_at", "etag"})


@dataclass
class Report:
    """`problems` is empty when everything was proved."""

    seed: int = 0
    files: dict[str, str] = field(default_factory=dict)
    kills: int = 0
    seconds: float = 0
    problems: list[str] = field(default_factory=list)


class NotProved(Exception):
    """A promise did not hold for a file."""


def prove(files: Sequence[tuple[str, Path]], *, seed: int) -> Report:
    """`files` are commands with their files. Needs an installation of its own, profile `test`."""
    from tests import factories

    report, chance, began = Report(seed=seed), random.Random(seed), time.monotonic()
    for number, (command, path) in enumerate(files):
        tenants = [factories.make_tenant(slug=f"{kind}-{number}", currency="EUR") for kind in ("whole", "killed")]
        try:
            outcome = _prove_one(command, path, *tenants, chance=chance, report=report)
        except NotProved as problem:
            outcome = f"NOT PROVED: {problem}"
            report.problems.append(f"{path.name}: {problem}")
        report.files[path.name] = outcome
        print(f"{path.name}: {outcome}", flush=True)
    report.seconds = round(time.monotonic() - began, 1)
    return report


def _prove_one(command: str, path: Path, whole: Any, killed: Any, *, chance: random.Random, report: Report) -> str:
    for tenant in (whole, killed):
        _furnish(tenant)
    before = _state(killed)
    first = _run(command, whole, path)
    if first.returncode not in {DONE, DONE_WITH_SKIPPED}:
        _equal(_state(whole), before, "it was refused, and something was written")
        return f"refused: {first.stderr.strip().splitlines()[-1][:160]}"
    rows = _newest_run(whole).total
    _kill_and_resume(command, killed, path, rows=rows, chance=chance, report=report)
    imported = _state(whole)
    _equal(_state(killed), imported, "killed and resumed, it ended differently")
    _hold(_tally(killed) == _tally(whole), f"the counts differ: {_tally(whole)}, and killed {_tally(killed)}")
    events = _events(whole)
    again = _run(command, whole, path)
    _hold(again.returncode == first.returncode, f"again it ended with {again.returncode}")
    _hold(_events(whole) == events, f"again it appended {_events(whole) - events} events")
    _equal(_state(whole), imported, "again it changed something")
    _undo_under_kills(killed, chance=chance, report=report)
    _equal(_state(killed), before, "undone, it is not as it was")
    return f"{rows:,} rows, {events:,} events, exit {first.returncode}"


def _furnish(tenant: Any) -> None:
    """Something that is there before, and has nothing to do with it."""
    from tests import factories
    from tests.commerce import making as shop
    from tests.content import making as site

    with factories.at_work(tenant):
        category = shop.make_category("Here before")
        shop.make_product(shop.product_fields("Here before", category_ids=[category.id]))
        site.make_node("Here before", category_ids=[site.make_category("Here before").id])


def _kill_and_resume(
    command: str, tenant: Any, path: Path, *, rows: int, chance: random.Random, report: Report
) -> None:
    """Begin, and go on, each time until a random row; the last time to the end."""
    arguments: list[str] = [str(path)]
    for row in sorted(chance.randrange(1, max(rows, 2)) for _ in range(KILLS)):
        with _started(command, tenant, *arguments, batch=chance.choice((1, 7, 50))) as process:
            if _killed(process, lambda row=row: _reached(tenant, row)):  # type: ignore[misc]
                report.kills += 1
        if _newest_run(tenant) is not None:
            arguments = ["--resume", "last"]
    if _newest_run(tenant).status == "done":
        return
    ended = _run(command, tenant, *arguments)
    _hold(ended.returncode in {DONE, DONE_WITH_SKIPPED}, f"it could not be resumed: {ended.stderr.strip()[-300:]}")


def _undo_under_kills(tenant: Any, *, chance: random.Random, report: Report) -> None:
    touched = _newest_run(tenant).touched
    for _ in range(KILLS):
        wanted = chance.randrange(0, max(touched, 1))
        with _started("imports", tenant, "--undo", "last") as process:
            if _killed(process, lambda wanted=wanted: _newest_run(tenant).undone > wanted):  # type: ignore[misc]
                report.kills += 1
    if _newest_run(tenant).status != "undone":
        ended = _run("imports", tenant, "--undo", "last")
        _hold(ended.returncode == DONE, f"it could not be undone: {(ended.stdout + ended.stderr).strip()[-300:]}")


def _killed(process: subprocess.Popen[str], is_time: Any) -> bool:
    """Whether it was killed with -9; False where it ended before its time."""
    while process.poll() is None:
        if is_time():
            process.kill()
            process.wait()
            return process.returncode < 0
        time.sleep(0.002)  # what is awaited is a row of another process, which tells nobody
    return False


@contextmanager
def _started(command: str, tenant: Any, *arguments: str, batch: int | None = None) -> Iterator[subprocess.Popen[str]]:
    size = [] if batch is None else ["--batch-size", str(batch)]
    line = [sys.executable, str(installation.CHECKOUT / "manage.py"), command, *arguments, *size]
    with subprocess.Popen(
        [*line, "--tenant", tenant.slug, "--quiet"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True
    ) as process:
        yield process


def _run(command: str, tenant: Any, *arguments: Any) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, str(installation.CHECKOUT / "manage.py"), command, *map(str, arguments)]
    return subprocess.run([*line, "--tenant", tenant.slug, "--quiet"], capture_output=True, text=True, check=False)


def _hold(promise: bool, otherwise: str) -> None:
    if not promise:
        raise NotProved(otherwise)


def _equal(found: Any, wanted: Any, otherwise: str) -> None:
    if difference := next(_differences(found, wanted, ""), ""):
        raise NotProved(f"{otherwise}: {difference}")


def _differences(found: Any, wanted: Any, place: str) -> Iterator[str]:
    if isinstance(found, dict) and isinstance(wanted, dict):
        for name in sorted(found.keys() | wanted.keys()):
            yield from _differences(found.get(name), wanted.get(name), f"{place}/{name}")
    elif isinstance(found, list) and isinstance(wanted, list) and len(found) == len(wanted):
        for index, (one, other) in enumerate(zip(found, wanted, strict=True)):
            yield from _differences(one, other, f"{place}/{index}")
    elif found != wanted:
        yield f"{place} is {str(found)[:300]}, and not {str(wanted)[:300]}"


# --- What is there -------------------------------------------------------------------------------------------------


def _newest_run(tenant: Any) -> Any:
    from apps.imports.models import Run
    from tests import factories

    with factories.at_work(tenant):
        return Run.objects.order_by("-id").first()


def _reached(tenant: Any, row: int) -> bool:
    run = _newest_run(tenant)
    return run is not None and run.done >= row


def _tally(tenant: Any) -> Any:
    run = _newest_run(tenant)
    return run.tally, run.skipped, run.notes


def _events(tenant: Any) -> int:
    from apps.outbox.models import Log
    from tests import factories

    with factories.at_work(tenant):
        return Log.objects.count()


def _state(tenant: Any) -> Any:
    """All products, content and menus of the tenant by what they are called outside, without ids and times."""
    from apps.commerce import models as commerce
    from apps.commerce import snapshots
    from apps.commerce.api import shown
    from apps.content import models as content
    from tests import factories
    from tests.content.test_import_wordpress import state

    with factories.at_work(tenant):
        paths = dict(commerce.CategoryTranslation.objects.values_list("category_id", "handle"))
        products = {
            str(snapshot.product.external_id): {
                "shown": _plain(shown.product(snapshot)),
                "categories": sorted(paths[category_id] for category_id in snapshot.category_ids),
                "stock": sorted(
                    ((variant.row.combination == "" and "") or str(variant.row.sku), level.stocked)
                    for variant in snapshot.variants
                    for level in variant.levels.values()
                ),
            }
            for snapshot in snapshots.load(commerce.Product.objects.order_by("external_id"))
        }
        menus = [(menu.name, menu.location, _plain(menu.items)) for menu in content.Menu.objects.order_by("name")]
        written = {name: _dated(entry, since=tenant.created_at) for name, entry in state().items()}
        found = {"products": products, "categories": sorted(paths.values()), "content": written, "menus": menus}
    return json.loads(json.dumps(found, default=str, sort_keys=True))


def _dated(entry: Any, *, since: datetime) -> Any:
    """What the file gives no date was published when it was imported, which is another moment each time."""
    if not isinstance(entry, dict):
        return entry
    fields = ["now" if isinstance(value, datetime) and value >= since else value for value in entry["fields"]]
    return entry | {"fields": fields}


def _plain(value: Any) -> Any:
    """A value without ids, versions and times."""
    if isinstance(value, dict):
        return {
            name: _plain(entry)
            for name, entry in value.items()
            if name not in _ACCIDENTAL and not name.endswith(("_id", "_ids"))
        }
    return [_plain(entry) for entry in value] if isinstance(value, list) else value


def exports(names: Sequence[str]) -> list[tuple[str, Path]]:
    """The files named, or all of the shared ones, each with the command that takes it."""
    if names:
        return [(command, Path(path)) for command, _, path in (name.partition("=") for name in names)]
    return [
        (command, path)
        for folder, command in COMMANDS.items()
        for path in sorted((SHARED / folder).rglob("*"))
        if path.is_file()
    ]


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="make import-proof", description=__doc__)
    parser.add_argument(
        "files", nargs="*", metavar="COMMAND=FILE", help="such as import_shopify=shop.csv (default: all)"
    )
    parser.add_argument("--seed", type=int, default=None, help="where it is killed (default: another one each time)")
    parser.add_argument("--json", type=Path, help="write the report to this file")
    options = parser.parse_args(arguments)
    seed = options.seed if options.seed is not None else random.randrange(10_000)
    files = exports(options.files)
    if not files:
        parser.error(f"there are no exports at {SHARED}; name some")
    print(f"{len(files)} files, seed {seed}", flush=True)
    with installation.own_installation():
        from apps.kernel import isolation

        with isolation.all_tenants(reason="prove imports"):
            report = prove(files, seed=seed)
    if options.json:
        options.json.write_text(json.dumps(asdict(report)), encoding="utf-8")
    verdict = "; ".join(report.problems) or "proved"
    print(f"{len(report.files)} files, {report.kills} kills, {report.seconds:,.0f} s: {verdict}")
    return 1 if report.problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
