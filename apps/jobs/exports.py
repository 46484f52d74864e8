"""Everything a list can be narrowed to, as a file: one state of the database, however long it takes to be read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import StreamingHttpResponse
from rest_framework.request import Request

from apps.audit import recording as audit
from apps.kernel import streaming
from apps.kernel.listing import Listing, View
from apps.tenants import scope


class ExportView(View):
    """A subclass for each format, so that each has its address and description. `exported` lends its filters."""

    limit_class = "expensive"
    exported: ClassVar[Listing]
    resource: ClassVar[str]
    format: ClassVar[streaming.Format]

    def respond[Row: Model](
        self, request: Request, rows: QuerySet[Row, Row], show: Callable[[list[Row]], Sequence[Any]]
    ) -> StreamingHttpResponse:
        """The rows that pass the filters, the oldest first, each as `show` makes it. Raises ValidationFailed."""
        wanted, format = self.exported.narrow(request, rows), self.format
        with transaction.atomic():
            self._tell(request)

        def parts() -> Iterator[bytes]:
            with streaming.snapshot():
                for page in streaming.pages(wanted):
                    yield format.lines(show(page))

        return streaming.respond(parts(), format, name=self.resource)

    def _tell(self, request: Request) -> None:
        audit.record(
            action=f"{self.resource}.exported",
            tenant_id=scope.current_id(),
            object_type=self.resource,
            after={"format": self.format.name, **request.GET.dict()},
        )
