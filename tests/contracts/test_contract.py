"""Every operation of the API keeps the rules of the contract: errors, validation, writes and limits.

Those of lists are in test_lists.py, which walks all of them; that each answer is documented is held by watching.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.http import HttpResponse

from apps.kernel import cache
from apps.kernel.limits import deciding, shared
from rustok.testing.plugin import Superuser, empty_database, empty_valkey
from tests import factories
from tests.contracts import story
from tests.contracts.inspecting import RULES, Inspector, tells_limits
from tests.contracts.telling import operations
from tests.kernel.limiting import ENOUGH_SECONDS

pytestmark = pytest.mark.django_db  # else nobody makes the database that the story is told in
# Rules that an operation need not keep, and why.
EXEMPT = {
    ("without a role 403", "my_permissions"): "tells anybody what they may do, if only that it is nothing",
    ("without a role 403", "job_list"): "shows the jobs one may know of, to a stranger none",
    **dict.fromkeys(
        [("without a role 403", name) for name in ("job_get", "job_cancel", "job_errors", "job_results")],
        "a job one may not know of is not found",
    ),
}


@pytest.fixture(scope="module")
def inspected(django_db_setup: None, django_db_blocker: Any, _superuser: Superuser) -> Iterator[Inspector]:
    """The story, told once and tried at each step."""
    with django_db_blocker.unblock(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(shared, "DEADLINE_SECONDS", ENOUGH_SECONDS)
        deciding.forget_process()
        try:
            inspector = Inspector(outsider=factories.make_tokens(factories.make_user()).access_token)
            story.play(inspector)
            yield inspector
        finally:
            empty_database(_superuser)
            empty_valkey()
            cache.forget_process()
            deciding.forget_process()


@pytest.mark.parametrize("name", operations())
def test_the_operation_keeps_the_rules(name: str, inspected: Inspector) -> None:
    broken = {rule: said for (rule, operation), said in inspected.broken.items() if operation == name}
    unexpected = {rule: said for rule, said in broken.items() if (rule, name) not in EXEMPT}

    assert any(operation == name for _, operation in inspected.kept), "the story does not call it"
    assert not unexpected, "\n".join(f"{rule}: {said}" for rule, said in unexpected.items())


@pytest.mark.parametrize("rule", RULES)
def test_the_rule_was_tried(rule: str, inspected: Inspector) -> None:
    assert any(kept == rule for kept, _ in inspected.kept)


def test_no_operation_is_exempt_without_need(inspected: Inspector) -> None:
    assert [exempt for exempt in EXEMPT if exempt not in inspected.broken] == []


def test_what_breaks_a_rule_is_noticed(inspected: Inspector) -> None:
    request = inspected.steps[-1].request

    assert inspected.refuse(request, 401)
    with pytest.raises(AssertionError, match="401, and not 418"):
        inspected.refuse(request, 418)
    with pytest.raises(AssertionError, match="told by"):
        tells_limits(HttpResponse())
