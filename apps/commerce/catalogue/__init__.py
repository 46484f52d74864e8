"""Catalogues in any table, JSON or NDJSON: `maps` says how a declared mapping looks, `reading` finds the records,
`mapping` makes products of them."""
