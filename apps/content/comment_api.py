"""Comments: customers write at `/api/v1/store/account/comments`, editors look at them at `/api/v1/admin/comments`."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, cast

from django.urls import path
from django.utils import timezone
from pydantic import Field
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.api.account import CustomerLoggedIn
from apps.accounts.authentication import CustomerAuthentication
from apps.accounts.models import Customer
from apps.accounts.permissions import InTenant
from apps.content import bulk, lists, queries, services, shown
from apps.jobs.api import BulkView
from apps.jobs.bulk import AT_MOST
from apps.jobs.shown import BulkResults, Job
from apps.kernel import api, ids, validation
from apps.kernel.operations import operation
from apps.tenants.endpoint import Endpoint

COMMENTS = "comments"


class OwnCommentsView(Endpoint):
    """Of the customer who asks."""

    listing = lists.OWN_COMMENTS
    authentication_classes = (CustomerAuthentication,)
    permission_classes = (CustomerLoggedIn, InTenant)
    public = "the services ask what the customer may do"
    limit_cost: ClassVar[dict[str, int]] = {"POST": 10}

    @operation("account_comments", tag="account", answers=shown.OwnComment)
    def get(self, request: Request) -> Response:
        """One's own comments, newest first, with what was said about them."""
        rows = queries.list_comments().filter(created_by=cast(Customer, request.user).pk)
        return lists.OWN_COMMENTS.respond(request, rows, lambda page: [shown.own_comment(node) for node in page])

    @operation(
        "account_comment_write",
        tag="account",
        takes=services.NewComment,
        answers=shown.OwnComment,
        status=201,
        refuses=(services.CommentsClosed, services.NodeNotFound, services.LocaleNotEnabled, services.TreeTooDeep),
    )
    def post(self, request: Request) -> Response:
        """Comment on a published post, or answer a comment; it is shown once somebody has approved it."""
        new = api.read_input(request, services.NewComment)
        node = services.write_comment(customer=cast(Customer, request.user), new=new, now=timezone.now())
        return Response(shown.own_comment(queries.get_comment(comment_id=node.id)), status=201)


class CommentsView(Endpoint):
    listing = lists.COMMENTS
    permissions = {"GET": "nodes:list"}  # of comments: the query asks

    @operation("comment_list", tag=COMMENTS, answers=shown.Comment)
    def get(self, request: Request) -> Response:
        """Comments, newest first; `state=pending` are those that wait."""
        rows = queries.list_comments()
        return lists.COMMENTS.respond(request, rows, lambda page: [shown.comment(node) for node in page])


class ModerationView(Endpoint):
    permissions = {"POST": "nodes:update"}  # of comments: the service asks
    state: ClassVar[services.CommentState]

    def moderate(self, comment_id: str) -> Response:
        """The comment in the state of the view."""
        node_id = ids.decode("node", comment_id)
        services.moderate_comment(comment_id=node_id, state=self.state, now=timezone.now())
        return Response(shown.comment(queries.get_comment(comment_id=node_id)))


class CommentApproveView(ModerationView):
    state = services.CommentState.APPROVED

    @operation("comment_approve", tag=COMMENTS, answers=shown.Comment, refuses=(services.NodeNotFound,))
    def post(self, request: Request, comment_id: str) -> Response:
        """Show the comment."""
        return self.moderate(comment_id)


class CommentRejectView(ModerationView):
    state = services.CommentState.REJECTED

    @operation("comment_reject", tag=COMMENTS, answers=shown.Comment, refuses=(services.NodeNotFound,))
    def post(self, request: Request, comment_id: str) -> Response:
        """Keep the comment out of sight."""
        return self.moderate(comment_id)


class CommentSpamView(ModerationView):
    state = services.CommentState.SPAM

    @operation("comment_spam", tag=COMMENTS, answers=shown.Comment, refuses=(services.NodeNotFound,))
    def post(self, request: Request, comment_id: str) -> Response:
        """Keep the comment out of sight, as spam."""
        return self.moderate(comment_id)


class ModerationOperation(validation.Input):
    op: Literal["approve", "reject", "spam"]
    id: services.NodeId


class CommentsBulk(validation.Input):
    operations: Annotated[list[ModerationOperation], Field(min_length=1, max_length=AT_MOST)]


class CommentsBulkView(BulkView):
    kind = bulk.COMMENTS
    permissions = {"POST": bulk.COMMENTS.permission}

    @operation("comment_bulk", tag=COMMENTS, takes=CommentsBulk, answers=BulkResults, later=Job)
    def post(self, request: Request) -> Response:
        """Approve, reject or take for spam many comments, each with its own outcome."""
        return self.respond(request)


editors = [
    path("comments", CommentsView.as_view()),
    path("comments/bulk", CommentsBulkView.as_view()),
    path("comments/<str:comment_id>/approve", CommentApproveView.as_view()),
    path("comments/<str:comment_id>/reject", CommentRejectView.as_view()),
    path("comments/<str:comment_id>/spam", CommentSpamView.as_view()),
]
customers = [path("comments", OwnCommentsView.as_view())]
