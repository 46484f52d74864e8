"""Every list of the admin can be searched, for words and for ids, on the platform's host and on a tenant's."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.test import Client

from tests import factories

SEARCHED = sorted(
    f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
    for model, screen in admin.site._registry.items()
    if screen.search_fields
)


def test_there_are_lists_to_search() -> None:
    assert "/admin/commerce/reservation/" in SEARCHED


@pytest.mark.django_db
@pytest.mark.parametrize("path", SEARCHED)
def test_a_list_is_searched(path: str) -> None:
    tenant = factories.make_tenant()
    browser = Client()
    browser.force_login(factories.make_user(is_staff=True, is_superuser=True))

    for host in ({}, {"host": f"{tenant.slug}.test"}):
        for words in ("a", "01890a5d-ac96-774b-bcce-b302099a8057"):
            assert browser.get(path, {"q": words}, headers=host).status_code == 200
