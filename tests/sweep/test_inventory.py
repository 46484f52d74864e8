"""What can be called says whose rows it works on; what comes new without saying so is found."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from celery import current_app
from django.contrib import admin
from django.contrib.contenttypes.models import ContentType
from django.core.management import get_commands, load_command_class
from django.http import HttpRequest, HttpResponse
from django.urls import get_resolver, path
from rest_framework.views import APIView

from apps.consumers import effects, sending
from apps.consumers.projections import all_projections
from apps.kernel import isolation
from tests.sweep import inventory


def commands() -> Iterator[tuple[str, Any]]:
    """Our own commands; those of others come with their packages."""
    for name, app in get_commands().items():
        if str(app).startswith(("apps.", "rustok")):
            yield name, load_command_class(str(app), name)


def tasks() -> list[tuple[str, Any]]:
    current_app.loader.import_default_modules()
    return [(name, task) for name, task in current_app.tasks.items() if not name.startswith(("celery.", "tests."))]


def test_every_page_says_whose_rows_it_shows() -> None:
    found = [(path, inventory.of_page(path, view)) for path, view in inventory.pages(get_resolver().url_patterns)]

    assert len(found) > 60
    assert inventory.undeclared(found) == []
    assert {tenancy for _, tenancy in found} == {"tenant", "public"}


def test_every_screen_of_the_admin_shows_rows_of_a_tenant_or_says_why_not() -> None:
    found = [(screen.model._meta.label, inventory.of_screen(screen)) for screen in admin.site._registry.values()]

    assert len(found) > 15
    assert inventory.undeclared(found) == []
    assert inventory.PLATFORM_SCREENS.keys() == {name for name, tenancy in found if tenancy == "platform"}


def test_every_task_says_whose_rows_it_works_on() -> None:
    found = [(name, inventory.of_declared(task)) for name, task in tasks()]

    assert len(found) > 8
    assert inventory.undeclared(found) == []


def test_every_command_says_whose_rows_it_works_on() -> None:
    found = [(name, inventory.of_declared(command)) for name, command in commands()]

    assert len(found) > 15
    assert inventory.undeclared(found) == []


def test_every_projection_writes_rows_of_a_tenant() -> None:
    found = [(projection.name, inventory.of_projection(projection)) for projection in all_projections()]

    assert found
    assert inventory.undeclared(found) == []


def test_every_effect_says_whose_rows_it_works_on() -> None:
    found = [(effect.name, inventory.of_declared(effect)) for effect in effects.all_effects()]

    assert found
    assert inventory.undeclared(found) == []


@pytest.mark.parametrize(("tenancy", "shown"), [("tenant", str(uuid.UUID(int=7))), ("platform", "*"), ("public", "")])
def test_an_effect_sees_the_rows_it_says(tenancy: effects.Tenancy, shown: str) -> None:
    effect = effects.Effect("test", (), lambda event: [], lambda task: "", tenancy)
    task = effects.Task("key", uuid.UUID(int=7), "target", {}, 1)

    with isolation.all_tenants(reason="test"), sending._shown_to(effect, task):
        assert isolation.shown() == shown


def test_what_does_not_say_it_is_found() -> None:
    class Silent(APIView):
        permissions = {"GET": "nodes:list"}

        def get(self) -> None: ...

        def post(self) -> None: ...

    class Wrong:
        tenancy = "everybody"

    def page(request: HttpRequest) -> HttpResponse:
        return HttpResponse()

    routes = [path("new/api", Silent.as_view()), path("new/page", page)]
    found = [(route, inventory.of_page(route, view)) for route, view in inventory.pages(routes)]

    assert inventory.undeclared(found) == ["/new/api", "/new/page"]
    assert inventory.of_screen(admin.ModelAdmin(ContentType, admin.site)) is None
    assert inventory.of_declared(object()) is None
    assert inventory.of_declared(Wrong) is None
