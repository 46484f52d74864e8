"""Mapped products through the services, a batch in one transaction, whatever format they come in."""

from __future__ import annotations

import uuid
from abc import abstractmethod
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import datetime
from itertools import batched
from pathlib import Path
from typing import Any

from apps.commerce import events, queries, services, snapshots
from apps.commerce.importing.mapped import Mapped, Note, Skipped, Target
from apps.commerce.importing.rows import Header
from apps.commerce.services.sync import Synced
from apps.imports.formats import Importer, Taking
from apps.kernel.errors import DomainError
from apps.kernel.imports import Source
from apps.kernel.records import Record
from apps.outbox.append import unit_of_work

KINDS = ("products", "variants", "images")


class Refused:
    """A product that reading has refused, and complained of already."""


class ProductsImporter(Importer):
    """A subclass reads a format: it says which products stand in which records."""

    def __init__(self, path: Path, target: Target, found: Mapping[str, Any]) -> None:
        self.path, self.target = path, target
        self._found: dict[str, Any] = {}
        self._complaints: list[Note] = []
        self._categories: dict[tuple[str, ...], uuid.UUID] = {}
        self._claimed_skus: dict[str, str] = {}
        self.survey(found)

    @abstractmethod
    def survey(self, found: Mapping[str, Any]) -> None:
        """Look through the file, unless an earlier look has; sets `header` and `total`. Raises ImportRefused."""

    @abstractmethod
    def products(self, source: Source) -> Iterator[tuple[int, Any]]:
        """Each product's rows, or Refused, with the number of the last record it takes."""

    @abstractmethod
    def map(self, product: Any) -> Mapped:
        """Raises Skipped."""

    header: Header
    now: datetime

    @property
    def found(self) -> Mapping[str, Any]:
        return self._found

    def remarks(self) -> list[str]:
        said = [self.header.ignored_note()]
        if self._found.get("is_guess"):
            said.append(
                f"The file is not UTF-8; it was read as {self._found['encoding']}: look at letters with accents."
            )
        return [line for line in said if line]

    def complain(self, note: Note) -> None:
        """Of a row as such; it is told with the batch that comes past it."""
        self._complaints.append(note)

    def complain_of(self, record: Record, problem: str) -> None:
        """Of a record that is no row of the table."""
        value = record.cells[-1] if record.cells else ""
        self.complain(Note(record.number, self.header.names[0], value, problem))

    def batches(self, *, after: int, size: int) -> Iterator[tuple[int, Sequence[Any]]]:
        with Source(self.path) as source, closing(self._after(source, after)) as products:
            for batch in batched(products, size):
                yield batch[-1][0], [product for _, product in batch]

    def _after(self, source: Source, after: int) -> Generator[tuple[int, Any]]:
        for number, product in self.products(source):
            if number <= after:
                self._complaints = [note for note in self._complaints if note.row > after]
                continue
            yield number, product

    def begin(self, taking: Taking) -> None:
        for kind in KINDS:
            taking.tally.add(kind, "created", 0)

    def end(self, taking: Taking) -> None:
        self._tell_complaints(self.total, taking)

    def take(self, batch: Sequence[Any], number: int, taking: Taking) -> None:
        if not taking.is_dry_run:
            self._claimed_skus.clear()  # the database knows them now
        else:
            self._categories.clear()  # they were rolled back
        self._tell_complaints(number, taking)
        self.now = taking.now
        mapped = []
        for product in batch:
            if isinstance(product, Refused):
                taking.tally.add("products", "skipped")
                continue
            try:
                mapped.append(self.map(product))
            except Skipped as skipped:
                self._skip(taking, skipped.note)
        for synced in self._write(mapped, taking):
            _count(taking, synced)

    def _tell_complaints(self, number: int, taking: Taking) -> None:
        for note in (note for note in self._complaints if note.row <= number):
            self._report(taking, note)
        self._complaints = [note for note in self._complaints if note.row > number]

    def _write(self, mapped: Sequence[Mapped], taking: Taking) -> list[Synced]:
        taken, wanted = [], []
        owners = _sku_owners(mapped)
        for entry in self._creatable(mapped, taking):
            try:
                own_skus = self._settle_skus(entry, owners)
                wanted.append(entry.build([self._category_of(path) for path in entry.category_paths]))
            except Skipped as skipped:
                self._skip(taking, skipped.note)
            except DomainError as failure:
                self._skip(taking, entry.note_of(failure))
            else:
                taken.append(entry)
                self._claimed_skus |= own_skus
        outcome = services.sync_products(wanted=wanted, now=taking.now, remember=_rememberer(taking))
        for index, entry in enumerate(taken):
            for note in entry.notes:
                self._report(taking, note)
            if index in outcome.failures:
                self._skip(taking, entry.note_of(outcome.failures[index]))
        return list(outcome.done.values())

    def _creatable(self, mapped: Sequence[Mapped], taking: Taking) -> list[Mapped]:
        """All of them but those that are new and of which the file has a part only."""
        partial = [entry for entry in mapped if not entry.is_whole]
        if not partial:
            return list(mapped)
        known = queries.find_external_ids(external_ids=[entry.external_id for entry in partial])
        for entry in partial:
            if entry.external_id not in known:
                problem = "the file has no prices: it can update products, but not create this one; skipped"
                self._skip(taking, Note(entry.rows[0].number, entry.columns["external_id"], entry.name, problem))
        return [entry for entry in mapped if entry.is_whole or entry.external_id in known]

    def _settle_skus(self, entry: Mapped, owners: dict[str, str | None]) -> dict[str, str]:
        """A SKU that another variant has is left out, so that the variant itself is not lost."""
        own: dict[str, str] = {}
        for row, variant in zip(entry.variant_rows, entry.fields["variants"], strict=True):
            sku = variant.get("sku")
            if sku is None:
                continue
            owner = self._claimed_skus.get(sku, owners.get(sku, entry.external_id))
            if sku in own or owner != entry.external_id:
                entry.note(row, "sku", "another variant has this SKU already; imported without a SKU", value=sku)
                variant["sku"] = None
            else:
                own[sku] = entry.external_id
        return own

    def _category_of(self, path: tuple[str, ...]) -> uuid.UUID:
        if path not in self._categories:
            with unit_of_work(savepoint=True):
                self._categories[path] = services.find_or_create_path(names=path, locale=self.target.locale)
        return self._categories[path]

    def _skip(self, taking: Taking, note: Note) -> None:
        taking.tally.add("products", "skipped")
        self._report(taking, note)

    def _report(self, taking: Taking, note: Note) -> None:
        taking.note(row=note.row, column=self.header.name(note.key), value=note.value, problem=note.problem)


def _sku_owners(mapped: Sequence[Mapped]) -> dict[str, str | None]:
    skus = {variant.get("sku") for entry in mapped for variant in entry.fields["variants"]} - {None}
    return queries.find_sku_owners(skus=skus) if skus else {}


def _rememberer(taking: Taking) -> Any:
    def remember(snapshot: snapshots.Snapshot) -> None:
        taking.remember(events.PRODUCT, snapshot.id, lambda: snapshots.dump(snapshot))

    return remember


def _count(taking: Taking, synced: Synced) -> None:
    taking.tally.add("products", synced.outcome)
    for kind, counts in (("variants", synced.variants), ("images", synced.images)):
        for outcome, count in counts.items():
            taking.tally.add(kind, outcome, count)
