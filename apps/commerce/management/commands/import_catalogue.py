from __future__ import annotations

from argparse import ArgumentParser
from itertools import islice
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from apps.commerce.catalogue import maps, previewing
from apps.commerce.catalogue.importing import CatalogueImporter
from apps.commerce.importing.commanding import ProductsCommand
from apps.commerce.importing.mapped import Target
from apps.kernel.commands import readable_errors
from apps.kernel.imports import Source
from apps.tenants import queries, scope

SHOWN = 3


class Command(ProductsCommand):
    format = "catalogue"
    file_help = "the catalogue: a table (.csv, .tsv), .json or .ndjson, gzipped or not"
    help = (
        "Import products from any table, JSON or NDJSON, with a map (TOML) that says which column becomes which field; "
        "see docs/how-to/import.md. --preview shows what becomes of the first products and writes nothing. Products "
        "are found again by the id the map names: importing a file again changes only what differs. Exit codes: 0 "
        "every product was taken, 1 refused or nothing could be imported, 3 imported, but some products were skipped, "
        "130 interrupted (what was written stays; go on with --resume last)."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--map", type=Path, help="the map, .toml")
        parser.add_argument("--preview", action="store_true", help="show what becomes of the first products")

    def choices(self, at_work: scope.Scope, options: dict[str, Any]) -> dict[str, Any]:
        if options["map"] is None:
            raise CommandError("give a --map FILE; docs/how-to/import.md shows some.")
        chosen = super().choices(at_work, options)
        return chosen | {"map": maps.read_map(options["map"]).model_dump(mode="json", exclude_unset=True)}

    @readable_errors
    def handle(self, *args: Any, **options: Any) -> None:
        if not options["preview"]:
            super().handle(*args, **options)
            return
        if options["file"] is None or options["map"] is None:
            raise CommandError("give a FILE and a --map FILE to preview.")
        at_work = queries.scope_for_command(slug_or_id=options["tenant"])
        with scope.use(at_work):
            locale = queries.locale_for_command(at_work=at_work, locale=options["locale"])
            target = Target(locale, options["currency"] or at_work.currency, options["location"])
            importer = CatalogueImporter(options["file"], maps.read_map(options["map"]), target, {})
            with Source(options["file"]) as source:
                products = [product for _, product in islice(importer.products(source), SHOWN)]
            for line in previewing.lines(importer, products):
                self.stdout.write(line)
