from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from apps.outbox import archive_files, archiving, partitions, retention
from apps.tenants import models
from tests import factories
from tests.lifecycle import moving
from tests.outbox.conftest import partitions_of_ten


@pytest.fixture(autouse=True)
def view(over_all_tenants: None) -> None:
    """The tests look at everybody's rows; what they call says itself whose it sees (`moving.run`)."""


@pytest.fixture(autouse=True)
def media(media_root: Path) -> Path:
    """A place for files of the test's own."""
    return media_root


@pytest.fixture
def tenant(committed_db: None) -> models.Tenant:
    """A full tenant."""
    return moving.make_full_tenant()


@pytest.fixture
def neighbour(committed_db: None) -> models.Tenant:
    """Another one, whose words are others."""
    return moving.make_full_tenant("neighbour-51c0")


@pytest.fixture
def archived(
    tmp_path: Path, committed_db: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[models.Tenant, models.Tenant]]:
    """A suspended tenant and its neighbour in a log of small partitions, most of it in archives and nowhere else."""
    monkeypatch.setattr(archive_files, "SEGMENT_EVENTS", 4)
    monkeypatch.setattr(partitions, "PAUSE_SECONDS", 0.01)
    monkeypatch.setenv("RUSTOK_EVENTS_ARCHIVE_DIR", str(tmp_path / "archive"))
    with partitions_of_ten(tmp_path / "archive"):
        tenant = moving.make_full_tenant()
        neighbour = moving.make_full_tenant("neighbour-51c0")
        partitions.ensure()
        for first, last in archiving.sealed():
            archiving.archive(first, last)
        retention.drop()
        with factories.at_work(neighbour):
            moving.site.make_tag("later")
            moving.site.make_tag("latest")
        moving.suspend(tenant)
        yield tenant, neighbour
