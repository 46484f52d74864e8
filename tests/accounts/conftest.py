from collections.abc import Iterator

import pytest

from apps.tenants import models, scope
from tests import factories


@pytest.fixture
def tenant(db: None) -> models.Tenant:
    return factories.make_tenant(default_locale="en", locales=["de"], currency="EUR")


@pytest.fixture
def at_work(tenant: models.Tenant) -> Iterator[scope.Scope]:
    with factories.at_work(tenant) as entered:
        yield entered
