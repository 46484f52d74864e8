"""What is published about people. Events are for ever, so they carry no e-mail address, no name and no secret."""

from __future__ import annotations

from datetime import datetime

from apps.events import registry

CUSTOMER = "accounts.customer"


class CustomerState(registry.Payload):
    """A customer without what is personal; that is read from accounts, where it can be erased."""

    is_active: bool
    registered_at: datetime


@registry.event("accounts.customer.registered")
class CustomerRegistered(CustomerState):
    """Somebody confirmed their address and is a customer of the tenant."""


@registry.event("accounts.customer.updated")
class CustomerUpdated(CustomerState):
    """Something of the customer changed; who shows personal data should read them again."""
