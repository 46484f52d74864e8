"""What the log itself publishes: the tombstone that stands where an event was erased."""

from __future__ import annotations

import uuid

from apps.events import registry

# Of no tenant: rows of the log that belong to the installation.
PLATFORM = uuid.UUID(int=0)
TOMBSTONE = "outbox.event.erased"


@registry.event(TOMBSTONE)
class EventErased(registry.Payload):
    """Here stood an event of a tenant that was purged. Positions stay dense; readers pass over it."""
