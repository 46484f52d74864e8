"""Whatever happens in whatever order, who asks after a change never gets what was before it."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import pytest
from hypothesis import Phase
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, rule, run_state_machine_as_test

from apps.kernel.cache import memory, shared, two_levels
from tests.kernel import caching
from tests.kernel.caching import Number

GROUPS = st.sampled_from(["a", "b", "c"])
PROCESSES = st.integers(min_value=0, max_value=2)

type Store = Callable[[], None]


class Schedules(RuleBasedStateMachine):
    """Three processes over one Valkey; a load may be stored any time after it has read the source."""

    loads = Bundle("loads")

    @initialize()
    def begin(self) -> None:
        kind = f"model-{uuid.uuid4().hex[:8]}"
        self.caches = [caching.make(kind) for _ in range(3)]
        two_levels._caches.pop(kind)  # each hears of changes by the rule below and not from the listener
        self.source: dict[str, int] = {}

    def load(self, group: str) -> Number | None:
        return Number(self.source[group]) if group in self.source else None

    @rule(target=loads, process=PROCESSES, group=GROUPS)
    def begin_load(self, process: int, group: str) -> Store:
        """What a load does up to the moment it has read the source; the result does the rest."""
        cache = self.caches[process]
        mark = cache._memory.mark(group)
        answer = cache._shared.read(group, "")
        value = self.load(group)

        def store() -> None:
            cache._load_and_store(group, "", lambda: value, answer, mark, two_levels.MISSING)

        return store

    @rule(store=consumes(loads))
    def end_load(self, store: Store) -> None:
        store()

    @rule(process=PROCESSES, group=GROUPS, is_there=st.booleans())
    def change(self, process: int, group: str, is_there: bool) -> None:
        if is_there:
            self.source[group] = self.source.get(group, 0) + 1
        else:
            self.source.pop(group, None)
        self.caches[process].invalidate([group])
        for cache in self.caches:
            cache.drop([group])

    @rule(process=PROCESSES, group=GROUPS)
    def read(self, process: int, group: str) -> None:
        caching.valkey().delete(*(caching.valkey().keys("rustok:cache:model-*:lock:*") or ["none"]))
        assert self.caches[process].get(group, lambda: self.load(group)) == self.load(group)

    @rule()
    def flush(self) -> None:
        caching.valkey().flushdb()


def run(examples: int) -> None:
    """The same schedules every time, and of those that fail the first as it was found."""
    shared.link.cache_clear()
    chosen = hypothesis_settings(
        max_examples=examples, stateful_step_count=30, deadline=None, derandomize=True, phases=[Phase.generate]
    )
    run_state_machine_as_test(Schedules, settings=chosen)


def test_no_schedule_brings_an_old_value_back() -> None:
    run(60)


@pytest.mark.parametrize("guard", ["generations", "marks"])
def test_without_either_guard_some_schedule_does(guard: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if guard == "generations":
        monkeypatch.setattr(shared.Shared, "invalidate", lambda self, groups: None)
    else:
        monkeypatch.setattr(memory.Memory, "mark", lambda self, group: (0, 0))

    with pytest.raises(AssertionError):
        run(200)
