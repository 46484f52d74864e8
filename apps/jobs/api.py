"""What bulk endpoints have in common, and the jobs they lead to: `/api/v1/admin/jobs`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, cast

from django.http import StreamingHttpResponse
from django.urls import path
from django.utils import timezone
from pydantic import Field
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.models import User
from apps.accounts.permissions import InTenant
from apps.jobs import bulk, models, queries, services, shown
from apps.kernel import api, filters, ids, streaming, validation
from apps.kernel.listing import Listing
from apps.kernel.operations import operation
from apps.tenants.endpoint import Endpoint

JOBS = "jobs"
PAGE = 500
_Operation = Annotated[Any, Field(json_schema_extra={"x-bounds": "those of the operation it names"})]


LISTING = Listing(
    document=shown.Job,
    filters={
        "kind": filters.Filter(filters.one_of_those(lambda: list(bulk.kinds())), filters.SAME),
        "status": filters.choice(*models.Status.values),
        "created_at": filters.moments(),
    },
)


class Bulk(validation.Input):
    """As it is sent. Each operation is read by itself, so that a wrong one fails alone."""

    operations: Annotated[list[_Operation], Field(min_length=1, max_length=bulk.AT_MOST)]


class BulkView(Endpoint):
    """A subclass says of which `kind` it is, and describes what it takes."""

    kind: ClassVar[bulk.Kind]
    limit_class = "expensive"

    def respond(self, request: Request) -> Response:
        """Up to 100 operations at once, each with its own outcome; more as a job."""
        given = api.read_input(request, Bulk).operations
        if len(given) <= bulk.AT_ONCE:
            return Response(shown.results(bulk.carry_out_all(self.kind, given, now=timezone.now())))
        job = services.ask(kind=self.kind, operations=given, by=cast(User, request.user), now=timezone.now())
        address = f"/api/v1/admin/jobs/{ids.encode('job', job.id)}"
        return Response(shown.job(job), status=202, headers={"Location": address})


class JobView(Endpoint):
    """Open to whoever is logged in: `queries` says which jobs they may know of."""

    permission_classes = (InTenant,)
    public = "whoever asked for a job may know what became of it"


class JobsView(JobView):
    listing = LISTING

    @operation("job_list", tag=JOBS, answers=shown.Job)
    def get(self, request: Request) -> Response:
        """Your own jobs, and those of others that you could have carried out just as well; newest first."""
        return LISTING.respond(request, queries.list_jobs(), lambda page: [shown.job(row) for row in page])


class OneJobView(JobView):
    @operation("job_get", tag=JOBS, answers=shown.Job, refuses=(queries.JobNotFound,))
    def get(self, request: Request, job_id: str) -> Response:
        """How far the job is."""
        return Response(shown.job(queries.get_job(job_id=ids.decode("job", job_id))))


class JobCancelView(JobView):
    @operation("job_cancel", tag=JOBS, answers=shown.Job, refuses=(queries.JobNotFound, services.JobFinished))
    def post(self, request: Request, job_id: str) -> Response:
        """Stop the job before its next operation; what it has done stays."""
        return Response(shown.job(services.cancel(job_id=ids.decode("job", job_id), now=timezone.now())))


class JobErrorsView(JobView):
    @operation("job_errors", tag=JOBS, answers=str, media_type="application/x-ndjson", refuses=(queries.JobNotFound,))
    def get(self, request: Request, job_id: str) -> StreamingHttpResponse:
        """The operations that failed, one JSON object a line: `index`, `status` and `problem`."""
        return _outcomes(job_id, "errors", failed_only=True)


class JobResultsView(JobView):
    @operation("job_results", tag=JOBS, answers=str, media_type="application/x-ndjson", refuses=(queries.JobNotFound,))
    def get(self, request: Request, job_id: str) -> StreamingHttpResponse:
        """Every operation that has an outcome, one JSON object a line: `index`, `status`, and `id` or `problem`."""
        return _outcomes(job_id, "results", failed_only=False)


def _outcomes(job_id: str, name: str, *, failed_only: bool) -> StreamingHttpResponse:
    job = queries.get_job(job_id=ids.decode("job", job_id))

    def parts() -> Iterator[bytes]:
        after = -1
        while page := queries.outcomes_of(job, failed_only=failed_only, after=after, limit=PAGE):
            yield streaming.NDJSON.lines(shown.stored(page))
            after = page[-1].index

    return streaming.respond(parts(), streaming.NDJSON, name=f"{ids.encode('job', job.id)}-{name}")


urlpatterns = [
    path("jobs", JobsView.as_view()),
    path("jobs/<str:job_id>", OneJobView.as_view()),
    path("jobs/<str:job_id>/cancel", JobCancelView.as_view()),
    path("jobs/<str:job_id>/errors", JobErrorsView.as_view()),
    path("jobs/<str:job_id>/results", JobResultsView.as_view()),
]
