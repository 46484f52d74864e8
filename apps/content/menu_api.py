"""The editors' side of menus: `/api/v1/admin/menus`."""

from __future__ import annotations

from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response

from apps.content import events, lists, queries, services, shown
from apps.kernel import api, ids
from apps.kernel.operations import operation
from apps.tenants import endpoint
from apps.tenants.endpoint import Endpoint

MENUS = "menus"


class MenusView(Endpoint):
    listing = lists.MENUS
    permissions = {"GET": "menus:list", "POST": "menus:create"}

    @operation("menu_list", tag=MENUS, answers=shown.Menu)
    def get(self, request: Request) -> Response:
        """Menus with their items, newest first."""
        return lists.MENUS.respond(request, queries.list_menus(), lambda page: [shown.menu(menu) for menu in page])

    @operation(
        "menu_create",
        tag=MENUS,
        takes=services.NewMenu,
        answers=shown.Menu,
        status=201,
        refuses=(services.LocationTaken, services.ExternalIdTaken, services.LocaleNotEnabled),
    )
    def post(self, request: Request) -> Response:
        """A menu with the tree of its items, five levels deep at most."""
        menu = services.create_menu(new=api.read_input(request, services.NewMenu))
        return Response(shown.menu(menu), status=201)


class MenuView(Endpoint):
    versioned = endpoint.by_id(events.MENU, "menu", "menu_id")
    permissions = {"GET": "menus:read", "PATCH": "menus:update", "DELETE": "menus:delete"}

    @operation("menu_get", tag=MENUS, answers=shown.Menu, refuses=(services.MenuNotFound,))
    def get(self, request: Request, menu_id: str) -> Response:
        """The menu with its items, targets as they were chosen."""
        return Response(shown.menu(queries.get_menu(menu_id=ids.decode("menu", menu_id))))

    @operation(
        "menu_update",
        tag=MENUS,
        takes=services.MenuChanges,
        answers=shown.Menu,
        refuses=(services.MenuNotFound, services.LocationTaken, services.LocaleNotEnabled),
    )
    def patch(self, request: Request, menu_id: str) -> Response:
        """Change what is given; `items` replace the whole tree."""
        changes = api.read_input(request, services.MenuChanges)
        return Response(shown.menu(services.update_menu(menu_id=ids.decode("menu", menu_id), changes=changes)))

    @operation("menu_delete", tag=MENUS, refuses=(services.MenuNotFound,))
    def delete(self, request: Request, menu_id: str) -> Response:
        """Delete the menu; what it leads to stays."""
        services.delete_menu(menu_id=ids.decode("menu", menu_id))
        return Response(status=204)


class MenuMoveItemView(Endpoint):
    permissions = {"POST": "menus:update"}

    @operation(
        "menu_move_item",
        tag=MENUS,
        takes=services.MenuItemMove,
        answers=shown.Menu,
        refuses=(services.MenuNotFound, services.MenuItemNotFound, services.TreeCycle, services.TreeTooDeep),
    )
    def post(self, request: Request, menu_id: str) -> Response:
        """Put one item, with all below it, at another place of the menu."""
        move = api.read_input(request, services.MenuItemMove)
        return Response(shown.menu(services.move_menu_item(menu_id=ids.decode("menu", menu_id), move=move)))


urlpatterns = [
    path("menus", MenusView.as_view()),
    path("menus/<str:menu_id>", MenuView.as_view()),
    path("menus/<str:menu_id>/move-item", MenuMoveItemView.as_view()),
]
