"""The audit log of the tenant: `/api/v1/admin/audit`. Reading it is written down in it."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from django.db import transaction
from django.http import StreamingHttpResponse
from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from apps.audit import exporting, models, queries, recording
from apps.kernel import errors, filters, ids, isolation, streaming, validation, wording
from apps.kernel.listing import Listing, View
from apps.kernel.operations import operation

PREFIX = "audit"
_TEXT = filters.text.schema()
FILTERS = (
    OpenApiParameter("actor", _TEXT, description="`user:<uuid>`, `command:<name>`, `system` and the like."),
    OpenApiParameter("action", _TEXT, description="Whole, or a beginning that ends with a dot, such as `commerce.`."),
    OpenApiParameter("object_type", _TEXT),
    OpenApiParameter("object_id", _TEXT, description="The UUID, or the id as the other endpoints show it."),
    OpenApiParameter("correlation_id", OpenApiTypes.UUID),
    OpenApiParameter("since", OpenApiTypes.DATETIME, description="This moment or later."),
    OpenApiParameter("until", OpenApiTypes.DATETIME, description="Before this moment."),
)
ENTRIES = Listing(
    document=exporting.AuditEntry,
    sorts={"occurred_at": "occurred_at"},
    default="-occurred_at",
    others=FILTERS,
)


class FilterInput(validation.Input):
    """The parameters that narrow; what is absent does not."""

    actor: validation.ShortText = ""
    action: validation.ShortText = ""
    object_type: validation.ShortText = ""
    object_id: validation.ShortText = ""
    correlation_id: uuid.UUID | None = None
    since: validation.Moment | None = None
    until: validation.Moment | None = None


def read_filter(request: Request) -> queries.Filter:
    """Raises ValidationFailed naming every wrong parameter."""
    given = {name: request.GET[name] for name in FilterInput.model_fields if name in request.GET}
    found = validation.parse(FilterInput, given)
    return queries.Filter(**found.__dict__ | {"object_id": _plain_id(found.object_id)})


class AuditView(View):
    listing: ClassVar = ENTRIES
    permissions: ClassVar = {"GET": "audit:list"}

    @operation("audit_list", tag="audit", answers=exporting.AuditEntry)
    def get(self, request: Request) -> Response:
        """Entries, the newest first."""
        wanted = read_filter(request)

        def show(rows: list[models.Entry]) -> list[exporting.AuditEntry]:
            personal = queries.personal_of(rows)
            record_reading("audit.log.read", {**exporting.told(wanted), "entries": len(rows)})
            return [exporting.shown(row, personal.get(row.id)) for row in rows]

        with transaction.atomic():
            return ENTRIES.respond(request, queries.entries(wanted), show)


class EntryView(View):
    permissions: ClassVar = {"GET": "audit:read"}

    @operation("audit_get", tag="audit", answers=exporting.AuditEntry)
    def get(self, request: Request, entry_id: str) -> Response:
        """One entry with what changed, before and after."""
        with transaction.atomic():
            row = models.Entry.objects.filter(id=ids.decode(PREFIX, entry_id)).first()
            if row is None:
                raise errors.NotFound(wording.say('There is no entry "{entry}".', entry=entry_id))
            record_reading("audit.log.read", {"entry": row.id})
        return Response(exporting.shown(row, queries.personal_of([row]).get(row.id)))


class ExportView(View):
    """A subclass for each format, so that each has its address and description."""

    limit_class = "expensive"
    parameters: ClassVar = FILTERS
    permissions: ClassVar = {"GET": "audit:export"}
    format: streaming.Format

    def respond(self, request: Request) -> StreamingHttpResponse:
        wanted = read_filter(request)
        with transaction.atomic():
            record_reading("audit.log.exported", {**exporting.told(wanted), "format": self.format.name})
        return streaming.respond(exporting.stream(wanted, self.format), self.format, name="audit")


class NdjsonView(ExportView):
    format = streaming.NDJSON

    @operation("audit_export_ndjson", tag="audit", answers=str, media_type="application/x-ndjson")
    def get(self, request: Request) -> StreamingHttpResponse:
        """All entries that pass the filter, the oldest first, one JSON object a line."""
        return self.respond(request)


class CsvView(ExportView):
    format = exporting.CSV

    @operation("audit_export_csv", tag="audit", answers=str, media_type="text/csv")
    def get(self, request: Request) -> StreamingHttpResponse:
        """All entries that pass the filter, the oldest first, for spreadsheets: no cell is taken for a formula."""
        return self.respond(request)


def record_reading(action: str, what: dict[str, Any]) -> None:
    """Write down that the log of whoever is shown was read."""
    tenant_id = uuid.UUID(isolation.shown()) if isolation.shown() not in {"", isolation.ALL} else None
    recording.record(action=action, tenant_id=tenant_id, object_type="audit", after=what)


def _plain_id(text: str) -> str:
    """The UUID behind an id with a prefix; any other text as it is."""
    prefix, separator, _ = text.rpartition("_")
    try:
        return str(ids.decode(prefix, text)) if separator else text
    except ids.InvalidId:
        return text


urlpatterns = [
    path("audit", AuditView.as_view()),
    path("audit/export.ndjson", NdjsonView.as_view()),
    path("audit/export.csv", CsvView.as_view()),
    path("audit/<str:entry_id>", EntryView.as_view()),
]
