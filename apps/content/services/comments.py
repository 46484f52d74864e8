"""Comments: written by customers below what is published, and shown once somebody has looked at them.

A comment is a node. Its state follows from that of the node: a draft waits, what is published is approved, and what is
archived was rejected, or taken for spam.
"""

from __future__ import annotations

import unicodedata
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator

from apps.accounts.models import Customer
from apps.content import kinds, models, permitted
from apps.content.services import editing, trees
from apps.content.services.creating import create_nodes
from apps.content.services.errors import NodeNotFound
from apps.content.services.inputs import BatchNode, BodyInput, NodeId, TranslationInput
from apps.kernel import errors, ids, text, validation, wording
from apps.outbox.append import unit_of_work
from apps.tenants import known_settings, scope

SETTING = "comments"
MAXIMUM_ANSWERS = 5


class CommentsClosed(errors.Conflict):
    """Nobody can comment there: the tenant takes no comments, or this is closed for them, or was published too long
    ago."""

    code = "comments_closed"
    title = "There are no comments here"


class State(StrEnum):
    """What somebody who moderates has said about a comment."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    SPAM = "spam"


class NewComment(validation.Input):
    """Words about what is published, or in answer to a comment: text without any markup."""

    parent_id: NodeId
    text: Annotated[str, validation.Prose(5000, minimum=1), AfterValidator(validation.check_visible)]
    locale: validation.Locale | None = None


class CommentRules(validation.Input):
    """The setting `comments` of a tenant. Comments are not taken unless it says so."""

    are_open: validation.Flag = False
    are_moderated: validation.Flag = True
    closed_after_days: Annotated[int, validation.Whole("days", 36_500, 1)] | None = None


known_settings.register(SETTING, CommentRules)


@dataclass(frozen=True, slots=True)
class _Thread:
    """What is commented on, and the comments from there down to the one that is answered."""

    subject: models.Node
    comments: list[models.Node]


def write_comment(*, customer: Customer, new: NewComment, now: datetime) -> models.Node:
    """A comment of the customer, shown at once only where the tenant does not moderate.

    Raises CommentsClosed, NodeNotFound, LocaleNotEnabled, ValidationFailed, NotPermitted.
    """
    rules = known_settings.read(CommentRules)
    _check_open(_thread(new.parent_id), rules, now)
    locale = new.locale or scope.current().default_locale
    comment = BatchNode(
        kind=kinds.COMMENT,
        parent_id=new.parent_id,
        author_name=customer.name,
        created_by=customer.pk,
        # People know comments by their text; the id makes their slugs different.
        translations=[TranslationInput(locale=locale, title=_title(new.text), slug=f"comment-{uuid.uuid4().hex}")],
        bodies=[BodyInput(locale=locale, format=models.Format.PLAIN, body=new.text)],
        publish=not rules.are_moderated,
    )
    [node] = create_nodes(batch=[comment], now=now)
    return node


def moderate_comment(*, comment_id: uuid.UUID, state: State, now: datetime) -> models.Node:
    """Approve, reject or take for spam. Saying the same twice changes nothing. Raises NodeNotFound, NotPermitted."""
    with unit_of_work():
        node = editing.locked_node(comment_id)
        if node.kind != kinds.COMMENT:
            raise permitted.not_found(comment_id)
        if state is State.APPROVED:
            return editing.publish_node(node_id=comment_id, now=now)
        if state is State.PENDING:
            return editing.unpublish_node(node_id=comment_id)
        node = editing.archive_node(node_id=comment_id)
        editing.mark_spam(node, state is State.SPAM)
        node.save()
        return node


def state_of(node: models.Node) -> State:
    """What was said about a comment."""
    if node.is_spam:
        return State.SPAM
    return {
        models.Status.PUBLISHED.value: State.APPROVED,
        models.Status.DRAFT.value: State.PENDING,
        models.Status.ARCHIVED.value: State.REJECTED,
    }[node.status]


def _title(words: str) -> str:
    """The beginning of the text on one line, of what can be seen in it."""
    line = text.to_one_line("".join(sign if not unicodedata.category(sign).startswith("C") else " " for sign in words))
    return line if len(line) <= 60 else f"{line[:59]}…"


def _thread(parent_id: uuid.UUID) -> _Thread:
    """Raises NodeNotFound for what the public does not see, and for what nobody comments on."""
    above = trees.ancestors_and_self(models.Node, parent_id)
    nodes = models.Node.objects.in_bulk(above)
    comments: list[models.Node] = []
    for node_id in above:
        node = nodes[node_id]
        if node.status != models.Status.PUBLISHED:
            break
        if node.kind == kinds.COMMENT:
            comments.append(node)
        elif kinds.get_kind(node.kind).takes_comments:
            return _Thread(node, comments)
        else:
            break
    raise NodeNotFound(
        wording.say("There is nothing to comment on with the id {node}.", node=ids.encode("node", parent_id))
    )


def _check_open(thread: _Thread, rules: CommentRules, now: datetime) -> None:
    subject = thread.subject
    is_open = rules.are_open if subject.comments_open is None else subject.comments_open
    if not is_open:
        raise CommentsClosed(wording.say("Comments are not taken here."))
    days = rules.closed_after_days
    if days is not None and subject.published_at is not None and subject.published_at + timedelta(days=days) < now:
        raise CommentsClosed(wording.say("Comments are taken for {days} days; this was published before.", days=days))
    if len(thread.comments) >= MAXIMUM_ANSWERS:
        said = wording.say("answers go {levels} levels deep; answer the comment above.", levels=MAXIMUM_ANSWERS)
        raise errors.ValidationFailed.for_field("/parent_id", "depth_too_large", said)
