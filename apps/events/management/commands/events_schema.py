from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.events import checking, corpus, registry, schemas


class Command(BaseCommand):
    tenancy = "public"
    help = (
        "Compare the event types with the lock of their schemas and with the corpus of stored events (check), or write "
        "new versions into the lock (export). What is released is never altered: that takes a new version and an "
        "upcaster. Exit codes: 0 everything ever recorded is readable, or the lock is written; 1 a rule is broken, or "
        "the export is refused (each rule is named with its type); 2 wrong arguments."
    )
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("action", metavar="ACTION", choices=["check", "export"], help="what to do.")
        parser.add_argument("--release", action="store_true", help="with export: fix the drafts for ever")
        parser.add_argument("--released", action="store_true", help="with check: drafts are broken too")
        parser.add_argument("--json", action="store_true", help="machine-readable output")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["release"] and options["action"] == "check":
            raise CommandError("--release belongs to export; to refuse drafts, use check --released.", returncode=2)
        if options["released"] and options["action"] == "export":
            raise CommandError("--released belongs to check; to fix the drafts, use export --release.", returncode=2)
        try:
            lock = schemas.read(schemas.LOCK)
            if options["action"] == "check":
                self._check(lock, released=options["released"], as_json=options["json"])
            else:
                self._export(lock, release=options["release"], as_json=options["json"])
        except (schemas.LockUnreadable, corpus.CorpusUnreadable) as error:
            raise CommandError(str(error)) from error

    def _check(self, lock: schemas.Lock, *, released: bool, as_json: bool) -> None:
        broken = checking.check(types=registry.all_types(), lock=lock, samples=corpus.published())
        self._report(broken + (checking.check_released(lock) if released else []), lock, as_json=as_json)

    def _export(self, lock: schemas.Lock, *, release: bool, as_json: bool) -> None:
        try:
            written = checking.export(types=registry.all_types(), lock=lock, release=release)
        except checking.ExportRefused as refused:
            self._report(refused.broken, lock, as_json=as_json)
            return
        if written != lock:
            schemas.LOCK.write_text(schemas.to_text(written))
        self._report([], written, as_json=as_json)

    def _report(self, broken: Sequence[checking.Broken], lock: schemas.Lock, *, as_json: bool) -> None:
        """One line a rule, or a count; exits with 1 when there is a rule."""
        counted = {"types": len(lock), "versions": sum(len(versions) for versions in lock.values())}
        counted["drafts"] = len(checking.check_released(lock))
        if as_json:
            rows = [{"type": b.type, "version": b.version, "rule": b.rule, "detail": b.detail} for b in broken]
            self.stdout.write(json.dumps({"ok": not broken, **counted, "broken": rows}))
        elif broken:
            for entry in broken:
                self.stderr.write(f"BROKEN: {entry}")
        else:
            self.stdout.write(
                "{types} types, {versions} versions, {drafts} of them drafts: all on record.".format(**counted)
            )
        if broken:
            sys.exit(1)
