from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from apps.tenants import models, scope
from tests import factories


@pytest.fixture(autouse=True)
def media(settings: Any, tmp_path: Path) -> Path:
    """A place for files of the test's own."""
    settings.MEDIA_ROOT = tmp_path / "media"
    return tmp_path / "media"


@pytest.fixture
def tenant(db: None) -> models.Tenant:
    """A tenant that publishes in en (its default) and de."""
    return factories.make_tenant(default_locale="en", locales=["de"])


@pytest.fixture
def at_work(tenant: models.Tenant) -> Iterator[scope.Scope]:
    """In the scope of the tenant."""
    with factories.at_work(tenant) as entered:
        yield entered
