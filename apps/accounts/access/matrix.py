"""The system roles, read from `matrix.toml`: the one table of what they may do."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from apps.accounts.access import catalogue, rights

TABLE = Path(__file__).with_name("matrix.toml")
_LINE = re.compile(r"(?P<resource>[a-z_]+): (?P<actions>[a-z, ]+?)(?: \((?P<constraints>[a-z, ]+)\))?")

SUPER_ADMIN, CUSTOMER = "super_admin", "customer"
SUPPORT_READER, SUPPORT_WRITER = "support_reader", "support_writer"


class TableUnreadable(ValueError):
    """A line of the matrix says nothing the engine understands."""


@dataclass(frozen=True, slots=True)
class SystemRole:
    """A role every tenant has, the same everywhere; see `matrix.toml` for the words."""

    name: str
    description: str
    grants: tuple[rights.Grant, ...]
    is_assignable: bool = True
    is_protected: bool = False


@cache
def system_roles() -> dict[str, SystemRole]:
    """By name, in the order of the table. Raises TableUnreadable."""
    return read(tomllib.loads(TABLE.read_text()))


def assignable() -> list[str]:
    """The names of the roles a member can be given."""
    return [role.name for role in system_roles().values() if role.is_assignable]


def protected() -> set[str]:
    """The names of the roles of which each tenant keeps an active holder."""
    return {role.name for role in system_roles().values() if role.is_protected}


def granting(permission: str) -> list[str]:
    """The names of the assignable roles that hold this permission without a constraint."""
    return [
        name for name in assignable() if rights.ANY in rights.expand(system_roles()[name].grants).get(permission, ())
    ]


def read(table: Mapping[str, Mapping[str, Any]]) -> dict[str, SystemRole]:
    """The roles of a parsed table. Raises TableUnreadable naming role and line."""
    return {
        name: SystemRole(
            name=name,
            description=entry["description"],
            grants=tuple(grant for line in entry["grants"] for grant in _grants(name, line)),
            is_assignable=entry.get("assignable", True),
            is_protected=entry.get("protected", False),
        )
        for name, entry in table.items()
    }


def _grants(role: str, line: str) -> list[rights.Grant]:
    found = _LINE.fullmatch(line)
    if found is None:
        raise TableUnreadable(f'{role}: "{line}" does not read as "resource: action, action (constraint)"')
    constraint = {word.strip(): True for word in (found["constraints"] or "").split(",") if word.strip()}
    permissions = [f"{found['resource']}:{action.strip()}" for action in found["actions"].split(",")]
    try:
        return [rights.parse_grant(permission, constraint) for permission in permissions]
    except (catalogue.UnknownPermission, rights.UnknownConstraint) as error:
        raise TableUnreadable(f'{role}: "{line}": {error.detail}') from error
