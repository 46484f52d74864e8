"""The cache of two levels: one load for all, nothing older than a change, right without Valkey."""

import signal
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import redis
from django.conf import LazySettings
from prometheus_client import REGISTRY

from apps.kernel import cache
from apps.kernel.cache import memory, shared, two_levels
from tests.kernel import caching
from tests.kernel.caching import Number

type NumberCache = cache.Cache[Number]


@pytest.fixture(autouse=True)
def _valkey_of_its_own(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(shared, "DEADLINE_SECONDS", caching.ENOUGH_SECONDS)
    shared.link.cache_clear()
    two_levels._listener.ensure_started()
    assert two_levels._listener.is_connected.wait(caching.ENOUGH_SECONDS)  # coming, it empties the memories
    yield
    caching.valkey().flushdb()
    shared.link.cache_clear()


@pytest.fixture
def kind() -> str:
    return f"numbers-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def here(kind: str) -> NumberCache:
    return caching.make(kind)


@pytest.fixture
def there(kind: str, here: NumberCache) -> NumberCache:
    """As of another process: nothing in common but Valkey, and not heard by the listener of this one."""
    heard = dict(two_levels._caches)
    made = caching.make(kind, memory=0)
    two_levels._caches.clear()
    two_levels._caches.update(heard)
    return made


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"rustok_cache_{name}", labels) or 0


def never() -> Number:
    raise AssertionError("it was to be found without a load")


class Gate:
    """A load that tells when it has read the source, and goes on when it is let."""

    def __init__(self, value: Number | None) -> None:
        self.value = value
        self.has_read, self.may_go_on = threading.Event(), threading.Event()

    def __call__(self) -> Number | None:
        self.has_read.set()
        assert self.may_go_on.wait(caching.ENOUGH_SECONDS)
        return self.value


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as pool:
        yield pool


# --- two levels -------------------------------------------------------------------------------------------


def test_a_value_is_loaded_once_and_found_in_memory_and_in_valkey(
    here: NumberCache, there: NumberCache, kind: str
) -> None:
    assert here.get("a", lambda: Number(1)) == Number(1)

    assert here.get("a", never) == Number(1)
    assert there.get("a", never) == Number(1)
    assert counted("hits_total", kind=kind, level="memory") == 1
    assert counted("hits_total", kind=kind, level="valkey") == 1
    assert counted("loads_total", kind=kind) == 1


def test_an_absence_is_remembered_at_both_levels_and_briefly(here: NumberCache, there: NumberCache, kind: str) -> None:
    assert here.get("a", lambda: None) is None

    assert here.get("a", never) is None
    assert there.get("a", never) is None
    assert counted("negative_hits_total", kind=kind, level="memory") == 1
    assert counted("negative_hits_total", kind=kind, level="valkey") == 1
    [key] = caching.valkey().keys(f"rustok:cache:{kind}:absent:*")
    assert 0 < caching.valkey().pttl(key) <= 1100 * here.policy.negative


def test_entries_of_a_group_are_kept_apart_and_dropped_together(here: NumberCache) -> None:
    here.get("tenant", lambda: Number(1), entry="first")
    here.get("tenant", lambda: Number(2), entry="second")
    assert here.get("tenant", never, entry="second") == Number(2)

    here.invalidate(["tenant"])

    assert here.get("tenant", lambda: Number(3), entry="first") == Number(3)
    assert here.get("tenant", lambda: Number(4), entry="second") == Number(4)


def test_lifetimes_are_spread_so_that_values_do_not_expire_together(here: NumberCache) -> None:
    for number in range(40):
        here.get(f"group-{number}", lambda: Number(1))

    keys = caching.valkey().keys(f"rustok:cache:{here.kind}:*:group-*")
    kept = [caching.valkey().pttl(key) / 1000 for key in keys]
    assert len(kept) == 40
    assert all(here.policy.kept * 0.89 < seconds <= here.policy.kept * 1.1 for seconds in kept)
    assert max(kept) - min(kept) > here.policy.kept * 0.05


def test_a_flood_of_unknown_names_is_bounded_and_pushes_out_nobody(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "SLOTS", 32)
    flooded = caching.make(kind, negative_size=50)
    flooded.get("known", lambda: Number(1))

    for number in range(500):
        flooded.get(f"unknown-{number}", lambda: None)

    assert flooded.get("known", never) == Number(1)
    assert len(flooded._memory) <= 51
    assert counted("evictions_total", kind=kind) == 450
    assert len(caching.valkey().keys(f"rustok:cache:{kind}:*")) <= 32 + 2  # absences, the value, the generations
    assert caching.valkey().hlen(f"rustok:cache:{kind}:generations") <= 32


