from __future__ import annotations

from apps.commerce.importing.commanding import ProductsCommand


class Command(ProductsCommand):
    format = "woocommerce"
    help = (
        "Import products from a WooCommerce product CSV (.csv, .csv.gz; UTF-8, UTF-16 or Windows-1252; headers in the "
        "languages WooCommerce writes). Products are found again by their SKU, without one by their ID: importing a "
        "file again changes only what differs. Images stay where they are until fetch_images. Exit codes: 0 every "
        "product was taken (the report may hold notes), 1 refused or nothing could be imported, 3 imported, but some "
        "products were skipped (see the report), 130 interrupted (what was written stays; go on with --resume last)."
    )
