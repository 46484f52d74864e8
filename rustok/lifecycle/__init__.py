"""The end of a tenant here and its beginning elsewhere: export, import, checksum and purge over every app's tables.

What belongs to a tenant is read from the database's own catalogue, so that a new table is in from its first day.
"""
