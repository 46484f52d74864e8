from collections.abc import Iterator

import pytest

from apps.tenants import models, scope
from tests import factories


@pytest.fixture
def tenant(db: None) -> models.Tenant:
    """A tenant that publishes in en (its default) and de, and sells in EUR."""
    return factories.make_tenant(default_locale="en", locales=["de"], currency="EUR")


@pytest.fixture
def at_work(tenant: models.Tenant) -> Iterator[scope.Scope]:
    """In the scope of the tenant."""
    with factories.at_work(tenant) as entered:
        yield entered
