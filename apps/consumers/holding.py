"""What consumers still have to read from the tables of the log; asked before old events leave the database."""

from __future__ import annotations

from collections.abc import Iterator

from django.db.models import Min

from apps.consumers import models
from apps.outbox.retention import Hold

CATCH_UP = "let it catch up, or give it up with events_consumer retire"
RELEASE = "release it with events_park"


def holds() -> Iterator[Hold]:
    """Every consumer that is not retired: in each generation its slowest shard, and its first event that is parked.

    An effect needs no more than its checkpoint tells: what is below its floor is never read again.
    """
    consumers = models.Consumer.objects.exclude(status="retired").values_list("name", flat=True)
    retired = set(models.Generation.objects.filter(state="retired").values_list("projection", "number"))
    groups = {"consumer__in": list(consumers)}
    reached = models.Checkpoint.objects.filter(**groups).order_by().values_list("consumer", "generation")
    for name, number, position in reached.annotate(Min("position")):
        if (name, number) not in retired:
            yield Hold(f"{name} (generation {number})", position, CATCH_UP)
    parked = models.Parked.objects.filter(**groups, state="blocked").order_by().values_list("consumer", "generation")
    for name, number, position in parked.annotate(Min("position")):
        if (name, number) not in retired:
            yield Hold(f"a parked event of {name} (generation {number})", position - 1, RELEASE)
