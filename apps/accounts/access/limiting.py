"""Constraints at work: as a predicate on rows, and as a check of one object. The services' second lock.

An app says once, as `Columns`, where its rows hold what constraints speak of. Outside of requests nothing is limited.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Model, Q, QuerySet

from apps.accounts.access import engine, rights
from apps.kernel import errors, wording


class NotPermitted(errors.Forbidden):
    """The account lacks the permission, or holds it for other objects than this one. Ask who gives roles in the tenant
    for `permission`."""

    code = "not_permitted"
    title = "You lack the permission"


@dataclass(frozen=True, slots=True)
class Columns:
    """Where the rows of a table hold what a constraint speaks of: lookups from it, and the status that is published."""

    own: str | None = None
    kind: str | None = None
    category: str | None = None
    locale: str | None = None
    published: Mapping[str, Any] | None = None

    def below(self, path: str) -> Columns:
        """The same columns, from a table that refers to this one by `path`."""
        texts = {name: f"{path}__{value}" for name in ("own", *rights.SETS) if (value := getattr(self, name))}
        return Columns(**texts, published={f"{path}__{key}": value for key, value in (self.published or {}).items()})


def held(permission: str) -> tuple[rights.Constraint, ...] | None:
    """The alternatives the request at work holds for a permission; None where nobody asks: commands, tasks, tests."""
    acting = engine.acting()
    return None if acting is None else acting.on(permission)


def demand(permission: str) -> tuple[rights.Constraint, ...] | None:
    """The same, and at least one of them. Raises NotPermitted."""
    alternatives = held(permission)
    if alternatives == ():
        raise NotPermitted(
            wording.say('Your account lacks "{permission}" in this tenant.', permission=permission),
            permission=permission,
        )
    return alternatives


def predicate(alternatives: Iterable[rights.Constraint], columns: Columns) -> Q:
    """Rows within at least one of the alternatives; none of them: no rows."""
    acting = engine.acting()
    holder = acting.holder_id if acting else None
    found = Q(pk__in=[])
    for constraint in alternatives:
        if constraint == rights.ANY:
            return Q()
        found |= _within(constraint, columns, holder)
    return found


def _within(constraint: rights.Constraint, columns: Columns, holder: Any) -> Q:
    condition = Q()
    if constraint.own:
        condition &= Q(**{_column(columns, "own"): holder}) if holder else Q(pk__in=[])
    if constraint.published:
        if not columns.published:
            raise LookupError("these rows have no status that is published")
        condition &= Q(**columns.published)
    for name in rights.SETS:
        if (values := getattr(constraint, name)) is not None:
            condition &= Q(**{f"{_column(columns, name)}__in": sorted(values)})
    return condition


def _column(columns: Columns, name: str) -> str:
    column: str | None = getattr(columns, name)
    if column is None:
        raise LookupError(f"these rows hold nothing the constraint {name} could be read from")
    return column


def visible[Row: Model](rows: QuerySet[Row], permission: str, columns: Columns) -> QuerySet[Row]:
    """Those of the rows that the request at work holds the permission for, each once. Raises NotPermitted."""
    alternatives = demand(permission)
    if alternatives is None or rights.ANY in alternatives:
        return rows
    found = rows.model._default_manager.filter(predicate(alternatives, columns))
    return rows.filter(pk__in=found.values("pk"))


def among[Row: Model](rows: QuerySet[Row], permission: str, columns: Columns | None = None) -> QuerySet[Row]:
    """The same, and no rows where the permission is not held at all: for what is shown beside what was asked for.

    Without columns the permission is one that has no limits.
    """
    if held(permission) == ():
        return rows.none()
    return rows if columns is None else visible(rows, permission, columns)


@dataclass(frozen=True, slots=True)
class Facts:
    """What constraints ask of one object: the locales a change touches, or all it has; the categories it is in, and
    those a change puts it into or takes it out of."""

    owner_id: Any = None
    kind: str = ""
    locales: Collection[str] = ()
    categories: Collection[Any] = ()
    moved_categories: Collection[Any] = ()
    is_published: bool = False


def fits(constraint: rights.Constraint, facts: Facts, holder: Any) -> bool:
    """Whether an object, or a change of it, is within the constraint."""
    if constraint.own and (holder is None or facts.owner_id != holder):
        return False
    if constraint.published and not facts.is_published:
        return False
    if constraint.kind is not None and facts.kind not in constraint.kind:
        return False
    if constraint.locale is not None and not (facts.locales and set(facts.locales) <= constraint.locale):
        return False
    if constraint.category is None:
        return True
    moved = {str(category) for category in facts.moved_categories}
    return moved <= constraint.category and any(str(category) in constraint.category for category in facts.categories)


def check(permission: str, facts: Facts, *, what: str) -> None:
    """Raises NotPermitted unless the request at work holds the permission for an object with these facts."""
    alternatives = demand(permission)
    acting = engine.acting()
    if alternatives is None or acting is None:
        return
    if not any(fits(constraint, facts, acting.holder_id) for constraint in alternatives):
        raise NotPermitted(
            wording.say(
                'Your account holds "{permission}" for other objects only; {what} is beyond its limits.',
                permission=permission,
                what=what,
            ),
            permission=permission,
            limits=[constraint.stored() for constraint in alternatives],
        )
