"""Roles of tenants from before there was a media library keep what they had: nodes of kind attachment."""

from __future__ import annotations

from importlib import import_module

import pytest
from django.db import connection

from apps.accounts import models
from apps.accounts.access import catalogue, rights
from tests import factories

migration = import_module("apps.accounts.migrations.0012_media_are_no_nodes")


@pytest.mark.django_db
def test_grants_on_media_become_grants_on_attachments_and_stay_where_the_library_knows_their_limits() -> None:
    with factories.at_work(factories.make_tenant()):
        role = models.Role.objects.create(slug="photographer", name="Photographer")
        for permission, constraint in [
            ("media:create", {}),
            ("media:update", {"own": True}),
            ("media:read", {"published": True}),
            ("media:list", {"locale": ["en"]}),
            ("pages:read", {"published": True}),
        ]:
            models.Grant.objects.create(role=role, permission=permission, constraint=constraint)

        with connection.cursor() as cursor:
            cursor.execute(migration.NODES)
            cursor.execute(migration.LIMITED)

        found = {(each.permission, str(each.constraint)): each for each in models.Grant.objects.filter(role=role)}
        for each in found.values():
            rights.parse_grant(each.permission, each.constraint)
    attachments = {"kind": ["attachment"]}
    assert {key for key in found if key[0].startswith("media:")} == {
        ("media:create", str({})), ("media:update", str({"own": True})),
    }  # fmt: skip
    assert {each.permission: each.constraint for each in found.values() if each.permission.startswith("nodes:")} == {
        "nodes:create": attachments,
        "nodes:update": {"own": True, **attachments},
        "nodes:read": {"published": True, **attachments},
        "nodes:list": {"locale": ["en"], **attachments},
    }
    assert ("pages:read", str({"published": True})) in found


def test_the_library_has_permissions_of_its_own() -> None:
    assert rights.canonical("media:read") == ("media:read", rights.ANY)
    assert catalogue.CONSTRAINTS["media"] == ("own",)
    with pytest.raises(rights.UnknownConstraint):
        rights.parse_grant("media:read", {"published": True})
