"""The commands that import products."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from apps.commerce import services
from apps.imports.commanding import ImportCommand, checked
from apps.kernel import encodings, validation
from apps.tenants import scope


class ProductsCommand(ImportCommand):
    """Prices are in one currency, and stock is at one location."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--currency", help="ISO 4217 code of the prices (default: the tenant's currency)")
        parser.add_argument(
            "--location",
            default=services.DEFAULT_LOCATION,
            help="code of the stock location (default: default, made when needed)",
        )
        parser.add_argument("--encoding", default="", help="encoding of the file (default: it is told by its bytes)")

    def choices(self, at_work: scope.Scope, options: dict[str, Any]) -> dict[str, Any]:
        chosen = super().choices(at_work, options)
        currency = checked(validation.Currency, options["currency"] or at_work.currency, "--currency")
        location = checked(validation.ShortSlug, options["location"], "--location")
        if location != services.DEFAULT_LOCATION:
            services.get_location(location)
        encoding = checked(encodings.Named, options["encoding"], "--encoding")
        return chosen | {"currency": currency, "location": location, "encoding": encoding}
