"""WooCommerce's product CSV: `columns` reads its header in many languages, `grouping` finds the variations of each
product, `mapping` turns them into inputs."""
