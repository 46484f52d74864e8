"""`manage.py new_app NAME`: a new app with its rooms, floor and tests."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from apps.kernel.commands import readable_errors
from rustok import scaffold
from rustok.environment import CHECKOUT


class Command(BaseCommand):
    tenancy = "public"
    help = (
        "Make a new app in this checkout: apps/NAME with its rooms, tests/NAME, and its line in .importlinter, the "
        "settings and the addresses. docs/how-to/add-an-app.md goes on from there."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="lower-case letters and _, such as shipping.")
        parser.add_argument(
            "--floor", default="commerce", help="the app whose floor it shares; siblings talk through events."
        )

    @readable_errors
    def handle(self, *args: Any, **options: Any) -> None:
        for path in scaffold.make_app(name=options["name"], floor=options["floor"], checkout=CHECKOUT):
            self.stdout.write(f"Wrote {path.relative_to(CHECKOUT)}.")
