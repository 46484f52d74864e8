"""Who may do what in a tenant: the catalogue and the matrix, rights as values, the engine that reads and keeps them."""

from apps.accounts.access.engine import rights_of

__all__ = ["rights_of"]
