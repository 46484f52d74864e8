"""Stock locations. The default one is made when it is first used."""

from __future__ import annotations

from collections.abc import Iterable

from apps.commerce import errors, events, models
from apps.commerce.services import inputs
from apps.commerce.services.recording import record_on, writing
from apps.kernel import wording
from apps.kernel.errors import did_you_mean


def create_location(*, new: inputs.NewLocation) -> models.StockLocation:
    """A place where stock is kept. Raises DuplicateCode."""
    with writing():
        location, created = models.StockLocation.objects.get_or_create(code=new.code, defaults={"name": new.name})
        if not created:
            raise errors.DuplicateCode(
                wording.say('There is a stock location "{code}" already; choose another code.', code=new.code)
            )
        record_on(events.LOCATION, location.id, events.LocationCreated(code=location.code, name=location.name))
    return location


def find_locations(codes: Iterable[str]) -> dict[str, models.StockLocation]:
    """The locations that exist by their codes; the default one is made when it is asked for. Inside a transaction."""
    wanted = set(codes)
    if not wanted:
        return {}
    found = {row.code: row for row in models.StockLocation.objects.filter(code__in=wanted)}
    if inputs.DEFAULT_LOCATION in wanted - found.keys():
        location, created = models.StockLocation.objects.get_or_create(
            code=inputs.DEFAULT_LOCATION, defaults={"name": "Default"}
        )
        if created:
            payload = events.LocationCreated(code=location.code, name=location.name)
            record_on(events.LOCATION, location.id, payload)
        found[location.code] = location
    return found


def get_location(code: str) -> models.StockLocation:
    """Raises LocationNotFound, which suggests the nearest code. Inside a transaction."""
    found = find_locations([code])
    if code not in found:
        raise not_found(code)
    return found[code]


def not_found(code: str) -> errors.LocationNotFound:
    known = [inputs.DEFAULT_LOCATION, *models.StockLocation.objects.values_list("code", flat=True)[:1000]]
    return errors.LocationNotFound(
        wording.say('There is no stock location "{code}".{hint}', code=code, hint=did_you_mean(code, known))
    )
