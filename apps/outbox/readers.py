"""Who reads the bus, and how to read it: what is declared here is neither trimmed nor lost before it was read.

A reader keeps a position and gets the events behind it, each once and in order, whatever the bus does: what comes twice
or late is dropped by position, what does not come is taken from Postgres.
"""

from __future__ import annotations

from django.db.models import Min
from django.db.models.functions import Greatest

from apps.events import bus
from apps.kernel import errors
from apps.outbox import archived, cursors, models, pages, sequencer


class UnknownReader(errors.NotFound):
    """No reader of that name is declared."""

    code = "unknown_bus_reader"


class NoLongerThere(errors.DomainError):
    """What is asked for has left the tables, from which the bus is filled."""

    code = "no_longer_in_the_log"


def declare(name: str, *, at: int | None = None) -> int:
    """Have the bus keep what this reader has not read, from the position behind `at` on (default: the newest).

    Returns where it stands; one that is declared already stays there. Raises NoLongerThere.
    """
    start = sequencer.head() if at is None else at
    check_still_there(start + 1)
    reader, _ = models.BusReader.objects.get_or_create(name=name, defaults={"position": start})
    return reader.position


def check_still_there(first: int) -> None:
    """Raises NoLongerThere when the bus can't be filled from a position on, because it is read from an archive."""
    cold = archived.cold_until()
    if first <= cold:
        raise NoLongerThere(
            f"Positions up to {cold:,} are archived and the bus is filled from {cold + 1:,} on; "
            "build what is before it with events_rebuild or events_replay."
        )


def retire(name: str) -> None:
    """The bus no longer waits for this reader. Raises UnknownReader."""
    if not models.BusReader.objects.filter(name=name).delete()[0]:
        raise _unknown(name)


def acknowledge(name: str, position: int) -> None:
    """The reader is done with everything up to a position; never back. Raises UnknownReader."""
    rows = models.BusReader.objects.filter(name=name)
    if not rows.update(position=Greatest("position", position)):
        raise _unknown(name)


def slowest() -> int | None:
    """The position every declared reader has read, None without any."""
    found: int | None = models.BusReader.objects.aggregate(slowest=Min("position"))["slowest"]
    return found


def follow(
    transport: bus.Bus, *, after: int, limit: int = 500, block_milliseconds: int | None = None
) -> list[bus.Message]:
    """The events behind a position, without a hole and in order, at most `limit`; waits for the first that long.

    Without a bus they come from Postgres all the same, only without the waiting.
    """
    try:
        came = transport.read(after, limit=limit, block_milliseconds=block_milliseconds)
        published = cursors.position(cursors.BUS)
    except bus.BusUnavailable:
        came, published = [], sequencer.head()
    by_position = {message.position: message for message in came}
    until = min(published, after + limit)
    while until < after + limit and max(until, after) + 1 in by_position:  # the cursor moves a moment after the bus
        until = max(until, after) + 1
    missing = [position for position in range(after + 1, until + 1) if position not in by_position]
    if missing:
        by_position |= {message.position: message for message in pages.read_positions(missing)}
        if gone := [position for position in missing if position not in by_position]:
            raise NoLongerThere(f"the log has no event at position {gone[0]} any more: build the reader's state anew")
    return [by_position[position] for position in range(after + 1, until + 1)]


def _unknown(name: str) -> UnknownReader:
    known = ", ".join(models.BusReader.objects.order_by("name").values_list("name", flat=True)) or "none"
    return UnknownReader(f'there is no bus reader "{name}"; declared are: {known}')
