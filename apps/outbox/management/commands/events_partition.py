from __future__ import annotations

import json
from argparse import ArgumentParser
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from apps.kernel.commands import readable_errors
from apps.kernel.progress import Progress
from apps.outbox import archived, archiving, models, partitions, retention

HELD = 3
STRAYS = 3


class Command(BaseCommand):
    tenancy = "platform"
    help = (
        "Look after the partitions of the log. list: what there is; ensure: make those of the coming time and bring "
        "home rows that had to do without one; archive: copy full ones to verified files; drop: have readers use the "
        "files and remove the rows, never before every consumer has read them. Each may be killed and run again. "
        "Exit codes: 0 done, 1 refused or failed (nothing is lost), 3 rows stand in a default partition (list), or "
        "somebody still needs the rows and is named (drop), 130 interrupted."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="list|ensure|archive|drop")
        shown = actions.add_parser("list", help="the partitions, the archives, and rows that stand in no partition")
        made = actions.add_parser("ensure", help="make the partitions of the coming time")
        copied = actions.add_parser("archive", help="copy full partitions to verified files")
        dropped = actions.add_parser("drop", help="remove from the database what is archived")
        for action in (made, copied, dropped):
            action.add_argument("--dry-run", action="store_true", help="tell what would be done and do nothing")
        for action in (copied, dropped):
            action.add_argument(
                "--older-than", type=float, metavar="DAYS", help="only what got its positions before (default: all)"
            )
        copied.add_argument("--quiet", action="store_true", help="no progress")
        for action in (shown, made, copied, dropped):
            action.add_argument("--json", action="store_true", help="machine-readable output")

    @readable_errors
    def handle(self, *args: Any, **options: Any) -> None:
        act = {"list": self._list, "ensure": self._ensure, "archive": self._archive, "drop": self._drop}
        try:
            act[options["action"]](options)
        except KeyboardInterrupt:
            self.stderr.write("Interrupted; run it again to go on.")
            raise SystemExit(130) from None

    def _list(self, options: dict[str, Any]) -> None:
        strays = partitions.count_strays()
        found = {table.name: partitions.leaves(table) for table in (partitions.LOG, partitions.POSITION)}
        archives = list(models.Archive.objects.all())
        self._tell(
            options,
            {
                "partitions": {name: [asdict(leaf) for leaf in leaves] for name, leaves in found.items()},
                "archives": [_describe(archive) for archive in archives],
                "strays": strays,
            },
            *[
                f"{leaf.name}: {leaf.low:,} to {leaf.high - 1:,}, {_mebibytes(leaf.bytes)}"
                for leaves in found.values()
                for leaf in leaves
            ],
            *[
                f"{archive.folder}: {_mebibytes(archive.bytes)} archived{', cold' if archive.is_cold else ''}"
                for archive in archives
            ],
        )
        for name, count in strays.items():
            if count:
                self.stderr.write(f"{name}: {count:,} ROWS WITHOUT A PARTITION; run events_partition ensure")
        if any(strays.values()):
            raise SystemExit(STRAYS)

    def _ensure(self, options: dict[str, Any]) -> None:
        made = partitions.ensure(is_dry_run=options["dry_run"])
        verb = "would be made" if options["dry_run"] else "made"
        lines = [
            f"{entry.name}: {entry.low:,} to {entry.high - 1:,} {verb}"
            + (f", {entry.rescued:,} rows from the default partition" if entry.rescued else "")
            for entry in made
        ]
        self._tell(options, [asdict(entry) for entry in made], *(lines or ["There are enough partitions."]))

    def _archive(self, options: dict[str, Any]) -> None:
        ranges = archiving.sealed(before=_before(options))
        if options["dry_run"]:
            lines = [f"Positions {first:,} to {last:,} would be archived." for first, last in ranges]
            self._tell(options, [{"first": f, "last": n} for f, n in ranges], *(lines or ["No partition is full."]))
            return
        done = []
        for first, last in ranges:
            progress = Progress(
                f"{first:,} to {last:,}", unit="events written and compared", quiet=options["quiet"] or options["json"]
            )

            def show(events: int, total: int, progress: Progress = progress) -> None:
                progress.total = total
                progress.to(events)

            archive = archiving.archive(first, last, on_progress=show)
            progress.finish()
            done.append(archive)
        lines = [
            f"Positions {a.first:,} to {a.last:,} are archived in {archiving.folder_of(a)}, {_mebibytes(a.bytes)}."
            for a in done
        ]
        self._tell(options, [_describe(archive) for archive in done], *(lines or ["No partition is full."]))

    def _drop(self, options: dict[str, Any]) -> None:
        before = _before(options)
        try:
            if options["dry_run"]:
                waiting = retention.droppable(before=before)
                if waiting:
                    retention.refuse_held(waiting[-1].last)
                lines = [f"Positions {archive.first:,} to {archive.last:,} would be dropped." for archive in waiting]
                self._tell(options, [_describe(archive) for archive in waiting], *(lines or ["Nothing is archived."]))
                return
            done = retention.drop(before=before)
        except retention.Held as error:
            holds = [asdict(hold) for hold in retention.holds()]
            if options["json"]:
                self.stdout.write(
                    json.dumps({"cold_until": archived.cold_until(), "held": error.detail, "holds": holds})
                )
            else:
                self.stderr.write(error.detail)
            raise SystemExit(HELD) from None
        self._tell(
            options,
            asdict(done),
            *[f"{name} dropped" for name in done.partitions],
            f"Positions up to {done.cold_until:,} are read from archives; {_mebibytes(done.freed_bytes)} are free.",
        )

    def _tell(self, options: dict[str, Any], facts: Any, *lines: str) -> None:
        if options["json"]:
            self.stdout.write(json.dumps(facts))
        else:
            for line in lines:
                self.stdout.write(line)


def _before(options: dict[str, Any]) -> datetime | None:
    days = options["older_than"]
    if days is None:
        return None
    if days < 0:
        raise CommandError(f"--older-than {days:g}: give a number of days, 0 or more.")
    return timezone.now() - timedelta(days=days)


def _describe(archive: models.Archive) -> dict[str, Any]:
    return {
        "first": archive.first,
        "last": archive.last,
        "folder": str(archiving.folder_of(archive)),
        "bytes": archive.bytes,
        "sha256": archive.sha256,
        "is_cold": archive.is_cold,
        "archived_at": archive.archived_at.isoformat(),
    }


def _mebibytes(size: int) -> str:
    return f"{size / 2**20:,.1f} MiB"
