"""Many nodes in one request, and all of them in one answer."""

from __future__ import annotations

from typing import Annotated

from django.http import StreamingHttpResponse
from django.urls import path
from pydantic import Field
from rest_framework.request import Request
from rest_framework.response import Response

from apps.content import bulk, lists, queries, shown
from apps.content.api import NODES
from apps.jobs.api import BulkView
from apps.jobs.bulk import AT_MOST
from apps.jobs.exports import ExportView
from apps.jobs.shown import BulkResults, Job
from apps.kernel import streaming, validation
from apps.kernel.operations import operation

NodeOperation = Annotated[
    bulk.PublishNode | bulk.UnpublishNode | bulk.ArchiveNode | bulk.CreateNode | bulk.UpdateNode | bulk.DeleteNode,
    Field(discriminator="op"),
]


class NodesBulk(validation.Input):
    operations: Annotated[list[NodeOperation], Field(min_length=1, max_length=AT_MOST)]


class NodesBulkView(BulkView):
    kind = bulk.NODES
    permissions = {"POST": bulk.NODES.permission}

    @operation("node_bulk", tag=NODES, takes=NodesBulk, answers=BulkResults, later=Job)
    def post(self, request: Request) -> Response:
        """Create, change, delete, publish, unpublish or archive many nodes, each with its own outcome."""
        return self.respond(request)


class NodesExportView(ExportView):
    exported = lists.NODES
    parameters = tuple(lists.NODES.narrowing())
    resource = "nodes"
    permissions = {"GET": "nodes:export"}

    def export(self, request: Request) -> StreamingHttpResponse:
        return self.respond(request, queries.export_nodes(), lambda page: [shown.whole_node(node) for node in page])


class NodesNdjsonView(NodesExportView):
    format = streaming.NDJSON

    @operation("node_export_ndjson", tag=NODES, answers=str, media_type="application/x-ndjson")
    def get(self, request: Request) -> StreamingHttpResponse:
        """All nodes that pass the filters, whole, the oldest first, one JSON object a line."""
        return self.export(request)


class NodesCsvView(NodesExportView):
    format = streaming.csv_of(tuple(shown.WholeNode.__annotations__))

    @operation("node_export_csv", tag=NODES, answers=str, media_type="text/csv")
    def get(self, request: Request) -> StreamingHttpResponse:
        """All nodes that pass the filters, whole, the oldest first, for spreadsheets: no cell is a formula to them."""
        return self.export(request)


urlpatterns = [
    path("nodes/bulk", NodesBulkView.as_view()),
    path("nodes/export.ndjson", NodesNdjsonView.as_view()),
    path("nodes/export.csv", NodesCsvView.as_view()),
]
