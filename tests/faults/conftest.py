"""Shared by the tests of this folder."""

import pytest


@pytest.fixture(autouse=True)
def _over_all_tenants(over_all_tenants: None) -> None:
    """What moves events works for all of them."""