def test_an_unreadable_value_is_loaded_anew(here: NumberCache, there: NumberCache) -> None:
    here.get("a", lambda: Number(1))
    [key] = caching.valkey().keys(f"rustok:cache:{here.kind}:*:a:*")
    caching.valkey().set(key, f"{10**15}:not json")

    assert there.get("a", lambda: Number(2)) == Number(2)


def test_releases_with_other_shapes_do_not_read_each_other_but_invalidate_for_each_other(
    here: NumberCache, kind: str
) -> None:
    newer = cache.Cache(kind=kind, shape=tuple[int, str], policy=cache.Policy(memory=0))
    here.get("a", lambda: Number(1))

    assert newer.get("a", lambda: (1, "one")) == (1, "one")
    newer.invalidate(["a"])

    here.drop_all()
    assert here.get("a", lambda: Number(2)) == Number(2)


@pytest.mark.django_db
def test_in_a_transaction_nothing_is_read_or_kept(here: NumberCache) -> None:
    assert here.get("a", lambda: Number(1)) == Number(1)
    assert here.get("a", lambda: Number(2)) == Number(2)

    assert not caching.valkey().keys(f"rustok:cache:{here.kind}:*")


# --- one load for all -------------------------------------------------------------------------------------


def test_a_thousand_misses_in_two_processes_are_one_load(kind: str) -> None:
    caching.set_source("a", 7)

    with caching.processes(["tests.kernel.cache_process", kind], 2) as both:
        for process in both:
            process.ask("storm", "a", 500, 1000)
        answers = [process.answer() for process in both]

    assert answers == [[500, 7], [500, 7]]
    assert caching.loads("a") == 1


def test_a_thousand_misses_of_what_does_not_exist_are_one_load_too(kind: str) -> None:
    with caching.processes(["tests.kernel.cache_process", kind], 2) as both:
        for process in both:
            process.ask("storm", "a", 500, 1000)
        answers = [process.answer() for process in both]

    assert answers == [[500, None], [500, None]]
    assert caching.loads("a") == 1


def test_waiting_threads_and_processes_are_counted(
    here: NumberCache, there: NumberCache, threads: ThreadPoolExecutor, kind: str
) -> None:
    gate = Gate(Number(1))
    loading = threads.submit(here.get, "a", gate)
    assert gate.has_read.wait(caching.ENOUGH_SECONDS)
    beside = threads.submit(here.get, "a", never)
    elsewhere = threads.submit(there.get, "a", never)
    _wait_until(lambda: counted("misses_total", kind=kind, level="valkey") == 2)

    gate.may_go_on.set()

    assert loading.result() == beside.result() == elsewhere.result() == Number(1)
    assert counted("coalesced_total", kind=kind, level="memory") == 1
    assert counted("coalesced_total", kind=kind, level="valkey") == 1
    assert counted("lock_wait_seconds_count", kind=kind) == 1


def test_a_killed_holder_is_waited_for_no_longer_than_its_lease(kind: str) -> None:
    here = caching.make(kind, lease=0.5)
    caching.set_source("a", 7)

    with caching.processes(["tests.kernel.cache_process", kind], 1) as [holder]:
        holder.ask("hold", "a")
        assert holder.answer() == "loading"
        [lock] = caching.valkey().keys(f"rustok:cache:{kind}:*:lock:*")
        caching.valkey().pexpire(lock, 500)
        holder.process.send_signal(signal.SIGKILL)
        began = time.monotonic()

        assert here.get("a", lambda: caching.load("a")) == Number(7)

    assert time.monotonic() - began < 0.5 + 2  # and what a busy machine takes
    assert caching.loads("a") == 2


def test_a_holder_that_is_slow_is_waited_for_as_long_as_there_is_patience(
    here: NumberCache, kind: str, threads: ThreadPoolExecutor
) -> None:
    impatient = caching.make(kind, patience=0.05)
    gate = Gate(Number(1))
    slow = threads.submit(here.get, "a", gate)
    assert gate.has_read.wait(caching.ENOUGH_SECONDS)

    assert impatient.get("a", lambda: Number(1)) == Number(1)

    gate.may_go_on.set()
    assert slow.result() == Number(1)


