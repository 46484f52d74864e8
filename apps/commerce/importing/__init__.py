"""What importers of products share: rows with named columns, the values in their cells, and the way to the services."""
