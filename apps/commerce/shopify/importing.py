"""Products' rows through the services, a batch in one transaction."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from itertools import batched
from pathlib import Path

from apps.commerce import queries, services
from apps.commerce.services.sync import Synced
from apps.commerce.shopify import mapping, reading
from apps.commerce.shopify.mapping import Mapped, Note, Skipped, Target
from apps.kernel.errors import DomainError
from apps.kernel.imports import Report, Source, Tally
from apps.kernel.progress import Progress
from apps.outbox.append import unit_of_work


class _DryRun(Exception):
    """Ends a batch that is to leave nothing behind."""


@dataclass(slots=True)
class Import:
    """One run over one file."""

    path: Path
    target: Target
    report: Report
    now: datetime
    batch_size: int = 50
    is_dry_run: bool = False
    quiet: bool = False
    tally: Tally = field(default_factory=Tally)
    rate: float = 0.0
    _categories: dict[tuple[str, ...], uuid.UUID] = field(default_factory=dict)
    _claimed_skus: dict[str, str] = field(default_factory=dict)

    def run(self) -> str:
        """Returns a note about columns that are not imported. Raises ImportRefused."""
        with Source(self.path) as source:
            survey = reading.survey(source)
        for kind in ("products", "variants", "images"):
            self.tally.add(kind, "created", 0)
        progress = Progress(f"Importing {self.path.name}", unit="rows", total=survey.rows, quiet=self.quiet)
        with progress, Source(self.path) as source:
            for batch in batched(reading.read_groups(source, self.report), self.batch_size):
                self._take([group for _, group in batch])
                progress.to(batch[-1][0])
            progress.to(survey.rows)
        self.rate = progress.rate
        return mapping.ignored_note(survey.header)

    def so_far(self) -> str:
        """What is in by now, as a part of a sentence."""
        if self.is_dry_run:
            return "nothing was written, as it was a dry run"
        return f"written so far: {'; '.join(self.tally.lines()) or 'nothing'}"

    def _take(self, groups: Sequence[reading.Group]) -> None:
        mapped = []
        for group in groups:
            if group.refusal:
                self.tally.add("products", "skipped")
                continue
            try:
                mapped.append(mapping.map_group(group, self.target))
            except Skipped as skipped:
                self._skip(group.rows[0], skipped.note)
        synced: Sequence[Synced] = ()
        # A dry run leaves the unit of work by an error of its own, so that nothing is kept.
        with suppress(_DryRun), unit_of_work():
            synced = self._write(mapped)
            if self.is_dry_run:
                raise _DryRun
        for product in synced:
            self._count(product)  # only now it is in
        if self.is_dry_run:
            self._categories.clear()  # they were rolled back
        else:
            self._claimed_skus.clear()  # the database knows them now

    def _write(self, mapped: Sequence[Mapped]) -> list[Synced]:
        taken, wanted = [], []
        owners = self._sku_owners(mapped)
        for entry in self._creatable(mapped):
            try:
                own_skus = self._settle_skus(entry, owners)
                wanted.append(entry.build(self._category_of(entry)))
            except Skipped as skipped:
                self._skip(entry.rows[0], skipped.note)
            except DomainError as failure:
                self._skip(entry.rows[0], entry.note_of(failure))
            else:
                taken.append(entry)
                self._claimed_skus |= own_skus
        outcome = services.sync_products(wanted=wanted, now=self.now)
        for index, entry in enumerate(taken):
            for note in entry.notes:
                self._report(entry.rows[0], note)
            if index in outcome.failures:
                self._skip(entry.rows[0], entry.note_of(outcome.failures[index]))
        return list(outcome.done.values())

    def _creatable(self, mapped: Sequence[Mapped]) -> list[Mapped]:
        """All of them, or without prices in the file those that exist already."""
        if not mapped or mapped[0].rows[0].header.has("price"):
            return list(mapped)
        known = queries.find_external_ids(external_ids=[entry.external_id for entry in mapped])
        for entry in mapped:
            if entry.external_id not in known:
                problem = "the file has no prices: it can update products, but not create this one; skipped"
                self._skip(entry.rows[0], Note(entry.rows[0].number, "handle", entry.handle, problem))
        return [entry for entry in mapped if entry.external_id in known]

    def _sku_owners(self, mapped: Sequence[Mapped]) -> dict[str, str | None]:
        skus = {variant.get("sku") for entry in mapped for variant in entry.fields["variants"]} - {None}
        return queries.find_sku_owners(skus=skus) if skus else {}

    def _settle_skus(self, entry: Mapped, owners: dict[str, str | None]) -> dict[str, str]:
        """A SKU that another variant has is left out, so that the variant itself is not lost."""
        own: dict[str, str] = {}
        for row, variant in zip(entry.variant_rows, entry.fields["variants"], strict=True):
            sku = variant.get("sku")
            if sku is None:
                continue
            owner = self._claimed_skus.get(sku, owners.get(sku, entry.external_id))
            if sku in own or owner != entry.external_id:
                problem = "another variant has this SKU already; imported without a SKU"
                entry.notes.append(Note(row.number, "sku", sku, problem))
                variant["sku"] = None
            else:
                own[sku] = entry.external_id
        return own

    def _category_of(self, entry: Mapped) -> uuid.UUID | None:
        path = entry.category_path
        if not path:
            return None
        if path not in self._categories:
            with unit_of_work(savepoint=True):
                self._categories[path] = services.find_or_create_path(names=path, locale=self.target.locale)
        return self._categories[path]

    def _count(self, synced: Synced) -> None:
        self.tally.add("products", synced.outcome)
        for kind, counts in (("variants", synced.variants), ("images", synced.images)):
            for outcome, count in counts.items():
                self.tally.add(kind, outcome, count)

    def _skip(self, first: reading.Row, note: Note) -> None:
        self.tally.add("products", "skipped")
        self._report(first, note)

    def _report(self, first: reading.Row, note: Note) -> None:
        self.report.add(row=note.row, column=first.header.name(note.key), value=note.value, problem=note.problem)
