"""What can be done to nodes in bulk: each operation calls the service that the endpoint of one node calls."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Literal

from apps.content import events, services
from apps.jobs import bulk
from apps.kernel import ids
from apps.outbox import append
from apps.tenants import scope


class _OfNode(bulk.Edit):
    id: services.NodeId
    permission: ClassVar[str] = "nodes:update"

    def stream(self) -> append.Key:
        return scope.current_id(), events.NODE, self.id

    @property
    def shown_id(self) -> str:
        return ids.encode("node", self.id)


class PublishNode(_OfNode):
    """Show the node to the public."""

    op: Literal["publish"]
    data: services.Publication = services.Publication()

    def perform(self, *, now: datetime) -> str:
        services.publish_node(node_id=self.id, now=now, published_at=self.data.published_at)
        return self.shown_id


class UnpublishNode(_OfNode):
    """Back to draft."""

    op: Literal["unpublish"]

    def perform(self, *, now: datetime) -> str:
        services.unpublish_node(node_id=self.id)
        return self.shown_id


class ArchiveNode(_OfNode):
    """Out of sight, kept."""

    op: Literal["archive"]

    def perform(self, *, now: datetime) -> str:
        services.archive_node(node_id=self.id)
        return self.shown_id


class CreateNode(bulk.Operation):
    """A node: a draft, or published at once."""

    op: Literal["create"]
    data: services.NewNode
    permission = "nodes:create"
    status = 201

    def perform(self, *, now: datetime) -> str:
        return ids.encode("node", services.create_node(new=self.data, now=now).id)


class UpdateNode(_OfNode):
    """Change what is given. Needs `if_match`."""

    op: Literal["update"]
    data: services.NodeChanges
    needs_version = True

    def perform(self, *, now: datetime) -> str:
        services.update_node(node_id=self.id, changes=self.data)
        return self.shown_id


class DeleteNode(_OfNode):
    """Delete the node and everything below it. Needs `if_match`."""

    op: Literal["delete"]
    permission = "nodes:delete"
    status = 204
    needs_version = True

    def perform(self, *, now: datetime) -> str:
        services.delete_node(node_id=self.id)
        return self.shown_id


NODES = bulk.register(
    bulk.Kind(
        name="nodes",
        permission="nodes:update",
        module="content",
        operations={
            "create": CreateNode,
            "update": UpdateNode,
            "delete": DeleteNode,
            "publish": PublishNode,
            "unpublish": UnpublishNode,
            "archive": ArchiveNode,
        },
    )
)


class _Moderation(_OfNode):
    state: ClassVar[services.CommentState]

    def perform(self, *, now: datetime) -> str:
        services.moderate_comment(comment_id=self.id, state=self.state, now=now)
        return self.shown_id


class ApproveComment(_Moderation):
    """Show the comment."""

    op: Literal["approve"]
    state = services.CommentState.APPROVED


class RejectComment(_Moderation):
    """Keep the comment out of sight."""

    op: Literal["reject"]
    state = services.CommentState.REJECTED


class MarkSpam(_Moderation):
    """Keep the comment out of sight, as spam."""

    op: Literal["spam"]
    state = services.CommentState.SPAM


COMMENTS = bulk.register(
    bulk.Kind(
        name="comments",
        permission="nodes:update",
        module="content",
        operations={"approve": ApproveComment, "reject": RejectComment, "spam": MarkSpam},
    )
)
