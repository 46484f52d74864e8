"""The cache a caller sees: memory, then Valkey, then one load for all who wait."""

from __future__ import annotations

import contextlib
import os
import random
import threading
import time
import zlib
from collections.abc import Callable, Iterable
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from typing import Any, cast

import structlog
from django.db import connection
from pydantic import TypeAdapter, ValidationError

from apps.kernel.cache import listening, measures, shared
from apps.kernel.cache.flights import Flights
from apps.kernel.cache.memory import MISSING, Mark, Memory, Missing

log = structlog.get_logger(__name__)

JITTER = 0.1
_PAUSES_SECONDS = (0.002, 0.004, 0.008, 0.016, 0.025)


@dataclass(frozen=True, slots=True)
class Policy:
    """How long what is kept, in seconds, each ±10 %, and how many of it in a process.

    A value is fresh for `fresh`, and then given out while one process loads it anew, until `kept`; an absence is known
    for `negative`. In memory both live at most `memory`. A process that loads has the lock for `lease`; another waits
    at most `patience` for it and then loads by itself.
    """

    fresh: float = 300
    kept: float = 600
    negative: float = 10
    memory: float = 5
    lease: float = 3
    patience: float = 1
    size: int = 10_000
    negative_size: int = 2_000


class Cache[V]:
    """Values of one type, in groups that are invalidated as a whole.

    A value is whatever pydantic writes and reads without loss, frozen, since all threads share it. Its shape is part of
    the keys, so that processes of two releases never read each other's, while they invalidate for each other.
    """

    def __init__(self, *, kind: str, shape: type[V], policy: Policy | None = None) -> None:
        self.kind = kind
        self.policy = policy or Policy()
        self._adapter = TypeAdapter(shape)
        self._shared = shared.Shared(kind=kind, schema=_fingerprint(self._adapter), lease_seconds=self.policy.lease)
        self._loads = measures.LOADS.labels(kind)
        self._load_errors = measures.LOAD_ERRORS.labels(kind)
        self._load_seconds = measures.LOAD_SECONDS.labels(kind)
        self.begin_anew()
        _caches[kind] = cast("Cache[Any]", self)

    def begin_anew(self) -> None:
        """Nothing in memory, nothing under way."""
        self._memory = Memory[V](kind=self.kind, size=self.policy.size, negative_size=self.policy.negative_size)
        self._flights = Flights[V]()
        self._untold: dict[str, object] = {}
        self._untold_lock = threading.Lock()
        self._telling = threading.Lock()

    def get(self, group: str, load: Callable[[], V | None], *, entry: str = "") -> V | None:
        """The value, None where there is none; from the nearest level that knows, or from `load`.

        What `load` raises reaches all who wait for it and is not kept. In a database transaction nothing is read or
        kept here: it may see rows that nobody else does, or no longer see those that everybody does.
        """
        if connection.in_atomic_block:
            return load()
        _listener.ensure_started()
        found = self._memory.find(group, entry)
        return self._wait_or_load(group, entry, load) if isinstance(found, Missing) else found

    def invalidate(self, groups: Iterable[str]) -> bool:
        """No value loaded before now is given out any more: here from now on, elsewhere within a second.

        To be called after the commit of the change. Whether Valkey has heard of it; else this process tells it as soon
        as Valkey is back.
        """
        wanted = list(dict.fromkeys(groups))
        measures.INVALIDATIONS.labels(self.kind, measures.VALKEY).inc(len(wanted))
        with self._untold_lock:
            self._untold |= dict.fromkeys(wanted, object())
        try:
            self._tell_untold(*wanted)
            is_told = True
        except shared.Unavailable:
            is_told = False
        self.drop(wanted)  # last: until then a reader could have fetched from Valkey what was still current there
        _listener.ensure_started()
        return is_told

    def drop(self, groups: Iterable[str]) -> None:
        """Forget groups in this process."""
        for group in groups:
            self._memory.drop(group)
            self._flights.detach(group)
            measures.INVALIDATIONS.labels(self.kind, measures.MEMORY).inc()

    def drop_all(self) -> None:
        """Forget everything in this process."""
        self._memory.clear()
        self._flights.detach_all()

    def tell_untold(self) -> None:
        """Make up for invalidations Valkey has not heard of."""
        with self._untold_lock:
            groups = list(self._untold)
        # What Valkey does not hear now stays untold and is told the next time.
        with contextlib.suppress(shared.Unavailable):
            self._tell_untold(*groups)

    def _tell_untold(self, *groups: str) -> None:
        """Those of the groups Valkey has not heard of. Raises shared.Unavailable.

        One thread at a time: a change that two of them told would take away what was loaded in between.
        """
        with self._telling:
            with self._untold_lock:
                telling = {group: self._untold[group] for group in groups if group in self._untold}
            if not telling:
                return
            self._shared.invalidate(list(telling))
            with self._untold_lock:
                for group, change in telling.items():
                    if self._untold.get(group) is change:  # no later change of it is waiting
                        del self._untold[group]

    # --- one load for all who wait ------------------------------------------------------------------------

    def _wait_or_load(self, group: str, entry: str, load: Callable[[], V | None]) -> V | None:
        """A load that takes longer than the lease, or whose thread was ended, is waited for no longer."""
        given_up: Future[V | None] | None = None
        while True:
            flight, is_ours = self._flights.join(group, entry, in_place_of=given_up)
            if is_ours:
                return self._fly(flight, group, entry, load)
            try:
                flight.exception(timeout=self.policy.patience + self.policy.lease)
            except (TimeoutError, CancelledError):  # of the waiting; what the load raised is returned, not raised
                given_up = flight
                continue
            measures.COALESCED.labels(self.kind, measures.MEMORY).inc()
            return flight.result()

    def _fly(self, flight: Future[V | None], group: str, entry: str, load: Callable[[], V | None]) -> V | None:
        try:
            value = self._read_or_load(group, entry, load)
        except Exception as error:
            flight.set_exception(error)
            raise
        except BaseException:  # the end of this thread is not the others' failure
            flight.cancel()
            raise
        else:
            flight.set_result(value)
            return value
        finally:
            self._flights.end(group, entry, flight)

    def _read_or_load(self, group: str, entry: str, load: Callable[[], V | None]) -> V | None:
        """From Valkey, once another process has put it there if need be; else from the source."""
        began = time.monotonic()
        pauses = 0
        while True:
            mark = self._memory.mark(group)
            found = self._memory.peek(group, entry)
            if not isinstance(found, Missing):
                return found
            try:
                if self._untold:
                    self._tell_untold(group)
                answer = self._shared.read(group, entry)
            except shared.Unavailable:
                return self._load_without_valkey(group, entry, load, mark)
            known = self._decoded(answer)
            if answer.is_fresh and not isinstance(known, Missing):
                self._count_hit(known, waited=pauses > 0, began=began)
                self._remember(group, entry, known, mark, at_most=answer.fresh_seconds)
                return known
            if pauses == 0:
                measures.MISSES.labels(self.kind, measures.VALKEY).inc()
            if answer.token is None and not isinstance(known, Missing):
                return self._stale(known)
            if answer.token is not None or answer.is_fresh or time.monotonic() - began >= self.policy.patience:
                return self._load_and_store(group, entry, load, answer, mark, known)
            time.sleep(_PAUSES_SECONDS[min(pauses, len(_PAUSES_SECONDS) - 1)])
            pauses += 1

    # --- the source ---------------------------------------------------------------------------------------

    def _load_and_store(
        self,
        group: str,
        entry: str,
        load: Callable[[], V | None],
        answer: shared.Answer,
        mark: Mark,
        known: V | Missing | None,
    ) -> V | None:
        try:
            value = self._load(load)
        except Exception as error:
            self._give_back(group, entry, answer)
            if isinstance(known, Missing):
                raise
            log.warning("cache.load_failed", kind=self.kind, group=group, error=str(error), served="stale")
            return self._stale(known)
        except BaseException:
            self._give_back(group, entry, answer)
            raise
        policy = self.policy
        kept = policy.negative if value is None else policy.kept
        try:
            is_kept = self._shared.store(
                group,
                entry,
                None if value is None else self._adapter.dump_json(value),
                seen=answer,
                fresh_seconds=_jittered(policy.fresh),
                kept_seconds=_jittered(kept),
            )
        except shared.Unavailable:
            is_kept = True  # nothing is known against it: as without Valkey
        if is_kept:
            self._remember(group, entry, value, mark, at_most=kept)
        else:
            measures.REJECTED.labels(self.kind, measures.VALKEY).inc()
        return value

    def _load_without_valkey(self, group: str, entry: str, load: Callable[[], V | None], mark: Mark) -> V | None:
        measures.DEGRADED_READS.labels(self.kind).inc()
        value = self._load(load)
        self._remember(group, entry, value, mark, at_most=self.policy.memory)
        return value

    def _load(self, load: Callable[[], V | None]) -> V | None:
        self._loads.inc()
        try:
            with self._load_seconds.time():
                return load()
        except Exception:
            self._load_errors.inc()
            raise

    def _give_back(self, group: str, entry: str, answer: shared.Answer) -> None:
        if answer.token is None:
            return
        try:
            self._shared.release(group, entry, answer.token)
        except shared.Unavailable:
            return  # the lease ends by itself

    # --- what was found -----------------------------------------------------------------------------------

    def _decoded(self, answer: shared.Answer) -> V | Missing | None:
        if answer.what == "absence":
            return None
        if answer.what == "nothing":
            return MISSING
        try:
            return self._adapter.validate_json(answer.value)
        except ValidationError as error:
            log.warning("cache.unreadable", kind=self.kind, error=str(error))
            return MISSING

    def _remember(self, group: str, entry: str, value: V | None, mark: Mark, *, at_most: float) -> None:
        longest = self.policy.negative if value is None else self.policy.memory
        seconds = min(_jittered(min(longest, self.policy.memory)), at_most)
        self._memory.put(group, entry, value, mark=mark, seconds=seconds)

    def _count_hit(self, value: V | None, *, waited: bool, began: float) -> None:
        (measures.NEGATIVE_HITS if value is None else measures.HITS).labels(self.kind, measures.VALKEY).inc()
        if waited:
            measures.COALESCED.labels(self.kind, measures.VALKEY).inc()
            measures.LOCK_WAIT_SECONDS.labels(self.kind).observe(time.monotonic() - began)

    def _stale(self, value: V | None) -> V | None:
        measures.STALE.labels(self.kind).inc()
        return value


