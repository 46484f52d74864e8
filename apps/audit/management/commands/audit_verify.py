from __future__ import annotations

import json
import sys
import uuid
from argparse import ArgumentParser
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils.dateparse import parse_date, parse_datetime
from django.utils.timezone import is_aware, make_aware

from apps.audit import checkpoints, models, verifying
from apps.kernel.commands import readable_errors
from apps.kernel.progress import Progress

NOT_CHECKED = 3


class Command(BaseCommand):
    tenancy = "platform"
    help = (
        "Prove the audit log: no entry was edited, deleted, inserted or moved, and the end was not cut off. "
        "Exit codes: 0 it is as it was sealed, 1 it was tampered with (the first bad entry of each chain is named), "
        "3 it could not be checked, because a key is not here."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--tenant", metavar="ID", help='id of one tenant, or "platform" (default: all chains)')
        parser.add_argument(
            "--since", metavar="MOMENT", help="begin with the first seal made then or later, such as 2026-01-31"
        )
        parser.add_argument("--json", action="store_true", help="machine-readable output")
        parser.add_argument(
            "--checkpoint",
            type=Path,
            metavar="FILE",
            help="the newest seals as they were copied to elsewhere (default: the file of this installation)",
        )

    @readable_errors
    def handle(self, *args: Any, **options: Any) -> None:
        chain = _chain(options["tenant"])
        file = options["checkpoint"] or (checkpoints.path() if checkpoints.path().exists() else None)
        checkpoint = checkpoints.read(file) if file else {}
        if chain:
            checkpoint = {chain: checkpoint[chain]} if chain in checkpoint else {}
        with Progress("Verifying", unit="entries", quiet=options["json"]) as progress:
            verified = verifying.verify(
                chain=chain, since=_moment(options["since"]), checkpoint=checkpoint, on_entry=progress.add
            )
        if options["json"]:
            found = asdict(verified) | {"ok": not verified.findings, "checkpoint": str(file) if file else None}
            self.stdout.write(json.dumps(found, default=str))
        else:
            self._tell(verified, file)
        if verified.findings:
            sys.exit(1 if verified.is_tampered else NOT_CHECKED)

    def _tell(self, verified: verifying.Verified, file: Path | None) -> None:
        erased = f", personal data erased in {verified.erased:,}" if verified.erased else ""
        self.stdout.write(
            f"{verified.entries:,} entries under {verified.seals:,} seals in {verified.chains:,} chains{erased}"
        )
        if file is None:
            self.stderr.write("No checkpoint was given or found: an end that was cut off would not show.")
        for finding in verified.findings:
            self.stderr.write(f"{'NOT CHECKED' if finding.kind == 'key' else 'TAMPERED'}: {finding}")
        if not verified.findings:
            self.stdout.write("The log is as it was sealed.")


def _chain(text: str | None) -> uuid.UUID | None:
    if text is None:
        return None
    if text == "platform":
        return models.PLATFORM_CHAIN
    try:
        return uuid.UUID(text)
    except ValueError:
        raise CommandError(f'--tenant "{text}": give the id of the tenant, a UUID, or "platform".') from None


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = parse_datetime(text) or (datetime(day.year, day.month, day.day) if (day := parse_date(text)) else None)  # noqa: DTZ001 - made aware below
    except ValueError:
        moment = None
    if moment is None:
        raise CommandError(f'--since "{text}": give a moment such as 2026-01-31 or 2026-01-31T12:00:00Z.')
    return moment if is_aware(moment) else make_aware(moment)
