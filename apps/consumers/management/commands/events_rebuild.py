from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.consumers import projections, rebuild
from apps.kernel.commands import readable_errors
from apps.kernel.progress import Progress


class Command(BaseCommand):
    help = (
        "Rebuild projections from the log beside the live ones, then swap; readers never notice. "
        "Exit codes: 0 rebuilt, 1 refused or failed (the live generation is untouched)."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("projection", nargs="*", help="names of projections; all when none is given")
        parser.add_argument(
            "--accept-parked", action="store_true", help="swap even when aggregates that were readable can't be folded"
        )
        parser.add_argument("--json", action="store_true", help="machine-readable output")
        parser.add_argument("--quiet", action="store_true", help="no progress")

    @readable_errors
    def handle(self, *args: Any, **options: Any) -> None:
        try:
            wanted = [projections.get(name) for name in options["projection"]] or projections.all_projections()
        except LookupError as error:
            raise CommandError(str(error)) from None
        results = []
        for projection in wanted:
            progress = Progress(projection.name, unit="aggregates", quiet=options["quiet"] or options["json"])
            done = rebuild.rebuild(projection, accept_parked=options["accept_parked"], on_progress=progress.to)
            progress.finish()
            results.append(done)
            if not options["json"]:
                self.stdout.write(
                    f"{done.projection}: generation {done.generation} is live, {done.aggregates:,} aggregates "
                    f"up to position {done.position:,} in {progress.elapsed_seconds:.1f} s"
                )
        if options["json"]:
            self.stdout.write(
                json.dumps(
                    [
                        {
                            "projection": done.projection,
                            "generation": done.generation,
                            "aggregates": done.aggregates,
                            "position": done.position,
                        }
                        for done in results
                    ]
                )
            )
