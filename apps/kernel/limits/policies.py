"""What is limited and by how much, and what one request is charged."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import Field

from apps.kernel import errors, validation

WINDOW_SECONDS = 60
# A request is counted from its moment to the end of its step: the window and at most one step.
STEP_SECONDS = 2

type EndpointClass = Literal["read", "write", "expensive", "auth"]
CLASSES: tuple[EndpointClass, ...] = ("read", "write", "expensive", "auth")
# What guards secrets is counted by the microsecond, and is closed when Valkey is away.
AUTH: EndpointClass = "auth"
# The traffic of others is nobody's business: told only to whom it refuses.
TENANT = "tenant"

type Count = Annotated[int, validation.Whole("limit", 1_000_000_000)]
type PlannedCount = Count | None


class Plan(validation.Input):
    """What a tenant has instead of the installation's limits; None is the installation's, 0 without bound.

    `media_mib` is no rate: as much its files may take.
    """

    anonymous: PlannedCount = None
    user: PlannedCount = None
    key: PlannedCount = None
    tenant: PlannedCount = None
    read: PlannedCount = None
    write: PlannedCount = None
    expensive: PlannedCount = None
    media_mib: PlannedCount = None

    def chosen(self) -> dict[str, int]:
        """Only what differs from the installation's."""
        return self.model_dump(exclude_none=True)


class Limits(validation.Input):
    """Most requests in any 60 seconds, by policy; 0 is without bound."""

    anonymous: Count = Field(default=100, description="of one address without a login, in one tenant")
    address: Count = Field(default=1000, description="of one address without a login, in all tenants together")
    unserved: Count = Field(
        default=100,
        description="of one address that no operation took: unknown hosts and paths, tokens that don't hold",
    )
    user: Count = Field(default=1000, description="of one user or customer, in one tenant")
    key: Count = Field(default=1000, description="of one API key")
    tenant: Count = Field(default=12_000, description="of all clients of one tenant together")
    read: Count = Field(default=1000, description="of one client that read")
    write: Count = Field(default=100, description="of one client that write")
    expensive: Count = Field(default=10, description="of one client that take long, such as exports")
    auth: Count = Field(default=30, description="of one client that log in or show a mailed token")

    @classmethod
    def read_text(cls, text: Any) -> Any:
        """`anonymous=200,write=50` as what is to be validated, other values as they are. Raises ValueError."""
        return read_numbers(text, known=cls.model_fields) if isinstance(text, str) else text

    def under(self, plan: Mapping[str, int]) -> Self:
        """These, with what a plan has instead."""
        rates = {name: number for name, number in plan.items() if name in type(self).model_fields}
        return self.model_copy(update=rates) if rates else self


def read_numbers(text: str, *, known: Mapping[str, Any]) -> dict[str, int]:
    """`name=number` of a comma-separated list. Raises ValueError naming what is wrong and what is near."""
    numbers: dict[str, int] = {}
    for pair in filter(None, (part.strip() for part in text.split(","))):
        name, _, number = (part.strip() for part in pair.partition("="))
        if name not in known:
            raise ValueError(f'"{name}" is no limit;{errors.did_you_mean(name, known)} there are {", ".join(known)}')
        if not (number.isascii() and number.isdigit()):
            raise ValueError(f'"{pair}" is not like {name}=200, requests in 60 seconds, 0 for no bound')
        numbers[name] = int(number)
    return numbers


@dataclass(frozen=True, slots=True)
class Charge:
    """One policy a request counts against: `cost` of the `limit` of `who`. Both are 1 or more, the cost no more than
    the limit, since otherwise it could never be admitted."""

    policy: str
    who: str
    limit: int
    cost: int = 1

    @property
    def key(self) -> str:
        # One hash tag for all: what is decided together must be in one place of a cluster.
        return f"rustok:{{limits}}:{self.policy}:{self.who}"

    @property
    def step_microseconds(self) -> int:
        return 1 if self.policy == AUTH else STEP_SECONDS * 1_000_000

    def of_limit(self, limit: int) -> Charge:
        """The same against a limit of at least 1."""
        limit = max(1, limit)
        return Charge(self.policy, self.who, limit, min(self.cost, limit))


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a policy stands after the request: what is left, and for how many seconds until more is, or, where it
    refused, until the request would be admitted."""

    charge: Charge
    remaining: int
    seconds: float
    is_over: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """What all policies together say; nothing is counted unless all admit. `store` is `valkey` or `local`."""

    standings: Sequence[Standing]
    store: str

    @property
    def is_admitted(self) -> bool:
        return not any(standing.is_over for standing in self.standings)

    @property
    def over(self) -> list[Standing]:
        return [standing for standing in self.standings if standing.is_over]

    @property
    def told(self) -> list[Standing]:
        """What the client hears of, the tightest first."""
        tellable = [standing for standing in self.standings if standing.is_over or standing.charge.policy != TENANT]
        return sorted(tellable, key=lambda standing: (not standing.is_over, standing.remaining, -standing.seconds))

    @property
    def retry_after_seconds(self) -> int:
        """When a refused request would be admitted, if nobody else asks; whole seconds, 1 or more."""
        return max(1, math.ceil(max(standing.seconds for standing in self.over)))
