"""`manage.py doctor`: is all well here, and if not, what helps?"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from apps.kernel.commands import readable_errors
from rustok import doctor

MARKS = {"ok": "ok", "unwell": "NO", "skipped": "--"}


class Command(BaseCommand):
    tenancy = "public"
    help = (
        "Look at Python, packages, settings, disk, servers, clock, roles, migrations, row policies and events; start "
        "and change nothing. One line each, and a remedy where it is not well; then the exit code is 1."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="one JSON array of name, state, said and remedy.")

    @readable_errors
    def handle(self, *args: Any, **options: Any) -> None:
        findings = []
        for finding in doctor.examine():
            findings.append(finding)
            if not options["json"]:
                self._show(finding)
        if options["json"]:
            self.stdout.write(json.dumps([asdict(finding) for finding in findings], indent=2, ensure_ascii=False))
        if any(finding.state != "ok" for finding in findings):
            raise SystemExit(1)

    def _show(self, finding: doctor.Finding) -> None:
        style = self.style.SUCCESS if finding.state == "ok" else self.style.ERROR
        self.stdout.write(f"{style(MARKS[finding.state])}  {finding.name:10}  {finding.said}")
        if finding.remedy:
            self.stdout.write(f"                → {finding.remedy}")