# --- the process ------------------------------------------------------------------------------------------

_caches: dict[str, Cache[Any]] = {}


def _drop(kind: str, groups: list[str]) -> None:
    if kind in _caches:
        _caches[kind].drop(groups)


def forget_process() -> None:
    """Empty level 1 of every cache; for tests, and where invalidations may have been missed."""
    for cache in list(_caches.values()):
        cache.drop_all()


def _tell_untold() -> None:
    for cache in list(_caches.values()):
        cache.tell_untold()


_listener = listening.Listener(dropped=_drop, lost=forget_process, tick=_tell_untold)


def _begin_anew() -> None:
    """A forked process has neither the thread nor the connections, and locks of its parent that nobody will release."""
    global _listener  # noqa: PLW0603 - one process, one listener
    _listener = listening.Listener(dropped=_drop, lost=forget_process, tick=_tell_untold)
    shared.link.cache_clear()
    for cache in list(_caches.values()):
        cache.begin_anew()


os.register_at_fork(after_in_child=_begin_anew)


def _fingerprint(adapter: TypeAdapter[Any]) -> str:
    """Changes with the shape of the value."""
    return f"{zlib.crc32(repr(adapter.json_schema()).encode()):08x}"


def _jittered(seconds: float) -> float:
    return seconds * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - spreads expiries, hides nothing
