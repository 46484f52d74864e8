"""The API keeps to its description, whoever asks whatever; `make fuzz-api` asks for longer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIHandler

from apps.kernel import cache
from tests.conftest import Superuser, _empty_database, _empty_valkey
from tests.contracts.fuzzing import callers, fuzzer
from tests.sweep import mirrored

# Which holds a transaction in this thread only.
pytestmark = pytest.mark.usefixtures("db")

SEED = 20261126
OTHERS = [name for name in callers.names() if name != "owner"]


@pytest.fixture(scope="module")
def side(django_db_setup: None, django_db_blocker: Any, _superuser: Superuser) -> Iterator[mirrored.Side]:
    """Committed: the fuzzer asks from a thread of its own."""
    with django_db_blocker.unblock():
        try:
            yield mirrored.make_side("qk")
        finally:
            _empty_database(_superuser)
            _empty_valkey()
            cache.forget_process()


def test_every_operation_keeps_its_contract_with_the_owner(side: mirrored.Side) -> None:
    budget = fuzzer.Budget(seed=SEED, examples=1, phases=("fuzzing", "stateful"))

    report = fuzzer.fuzz(callers.make_caller("owner", side), budget, app=WSGIHandler())

    assert report.told() == []
    assert len(report.succeeded()) > 50


@pytest.mark.parametrize("name", OTHERS)
def test_operations_keep_their_contract_with_everybody_else(side: mirrored.Side, name: str) -> None:
    share = (OTHERS.index(name), 5)
    budget = fuzzer.Budget(seed=SEED, examples=1, phases=("fuzzing",), share=share)

    report = fuzzer.fuzz(callers.make_caller(name, side), budget, app=WSGIHandler())

    assert report.told() == []
    assert report.requests > 20
