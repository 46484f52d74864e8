from __future__ import annotations

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from apps.media import sweeping


class Command(BaseCommand):
    tenancy = "platform"
    help = (
        "Delete files of assets that are not there: what a killed process wrote and never told of. Workers do it every "
        "six hours. Exit codes: 0 done."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--hours", type=int, default=24, help="leave younger ones, which may be of a request at work (default 24)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        count = sweeping.sweep(now=timezone.now(), age=timedelta(hours=options["hours"]))
        self.stdout.write(f"{count:,} files deleted.")
