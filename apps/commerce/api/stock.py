"""Stock, reservations and stock locations."""

from __future__ import annotations

from django.urls import path
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from apps.commerce import errors, queries, services
from apps.commerce.api import lists, shown
from apps.kernel import api, ids
from apps.kernel.operations import operation
from apps.tenants.endpoint import Endpoint

INVENTORY = "inventory"


class InventoryView(Endpoint):
    listing = lists.LEVELS
    permissions = {"GET": "inventory:read"}

    @operation("inventory_get", tag=INVENTORY, answers=shown.StockLevel, refuses=(errors.VariantNotFound,))
    def get(self, request: Request, variant_id: str) -> Response:
        """What is in stock of the variant at each location."""
        rows = queries.list_levels(variant_id=ids.decode("var", variant_id))
        return lists.LEVELS.respond(request, rows, lambda page: [shown.level(row, row.location) for row in page])


class InventoryAdjustView(Endpoint):
    needs_key = True
    permissions = {"POST": "inventory:update"}

    @operation(
        "inventory_adjust",
        tag=INVENTORY,
        takes=services.InventoryAdjustment,
        answers=shown.StockLevel,
        refuses=(errors.VariantNotFound, errors.LocationNotFound, errors.InsufficientInventory),
    )
    def post(self, request: Request, variant_id: str) -> Response:
        """Add to the stock at a location, or take from it."""
        adjustment = api.read_input(request, services.InventoryAdjustment)
        level = services.adjust_inventory(
            variant_id=ids.decode("var", variant_id), adjustment=adjustment, now=timezone.now()
        )
        return Response(shown.level(level, level.location))


class InventorySetView(Endpoint):
    needs_key = True
    permissions = {"POST": "inventory:update"}

    @operation(
        "inventory_set",
        tag=INVENTORY,
        takes=services.InventoryCount,
        answers=shown.StockLevel,
        refuses=(errors.VariantNotFound, errors.LocationNotFound, errors.InsufficientInventory),
    )
    def post(self, request: Request, variant_id: str) -> Response:
        """Set the stock at a location to what was counted."""
        count = api.read_input(request, services.InventoryCount)
        level = services.set_inventory(variant_id=ids.decode("var", variant_id), count=count, now=timezone.now())
        return Response(shown.level(level, level.location))


class ReservationsView(Endpoint):
    needs_key = True
    permissions = {"POST": "inventory:update"}

    @operation(
        "reservation_create",
        tag=INVENTORY,
        takes=services.NewReservation,
        answers=shown.Reservation,
        status=201,
        refuses=(errors.VariantNotFound, errors.LocationNotFound, errors.InsufficientInventory),
    )
    def post(self, request: Request) -> Response:
        """Promise a quantity of a variant until a moment."""
        new = api.read_input(request, services.NewReservation)
        return Response(shown.reservation(services.reserve(new=new, now=timezone.now())), status=201)


class ReservationReleaseView(Endpoint):
    needs_key = True
    permissions = {"POST": "inventory:update"}

    @operation(
        "reservation_release",
        tag=INVENTORY,
        answers=shown.Reservation,
        refuses=(errors.ReservationNotFound, errors.ReservationEnded),
    )
    def post(self, request: Request, reservation_id: str) -> Response:
        """Take the promise back."""
        return Response(shown.reservation(services.release(reservation_id=ids.decode("res", reservation_id))))


class ReservationCommitView(Endpoint):
    needs_key = True
    permissions = {"POST": "inventory:update"}

    @operation(
        "reservation_commit",
        tag=INVENTORY,
        answers=shown.Reservation,
        refuses=(errors.ReservationNotFound, errors.ReservationEnded, errors.InsufficientInventory),
    )
    def post(self, request: Request, reservation_id: str) -> Response:
        """The promised goods leave the stock."""
        reservation = services.commit_reservation(reservation_id=ids.decode("res", reservation_id), now=timezone.now())
        return Response(shown.reservation(reservation))


class LocationsView(Endpoint):
    listing = lists.LOCATIONS
    permissions = {"GET": "inventory:list", "POST": "inventory:create"}

    @operation("stock_location_list", tag=INVENTORY, answers=shown.StockLocation)
    def get(self, request: Request) -> Response:
        """Where stock is kept."""
        rows = queries.list_locations()
        return lists.LOCATIONS.respond(request, rows, lambda page: [shown.location(row) for row in page])

    @operation(
        "stock_location_create",
        tag=INVENTORY,
        takes=services.NewLocation,
        answers=shown.StockLocation,
        status=201,
        refuses=(errors.DuplicateCode,),
    )
    def post(self, request: Request) -> Response:
        """One more place where stock is kept."""
        location = services.create_location(new=api.read_input(request, services.NewLocation))
        return Response(shown.location(location), status=201)


urlpatterns = [
    path("variants/<str:variant_id>/inventory", InventoryView.as_view()),
    path("variants/<str:variant_id>/inventory/adjust", InventoryAdjustView.as_view()),
    path("variants/<str:variant_id>/inventory/set", InventorySetView.as_view()),
    path("reservations", ReservationsView.as_view()),
    path("reservations/<str:reservation_id>/release", ReservationReleaseView.as_view()),
    path("reservations/<str:reservation_id>/commit", ReservationCommitView.as_view()),
    path("stock-locations", LocationsView.as_view()),
]
