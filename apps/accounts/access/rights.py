"""Rights as values: grants with constraints, what a person holds of them, and whether that covers something."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypedDict

from apps.accounts.access import catalogue
from apps.kernel import errors, wording
from apps.kernel.operations import Free

FLAGS = ("own", "published")
SETS = ("kind", "category", "locale")


class UnknownConstraint(errors.ValidationFailed):
    """A grant carries a constraint that its resource does not know, or a wrong value. `detail` says what it takes."""

    code = "unknown_constraint"

    @classmethod
    def of(cls, detail: str) -> UnknownConstraint:
        return cls(detail, problems=[errors.FieldProblem("/grants", "unknown_constraint", detail)])


@dataclass(frozen=True, slots=True)
class Constraint:
    """What a grant is limited to, all of it at once; None and False are no limit. Categories are UUIDs as text."""

    own: bool = False
    published: bool = False
    kind: frozenset[str] | None = None
    category: frozenset[str] | None = None
    locale: frozenset[str] | None = None

    def covers(self, other: Constraint) -> bool:
        """Whether everything within the other one is within this one."""
        flags = all(getattr(other, name) or not getattr(self, name) for name in FLAGS)
        return flags and all(_holds(getattr(self, name), getattr(other, name)) for name in SETS)

    def within(self, other: Constraint) -> Constraint:
        """What is within both."""
        return Constraint(
            own=self.own or other.own,
            published=self.published or other.published,
            kind=_both(self.kind, other.kind),
            category=_both(self.category, other.category),
            locale=_both(self.locale, other.locale),
        )

    def stored(self) -> dict[str, Any]:
        """As JSON: only what limits."""
        found: dict[str, Any] = {name: True for name in FLAGS if getattr(self, name)}
        return found | {name: sorted(value) for name in SETS if (value := getattr(self, name)) is not None}


ANY = Constraint()


def _holds(mine: frozenset[str] | None, theirs: frozenset[str] | None) -> bool:
    return mine is None or (theirs is not None and theirs <= mine)


def _both(mine: frozenset[str] | None, theirs: frozenset[str] | None) -> frozenset[str] | None:
    if mine is None or theirs is None:
        return theirs if mine is None else mine
    return mine & theirs


class PermissionGrant(TypedDict):
    """A permission, `resource:action`; `constraint` says for which objects, empty for all."""

    permission: str
    constraint: Free


@dataclass(frozen=True, slots=True)
class Grant:
    """One permission, perhaps limited."""

    permission: str
    constraint: Constraint = ANY

    def shown(self) -> PermissionGrant:
        return {"permission": self.permission, "constraint": self.constraint.stored()}


def parse_grant(permission: str, constraint: Mapping[str, Any]) -> Grant:
    """The grant these words say. Raises UnknownPermission, UnknownConstraint."""
    resource = catalogue.check(permission).partition(":")[0]
    known = catalogue.CONSTRAINTS.get(resource, ())
    for name, value in constraint.items():
        if name not in known:
            accepted = (
                wording.say("it takes {known}", known=", ".join(known)) if known else wording.say("it takes none")
            )
            hint = errors.did_you_mean(name, known)
            raise UnknownConstraint.of(
                wording.say(
                    '"{name}" is no constraint on {resource}; {accepted}.{hint}',
                    name=name,
                    resource=resource,
                    accepted=accepted,
                    hint=hint,
                )
            )
        _check_value(name, value)
    words: dict[str, Any] = {name: frozenset(value) if name in SETS else value for name, value in constraint.items()}
    return Grant(permission, Constraint(**words))


def _check_value(name: str, value: Any) -> None:
    if name in FLAGS:
        if value is not True:
            raise UnknownConstraint.of(
                wording.say('"{name}" is true or absent, not {value}.', name=name, value=repr(value))
            )
    elif not isinstance(value, list | tuple) or not value or not all(isinstance(word, str) for word in value):
        raise UnknownConstraint.of(
            wording.say('"{name}" is a list of at least one text, not {value}.', name=name, value=repr(value))
        )


def expand(grants: Iterable[Grant]) -> dict[str, tuple[Constraint, ...]]:
    """By permission, the alternatives of which one must fit: `manage` as every action, pages as nodes of that kind."""
    found: defaultdict[str, list[Constraint]] = defaultdict(list)
    for grant in grants:
        resource, _, action = grant.permission.partition(":")
        for each in catalogue.ACTIONS if action == catalogue.MANAGE else (action,):
            permission, limit = canonical(f"{resource}:{each}")
            constraint = grant.constraint.within(limit)
            if not any(known.covers(constraint) for known in found[permission]):
                found[permission] = [known for known in found[permission] if not constraint.covers(known)]
                found[permission].append(constraint)
    return {permission: tuple(alternatives) for permission, alternatives in found.items()}


def canonical(permission: str) -> tuple[str, Constraint]:
    """The permission the engine asks for, with the limit it implies: `pages:read` is `nodes:read` of pages."""
    resource, _, action = permission.partition(":")
    kind = catalogue.KIND_OF.get(resource)
    return (permission, ANY) if kind is None else (f"nodes:{action}", Constraint(kind=frozenset({kind})))


@dataclass(frozen=True, slots=True)
class Rights:
    """What somebody may do in one tenant; `alternatives` by permission as `expand` gives them."""

    holder_id: uuid.UUID | None = None
    roles: tuple[str, ...] = ()
    alternatives: Mapping[str, tuple[Constraint, ...]] = field(default_factory=dict)
    is_member: bool = False
    break_glass_id: uuid.UUID | None = None

    def on(self, permission: str) -> tuple[Constraint, ...]:
        """The alternatives for a permission; empty when it is not held."""
        asked, limit = canonical(permission)
        held = self.alternatives.get(asked, ())
        return held if limit == ANY else tuple(known.within(limit) for known in held if _meets(known, limit))

    def allows(self, permission: str) -> bool:
        return bool(self.on(permission))

    def limited_to(self, scopes: Iterable[str] | None) -> Rights:
        """The same within the scopes of a key or token; None is no limit. What is shared is for members in person."""
        if scopes is None:
            return self
        allowed = expand(Grant(scope) for scope in scopes if scope in catalogue.PERMISSIONS)
        both = {
            permission: tuple(
                mine.within(other) for mine in held for other in allowed[permission] if _meets(mine, other)
            )
            for permission, held in self.alternatives.items()
            if permission in allowed
        }
        kept = {permission: alternatives for permission, alternatives in both.items() if alternatives}
        return Rights(self.holder_id, self.roles, kept, False, self.break_glass_id)

    def lacking(self, grants: Iterable[Grant]) -> list[str]:
        """The permissions among these grants that go beyond what is held, in order."""
        wanted = expand(grants)
        return sorted(
            permission
            for permission, constraints in wanted.items()
            if not all(any(mine.covers(other) for mine in self.on(permission)) for other in constraints)
        )

    def shown(self) -> list[PermissionGrant]:
        """Every permission with each of its constraints, in order."""
        return [
            Grant(permission, constraint).shown()
            for permission in sorted(self.alternatives)
            for constraint in self.alternatives[permission]
        ]


NOTHING = Rights()


def _meets(one: Constraint, other: Constraint) -> bool:
    """Whether anything can be within both."""
    both = one.within(other)
    return all(getattr(both, entry.name) != frozenset() for entry in fields(both))
