"""The registry of node kinds. Other apps add theirs with `register_kind` from their AppConfig.ready()."""

from __future__ import annotations

import re
from dataclasses import dataclass

from apps.kernel import errors, wording

_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")


class InvalidKind(errors.ValidationFailed):
    """No kind of content has this name. `detail` names those there are."""

    code = "invalid_kind"


@dataclass(frozen=True, slots=True)
class Kind:
    """A sort of node. Slugs are unique per kind and locale; `description` says what such a node is. Some can be
    commented on, where the tenant wants that.

    Nodes that follow their parent belong to it, as a comment does: the public sees them only while it sees the parent.
    """

    name: str
    description: str
    follows_parent: bool
    takes_comments: bool = False


_kinds: dict[str, Kind] = {}


def register_kind(name: str, *, description: str, follows_parent: bool = False, takes_comments: bool = False) -> Kind:
    """Add a kind. Raises ValueError for a wrong name or a second registration."""
    if not _NAME.fullmatch(name):
        raise ValueError(f'"{name}" is not a kind name: a-z, 0-9 and underscores, 32 at most, starting with a letter')
    if name in _kinds:
        raise ValueError(f'the kind "{name}" is registered already')
    _kinds[name] = Kind(name, description, follows_parent, takes_comments)
    return _kinds[name]


def all_kinds() -> list[Kind]:
    """Every registered kind, by name."""
    return [_kinds[name] for name in names()]


def names() -> list[str]:
    """The names of all kinds, in order."""
    return sorted(_kinds)


def following_parents() -> list[str]:
    """The names of the kinds whose nodes follow their parent."""
    return [kind.name for kind in all_kinds() if kind.follows_parent]


def get_kind(name: str) -> Kind:
    """The kind of this name. Raises InvalidKind, which names the nearest one."""
    kind = _kinds.get(name)
    if kind is None:
        hint = errors.did_you_mean(name, _kinds)
        detail = wording.say(
            '"{name}" is not a kind of content.{hint} There are: {kinds}.',
            name=name,
            hint=hint,
            kinds=", ".join(names()),
        )
        raise InvalidKind(detail, problems=[errors.FieldProblem("/kind", "invalid_kind", detail)])
    return kind


PAGE = register_kind("page", description="A page of the site, placed in the page tree.").name
POST = register_kind("post", description="A dated entry of the blog.", takes_comments=True).name
ARTICLE = register_kind("article", description="A longer editorial text.", takes_comments=True).name
CUSTOM = register_kind("custom", description="Content of a type the platform does not know itself.").name
ATTACHMENT = register_kind(
    "attachment", description="A file, described; its URL is in the metadata.", follows_parent=True
).name
COMMENT = register_kind(
    "comment", description="A reader's words about the node it is placed below.", follows_parent=True
).name
