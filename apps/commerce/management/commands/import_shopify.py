from __future__ import annotations

from apps.commerce.importing.commanding import ProductsCommand


class Command(ProductsCommand):
    format = "shopify"
    help = (
        "Import products from a Shopify product CSV (.csv, .csv.gz; UTF-8, UTF-16 or Windows-1252; commas, semicolons "
        "or tabs). Products are found again by their handle: importing a file again changes only what differs. Images "
        "stay where they are until fetch_images; cost prices are not taken. Exit codes: 0 every product was taken "
        "(there may be notes), 1 refused or nothing could be imported, 3 imported, but some products were skipped "
        "(see the report), 130 interrupted (what was written stays; go on with --resume last)."
    )
