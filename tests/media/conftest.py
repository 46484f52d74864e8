from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from apps.tenants import models, scope
from tests import factories


@pytest.fixture(autouse=True)
def media(media_root: Path) -> Path:
    """A place for files of the test's own."""
    return media_root


@pytest.fixture
def tenant(db: None) -> models.Tenant:
    """A tenant that publishes in en (its default) and de."""
    return factories.make_tenant(default_locale="en", locales=["de"])


@pytest.fixture
def at_work(tenant: models.Tenant) -> Iterator[scope.Scope]:
    """In the scope of the tenant."""
    with factories.at_work(tenant) as entered:
        yield entered
