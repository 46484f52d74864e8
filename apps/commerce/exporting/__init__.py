"""Products on their way out, as Shopify has them and as they are."""
