"""The two tenants of the sweep, built once for all that looks at them."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from apps.kernel import cache
from rustok.testing.plugin import Superuser, empty_database, empty_valkey
from tests.sweep import canaries, mirrored, probing, rows


@dataclass(frozen=True)
class Pair:
    """Two tenants made by the same code. `canaries` are those of `other`; `known` are the ids in rows of both."""

    here: mirrored.Side
    other: mirrored.Side
    canaries: canaries.Canaries
    known: frozenset[uuid.UUID]

    def sweep(self) -> probing.Sweep:
        watch = rows.Watch(self.here.tenant.id, self.other.tenant.id, self.canaries.mark)
        return probing.Sweep(self.here, self.other, self.canaries, self.known, watch)


@pytest.fixture(scope="package")
def pair(django_db_setup: None, django_db_blocker: Any, _superuser: Superuser) -> Iterator[Pair]:
    """Committed, so that they have read models; tests take back what they write, and the last one leaves nothing."""
    with django_db_blocker.unblock():
        try:
            here, other = mirrored.make_side("qk"), mirrored.make_side("qm")
            probing.answer_first(other, writes_of=here)
            own, others = rows.ids_of(here.tenant.id), rows.ids_of(other.tenant.id)
            theirs = canaries.Canaries(other.words.mark, frozenset(others - own))
            yield Pair(here, other, theirs, frozenset(own | others))
        finally:
            empty_database(_superuser)
            empty_valkey()
            cache.forget_process()


@pytest.fixture
def sweep(pair: Pair, db: None) -> Iterator[probing.Sweep]:
    """A sweep from the one tenant for what is the other's, which hears all that is logged."""
    found = pair.sweep()
    loggers = [logging.getLogger(name) for name in ("", "django", "apps")]
    levels = [logger.level for logger in loggers]
    logging.getLogger().addHandler(found.lines)
    for logger in loggers:
        logger.setLevel(logging.INFO)
    yield found
    logging.getLogger().removeHandler(found.lines)
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)
