"""What bulk endpoints have in common."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from django.utils import timezone
from pydantic import Field
from rest_framework.request import Request
from rest_framework.response import Response

from apps.jobs import bulk, shown
from apps.kernel import api, validation
from apps.tenants.endpoint import Endpoint


class Bulk(validation.Input):
    """As it is sent. Each operation is read by itself, so that a wrong one fails alone."""

    operations: Annotated[list[Any], Field(min_length=1, max_length=bulk.AT_ONCE)]


class BulkView(Endpoint):
    """A subclass says of which `kind` it is, and describes what it takes."""

    kind: ClassVar[bulk.Kind]
    limit_class = "expensive"

    def respond(self, request: Request) -> Response:
        """Up to 100 operations at once, each with its own outcome."""
        given = api.read_input(request, Bulk).operations
        return Response(shown.results(bulk.carry_out_all(self.kind, given, now=timezone.now())))