def test_a_thread_that_never_ends_is_not_waited_for_for_ever(kind: str, threads: ThreadPoolExecutor) -> None:
    here = caching.make(kind, patience=0.05, lease=0.05)
    gate = Gate(Number(1))
    stuck = threads.submit(here.get, "a", gate)
    assert gate.has_read.wait(caching.ENOUGH_SECONDS)

    beside = [threads.submit(here.get, "a", lambda: Number(2)) for _ in range(4)]

    assert [future.result(caching.ENOUGH_SECONDS) for future in beside] == [Number(2)] * 4
    gate.may_go_on.set()
    stuck.result()


def test_the_end_of_a_loading_thread_is_not_the_failure_of_those_who_wait(
    here: NumberCache, threads: ThreadPoolExecutor
) -> None:
    reading, may_end = threading.Event(), threading.Event()

    def end_of_the_process() -> Number:
        reading.set()
        may_end.wait(caching.ENOUGH_SECONDS)
        raise SystemExit

    ending = threads.submit(here.get, "a", end_of_the_process)
    assert reading.wait(caching.ENOUGH_SECONDS)
    waiting = threads.submit(here.get, "a", lambda: Number(2))

    may_end.set()

    assert waiting.result(caching.ENOUGH_SECONDS) == Number(2)
    assert isinstance(ending.exception(), SystemExit)


def test_a_failed_load_reaches_all_who_wait_and_is_not_kept(
    here: NumberCache, there: NumberCache, threads: ThreadPoolExecutor, kind: str
) -> None:
    reading, may_fail = threading.Event(), threading.Event()
    calls: list[int] = []

    def fail() -> Number:
        calls.append(1)
        reading.set()
        may_fail.wait(caching.ENOUGH_SECONDS)
        raise LookupError("the source is broken")

    asking = [threads.submit(here.get, "a", fail) for _ in range(3)]
    assert reading.wait(caching.ENOUGH_SECONDS)
    _wait_until(lambda: counted("misses_total", kind=kind, level="memory") == 3)
    may_fail.set()

    assert {str(future.exception()) for future in asking} == {"the source is broken"}
    assert len(calls) <= 3  # one, unless a thread came after the flight
    assert counted("load_errors_total", kind=kind) == len(calls)
    assert there.get("a", lambda: Number(2)) == Number(2)  # at once: the lock was given back


# --- nothing older than a change --------------------------------------------------------------------------


def late_fill(loading: NumberCache, writing: NumberCache, threads: ThreadPoolExecutor) -> None:
    """`loading` reads 1, `writing` changes it, and only then `loading` gets to store what it read."""
    gate = Gate(Number(1))
    late = threads.submit(loading.get, "a", gate)
    assert gate.has_read.wait(caching.ENOUGH_SECONDS)
    writing.invalidate(["a"])
    gate.may_go_on.set()
    assert late.result() == Number(1)  # it was asked before the change


def test_a_late_fill_after_a_change_here_is_refused(
    here: NumberCache, there: NumberCache, threads: ThreadPoolExecutor, kind: str
) -> None:
    late_fill(here, here, threads)

    assert counted("rejected_sets_total", kind=kind, level="valkey") == 1
    assert here.get("a", lambda: Number(2)) == Number(2)
    assert there.get("a", never) == Number(2)


def test_a_late_fill_after_a_change_elsewhere_is_refused(
    here: NumberCache, there: NumberCache, threads: ThreadPoolExecutor, kind: str
) -> None:
    late_fill(here, there, threads)

    assert counted("rejected_sets_total", kind=kind, level="valkey") == 1
    assert here.get("a", lambda: Number(2)) == Number(2)


