from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any

import orjson
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from rustok import api_docs, breaking


class Command(BaseCommand):
    tenancy = "public"
    help = (
        "Compare the OpenAPI document of the program with the one on record (check), or put it there (export). What "
        "would break a client written for the one on record is named and refused. Exit codes: 0 nothing differs, or it "
        "is on record; 1 something differs, or the export is refused; 2 wrong arguments."
    )
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("action", metavar="ACTION", choices=["check", "export"], help="what to do.")
        parser.add_argument(
            "--breaking", action="store_true", help="with export: break clients, and say so in CHANGELOG"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["breaking"] and options["action"] == "check":
            raise CommandError("--breaking belongs to export.", returncode=2)
        text = to_text(api_docs.document())
        recorded = settings.API_DOCUMENT.read_bytes() if settings.API_DOCUMENT.exists() else None
        broken = breaking.find(orjson.loads(recorded), orjson.loads(text)) if recorded else []
        for entry in broken:
            self.stderr.write(f"BREAKS CLIENTS: {entry}")
        if options["action"] == "check":
            self._check(recorded == text, len(broken))
        elif broken and not options["breaking"]:
            self.stderr.write(
                f"{len(broken)} changes break clients; nothing was written. Undo them, or export with --breaking and "
                "say in CHANGELOG.md what clients have to change."
            )
            sys.exit(1)
        else:
            settings.API_DOCUMENT.write_bytes(text)
            self.stdout.write(f"{settings.API_DOCUMENT.name}: {_count(api_docs.document())} operations on record.")

    def _check(self, is_same: bool, count: int) -> None:
        if is_same:
            self.stdout.write(f"{_count(api_docs.document())} operations: all as on record.")
            return
        self.stderr.write(
            f"The API is not as on record; {count or 'none'} of the changes break clients. "
            "Put it on record with: manage.py openapi export"
        )
        sys.exit(1)


def to_text(document: dict[str, Any]) -> bytes:
    """As it stands in the file: sorted, so that a change shows as one."""
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE)


def _count(document: dict[str, Any]) -> int:
    return sum(len(methods) for methods in document["paths"].values())
