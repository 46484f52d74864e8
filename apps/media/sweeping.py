"""Files without a row: of a process that died between writing a file and committing, or before deleting one."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta

from django.core.files.storage import default_storage

from apps.kernel import isolation
from apps.media import files, models
from apps.tenants import queries, scope

# Younger ones may be of a request that is still at work.
AGE = timedelta(days=1)


def sweep(*, now: datetime, age: timedelta = AGE) -> int:
    """Delete files of assets that are not there, older than a day, of all tenants; how many there were."""
    with isolation.all_tenants(reason="sweep files"):
        scopes = [queries.scope_of(tenant) for tenant in queries.with_scopes()]
    count = 0
    for at_work in scopes:
        with scope.use(at_work):
            count += _sweep(at_work.tenant_id, now - age)
    return count


def _sweep(tenant_id: uuid.UUID, before: datetime) -> int:
    places = _listed(files.folder_of(tenant_id))[0]
    known = set(models.Asset.objects.filter(place__in=places).values_list("place", flat=True))
    lost = [
        path
        for place in places
        if place not in known
        for path in _older(f"{files.folder_of(tenant_id)}/{place}", before)
    ]
    for path in lost:
        default_storage.delete(path)
    return len(lost)


def _older(folder: str, before: datetime) -> Iterator[str]:
    for name in _listed(folder)[1]:
        path = f"{folder}/{name}"
        if default_storage.get_modified_time(path) < before:
            yield path


def _listed(folder: str) -> tuple[list[str], list[str]]:
    try:
        return default_storage.listdir(folder)
    except FileNotFoundError:
        return [], []