def test_without_generations_the_same_schedule_does_bring_the_old_value_back(
    here: NumberCache, there: NumberCache, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(there._shared, "invalidate", lambda groups: None)

    late_fill(here, there, threads)

    assert here.get("a", never) == Number(1)


def test_a_late_fill_of_memory_is_refused_without_valkey_too(
    here: NumberCache, threads: ThreadPoolExecutor, kind: str, no_valkey: None
) -> None:
    late_fill(here, here, threads)

    assert counted("rejected_sets_total", kind=kind, level="memory") == 1
    assert here.get("a", lambda: Number(2)) == Number(2)


def test_who_asks_after_a_change_does_not_get_what_is_being_loaded_from_before(
    here: NumberCache, threads: ThreadPoolExecutor
) -> None:
    gate = Gate(Number(1))
    early = threads.submit(here.get, "a", gate)
    assert gate.has_read.wait(caching.ENOUGH_SECONDS)
    here.invalidate(["a"])
    caching.valkey().delete(*caching.valkey().keys(f"rustok:cache:{here.kind}:*:lock:*"))

    assert here.get("a", lambda: Number(2)) == Number(2)

    gate.may_go_on.set()
    assert early.result() == Number(1)
    assert here.get("a", never) == Number(2)


def test_a_flushed_valkey_does_not_let_an_old_generation_come_back(
    here: NumberCache, there: NumberCache, threads: ThreadPoolExecutor, kind: str
) -> None:
    gate = Gate(Number(1))
    late = threads.submit(here.get, "a", gate)
    assert gate.has_read.wait(caching.ENOUGH_SECONDS)
    caching.valkey().flushdb()
    there.invalidate(["a"])
    caching.valkey().flushdb()
    gate.may_go_on.set()
    late.result()

    assert there.get("a", lambda: Number(2)) == Number(2)
    assert counted("rejected_sets_total", kind=kind, level="valkey") == 1


def test_what_is_made_after_its_absence_was_cached_is_seen_at_once(here: NumberCache, there: NumberCache) -> None:
    assert here.get("a", lambda: None) is None
    assert there.get("a", never) is None

    here.invalidate(["a"])

    assert here.get("a", lambda: Number(1)) == Number(1)
    assert there.get("a", never) == Number(1)


def test_a_change_is_told_once_whoever_else_would_make_up_for_it(
    here: NumberCache, there: NumberCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    telling, go_on, told = threading.Event(), threading.Event(), list[Any]()
    tell = here._shared.invalidate

    def tell_slowly(groups: Any) -> None:
        told.append(groups)
        telling.set()
        go_on.wait(caching.ENOUGH_SECONDS)
        tell(groups)

    monkeypatch.setattr(here._shared, "invalidate", tell_slowly)
    first = threading.Thread(target=here.invalidate, args=(["a"],))
    first.start()
    telling.wait(caching.ENOUGH_SECONDS)
    second = threading.Thread(target=here.tell_untold)  # as the listener does several times a second
    second.start()
    go_on.set()
    first.join()
    second.join()

    assert told == [["a"]]


def test_a_change_elsewhere_empties_the_memory_here_within_a_second(here: NumberCache, kind: str) -> None:
    here.get("a", lambda: Number(1))

    with caching.processes(["tests.kernel.cache_process", kind], 1) as [elsewhere]:
        elsewhere.do("invalidate", "a")
        _wait_until(lambda: isinstance(here._memory.peek("a", ""), memory.Missing), seconds=1)

    assert counted("invalidations_total", kind=kind, level="memory") == 1


def test_a_listener_that_lost_its_connection_empties_the_memory_and_comes_back(
    here: NumberCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.get("a", lambda: Number(1))
    lost = threading.Event()
    monkeypatch.setattr(two_levels._listener, "_lost", lambda: (cache.forget_process(), lost.set()))

    caching.valkey().execute_command("CLIENT", "KILL", "TYPE", "pubsub")

    assert lost.wait(caching.ENOUGH_SECONDS)
    assert isinstance(here._memory.peek("a", ""), memory.Missing)
    assert two_levels._listener.is_connected.wait(caching.ENOUGH_SECONDS)


# --- stale values -----------------------------------------------------------------------------------------


@pytest.fixture
def quickly_stale(kind: str) -> NumberCache:
    return caching.make(kind, fresh=0.001, memory=0)


def test_while_one_loads_a_stale_value_anew_the_others_get_the_stale_one(
    quickly_stale: NumberCache, there: NumberCache, threads: ThreadPoolExecutor, kind: str
) -> None:
    quickly_stale.get("a", lambda: Number(1))
    stale_from = time.monotonic() + 0.01
    _wait_until(lambda: time.monotonic() > stale_from)
    gate = Gate(Number(2))
    refreshing = threads.submit(quickly_stale.get, "a", gate)
    assert gate.has_read.wait(caching.ENOUGH_SECONDS)

    assert there.get("a", never) == Number(1)

    gate.may_go_on.set()
    assert refreshing.result() == Number(2)
    assert counted("stale_served_total", kind=kind) == 1


def test_a_stale_value_stands_in_for_a_source_that_fails(quickly_stale: NumberCache) -> None:
    quickly_stale.get("a", lambda: Number(1))
    asked = []

    def fail() -> Number:
        asked.append("a")
        raise LookupError

    def is_stale() -> bool:
        assert quickly_stale.get("a", fail) == Number(1)
        return bool(asked)

    _wait_until(is_stale)
    assert quickly_stale.get("a", lambda: Number(2)) == Number(2)


def test_a_stale_value_is_not_given_out_after_a_change(quickly_stale: NumberCache) -> None:
    quickly_stale.get("a", lambda: Number(1))
    quickly_stale.invalidate(["a"])

    def fail() -> Number:
        raise LookupError

    with pytest.raises(LookupError):
        quickly_stale.get("a", fail)


# --- without Valkey ---------------------------------------------------------------------------------------


@pytest.fixture
def no_valkey(settings: LazySettings, tmp_path: Path) -> None:
    shared.channel()  # remembered
    settings.CACHE_URL = f"unix://{tmp_path}/nobody.sock"
    shared.link.cache_clear()


def test_without_valkey_answers_are_right_and_it_is_told(here: NumberCache, no_valkey: None, kind: str) -> None:
    assert here.get("a", lambda: Number(1)) == Number(1)
    assert here.get("a", never) == Number(1)  # memory still serves
    assert not here.invalidate(["a"])

    assert here.get("a", lambda: Number(2)) == Number(2)
    assert counted("degraded_reads_total", kind=kind) == 2
    assert counted("is_degraded") == 1


def test_when_valkey_is_back_it_is_told_what_changed_meanwhile(
    here: NumberCache, there: NumberCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.get("a", lambda: Number(1))
    with monkeypatch.context() as away:
        away.setattr(shared.Link, "run", _unavailable)
        here.invalidate(["a"])
        assert here.get("a", lambda: Number(2)) == Number(2)

    two_levels._tell_untold()

    assert there.get("a", lambda: Number(2)) == Number(2)
    assert not here._untold


def test_a_reader_tells_first_what_valkey_has_not_heard(here: NumberCache, monkeypatch: pytest.MonkeyPatch) -> None:
    here.get("a", lambda: Number(1))
    with monkeypatch.context() as away:
        away.setattr(shared.Link, "run", _unavailable)
        here.invalidate(["a"])

    assert here.get("a", lambda: Number(2)) == Number(2)


def test_a_valkey_that_hangs_costs_a_request_less_than_50_milliseconds_and_only_the_first(
    here: NumberCache, settings: LazySettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()  # the real deadline
    settings.CACHE_URL = f"unix://{tmp_path}/silent.sock"
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(f"{tmp_path}/silent.sock")
        silent.listen()
        first = min(_seconds_of_a_first_read(here, number) for number in range(5))
        began = time.perf_counter()
        for number in range(100):
            here.get(f"later-{number}", lambda: Number(1))
        later = (time.perf_counter() - began) / 100
    shared.link.cache_clear()

    assert shared.DEADLINE_SECONDS <= first < 0.05
    assert later < 0.005


def _seconds_of_a_first_read(here: NumberCache, number: int) -> float:
    shared.link.cache_clear()  # and with it the breaker
    began = time.perf_counter()
    assert here.get(f"first-{number}", lambda: Number(1)) == Number(1)
    return time.perf_counter() - began


def test_a_forked_process_begins_with_nothing_of_its_parents(here: NumberCache) -> None:
    here.get("a", lambda: Number(1))
    before = two_levels._listener
    here._flights.join("b", "")  # a load of a thread that the child does not have

    two_levels._begin_anew()

    assert two_levels._listener is not before
    assert isinstance(here._memory.peek("a", ""), memory.Missing)
    assert here.get("b", lambda: Number(2)) == Number(2)


def _unavailable(*arguments: Any, **options: Any) -> Any:
    raise shared.Unavailable


def _wait_until(is_so: Callable[[], bool], *, seconds: float = caching.ENOUGH_SECONDS) -> None:
    until = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.005)


def test_a_server_without_the_scripts_is_taught_them(here: NumberCache) -> None:
    here.get("a", lambda: Number(1))
    caching.valkey().script_flush()

    here.drop_all()

    assert here.get("a", never) == Number(1)


def test_the_connection_is_not_retried_and_has_a_deadline() -> None:
    options = shared.link().client.connection_pool.connection_kwargs

    assert options["retry"].get_retries() == 0
    assert isinstance(shared.link().client, redis.Redis)
    assert options["socket_timeout"] == options["socket_connect_timeout"] == shared.DEADLINE_SECONDS
