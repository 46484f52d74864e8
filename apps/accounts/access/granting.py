"""Nobody grants what they do not hold: who grants, held against what is granted, under the tenant's lock."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from apps.accounts import models
from apps.accounts.access import engine, matrix, rights
from apps.kernel import errors, wording


class CannotGrant(errors.Forbidden):
    """The change would give, or take, rights that who makes it does not hold. Leave out those in `lacking`."""

    code = "cannot_grant"
    title = "You cannot give what you do not hold"


class UnknownRole(errors.ValidationFailed):
    """No role of this name can be given in the tenant. Take one of those that `detail` names."""

    code = "unknown_role"


@dataclass(frozen=True, slots=True)
class Granter:
    """Who makes a change of rights, with the scopes of the key or token they came with; None is no limit."""

    user: models.User
    scopes: frozenset[str] | None
    now: datetime


def check_grantable(*, grants: Iterable[rights.Grant], tenant_id: uuid.UUID, by: Granter | None) -> None:
    """Raises CannotGrant naming what is lacking. Call it under `engine.lock_and_bump`; None is the system itself."""
    if by is None:
        return
    held = engine.rights_of(by.user, tenant_id, now=by.now, fresh=True).limited_to(by.scopes)
    if lacking := held.lacking(grants):
        more = wording.say(" and {count} more", count=len(lacking) - 5) if len(lacking) > 5 else ""
        raise CannotGrant(
            wording.say(
                "This gives or takes {lacking}{more}, which you do not hold yourself as widely.",
                lacking=", ".join(lacking[:5]),
                more=more,
            ),
            lacking=lacking,
        )


def grants_of(slugs: Iterable[str]) -> list[rights.Grant]:
    """What these roles give together in the tenant at work. Raises UnknownRole."""
    wanted, system = set(slugs), matrix.system_roles()
    found = [grant for slug in wanted & system.keys() for grant in system[slug].grants]
    own = wanted - system.keys()
    rows = models.Grant.objects.filter(role__slug__in=own).values_list("permission", "constraint")
    return found + [rights.parse_grant(permission, constraint) for permission, constraint in rows]


def check_assignable(slugs: Iterable[str], *, pointer: str = "/roles") -> dict[str, models.Role]:
    """The tenant's own roles among these, by slug. Raises UnknownRole for what no member can be given."""
    own = {role.slug: role for role in models.Role.objects.filter(slug__in=list(slugs))}
    known = [*matrix.assignable(), *own]
    for slug in slugs:
        if slug not in known:
            every = sorted({*known, *models.Role.objects.values_list("slug", flat=True)})
            hint = errors.did_you_mean(slug, every)
            detail = wording.say(
                '"{value}" is not one of {known}.{hint}', value=slug, known=", ".join(every), hint=hint
            )
            raise UnknownRole(detail, problems=[errors.FieldProblem(pointer, "unknown_role", detail)])
    return own
