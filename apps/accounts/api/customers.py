"""The customers of the tenant, for those who work in it: `/api/v1/admin/customers`."""

from __future__ import annotations

from typing import ClassVar

from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts import models, queries
from apps.accounts.api import shown
from apps.accounts.services import customers
from apps.kernel import api, filters, ids
from apps.kernel.listing import Listing
from apps.kernel.operations import operation
from apps.tenants.endpoint import Endpoint


class CustomerAccount(shown.Customer):
    """A customer as those see it who work in the tenant."""

    is_active: bool


def _shown(row: models.Customer) -> CustomerAccount:
    return {**shown.customer(row), "is_active": row.is_active}


CUSTOMERS = Listing(
    document=CustomerAccount,
    filters={
        "email": filters.words(read=filters.email),
        "is_active": filters.flag(),
        "created_at": filters.moments(),
    },
    sorts={"created_at": "id", "email": "email"},
)


class CustomersView(Endpoint):
    listing: ClassVar = CUSTOMERS
    permissions: ClassVar = {"GET": "customers:list"}

    @operation("customers", tag="customers", answers=CustomerAccount)
    def get(self, request: Request) -> Response:
        """Customers, newest first."""
        rows = models.Customer.objects.all()
        return CUSTOMERS.respond(request, rows, lambda page: [_shown(row) for row in page])


class CustomerView(Endpoint):
    permissions: ClassVar = {"GET": "customers:read", "PATCH": "customers:update"}

    @operation("customer_get", tag="customers", answers=CustomerAccount, refuses=(queries.CustomerNotFound,))
    def get(self, request: Request, customer_id: str) -> Response:
        """One customer."""
        return Response(_shown(queries.get_customer(ids.decode("cust", customer_id))))

    @operation(
        "customer_update",
        tag="customers",
        takes=customers.CustomerChanges,
        answers=CustomerAccount,
        refuses=(queries.CustomerNotFound,),
    )
    def patch(self, request: Request, customer_id: str) -> Response:
        """Switch a customer's account off or on; switched off, all its sessions end for good."""
        changes = api.read_input(request, customers.CustomerChanges)
        customer = queries.get_customer(ids.decode("cust", customer_id))
        return Response(_shown(customers.set_active(customer=customer, is_active=changes.is_active)))


urlpatterns = [
    path("customers", CustomersView.as_view()),
    path("customers/<str:customer_id>", CustomerView.as_view()),
]
