"""Shopify's product CSV: `reading` turns the file into products' rows, `mapping` rows into inputs, `importing` inputs
into products through the services."""
