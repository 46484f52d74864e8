"""Rebuild a projection beside the live one and swap: readers see the old generation or the new one, never a mix.

    begin      an empty generation, its target the head of the log
    fold       lane by lane, each in a transaction of its own with the mark how far it is; any number of processes
    index      the indexes, on full tables; from here on the runner brings the generation forward like any other
    catch_up   until it is where the live one is
    verify     nothing lost that readers see, and equal to the live one when the code is the same
    swap       in one short transaction; the old one stands by for a roll-back
    sweep      tables nobody needs are dropped

Every step may be killed and taken up again: what a step leaves is committed with the mark that it is done.
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import batched

from django.conf import settings
from django.db import OperationalError, connection, transaction
from django.db.models import QuerySet, Sum
from psycopg.errors import LockNotAvailable

from apps.consumers import comparing, folding, generations, models, parking, projections, runner, writing
from apps.events import envelope
from apps.kernel import errors, failpoints, isolation
from apps.outbox import log, sequencer

CHUNK = 1000
# One transaction of folding takes about so many events, some ten seconds of work: a kill repeats no more. Each step
# looks through the log for its lanes, so short ones are dear.
STEP_EVENTS = 400_000
SWAP_ATTEMPTS = 60
SWEEP_ATTEMPTS = 10
PAUSE_SECONDS = 0.5


class RebuildRunning(errors.Conflict):
    """Another process is rebuilding this projection."""

    code = "rebuild_running"


class NothingToResume(errors.Conflict):
    """No unfinished generation of the current code is there."""

    code = "nothing_to_resume"


class Stopped(Exception):
    """The deadline passed; what is done is kept, and the next run goes on from there."""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """`position` is how far the fold reached, `aggregates` how many generation `generation` holds, `note` what the
    comparison with the former live generation found, empty when they were equal."""

    projection: str
    generation: int
    aggregates: int
    position: int
    state: str
    note: str


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a rebuild would do: events to fold (or states to render), the unfinished generation there is."""

    projection: str
    source: str
    events: int
    live: int
    unfinished: int | None
    code_version: int


type OnProgress = Callable[[str, int, int], None]


@isolation.all_tenants(reason="rebuild")
def forecast(projection: projections.Projection, *, source: str = "log") -> Forecast:
    """A dry run. Writes nothing."""
    live = generations.live_number(projection)
    if source == "log":
        size = log.count(until=sequencer.head(), types=projection.types)
    else:
        size = writing.count_rows(projection.state_relation, live)
    unfinished = generations.find_unfinished(projection)
    return Forecast(projection.name, source, size, live, unfinished.number if unfinished else None, projection.version)


@isolation.all_tenants(reason="rebuild")
def rebuild(
    projection: projections.Projection,
    *,
    source: str = "log",
    shards: int = 1,
    resume: bool = False,
    swap: bool = True,
    accept_parked: bool = False,
    deadline: float | None = None,
    on_progress: OnProgress = lambda step, done, total: None,
) -> Rebuilt:
    """Build a generation and, unless told otherwise, swap it in. On any failure the live one is untouched.

    `source` "state" renders the states the live generation has kept instead of folding the log: faster, right when
    only `render` changed. `on_progress` gets the step, events done and events in all. Raises RebuildRunning,
    NothingToResume, Stopped after `deadline` (time.monotonic), and generations.SwapRefused when aggregates can't be
    folded that readers can see now (unless `accept_parked`) or when the result differs from what is live.
    """
    with _one_at_a_time(projection):
        number = _resumable(projection) if resume else _begin(projection, source, shards)
        ahead = {
            "building": [_fold, _index, _catch_up, _verify],
            "catching_up": [_catch_up, _verify],
            "ready": [_catch_up],
        }
        failpoints.reach("rebuild.after_begin")
        build = _Build(projection, number, shards, accept_parked, deadline, on_progress)
        for step in ahead[_generation(build).state]:
            step(build)
            failpoints.reach(f"rebuild.after{step.__name__}")
        if swap:
            _swap(projection, number)
            failpoints.reach("rebuild.after_swap")
            _sweep_patiently(projection)
        return _rebuilt(projection, number)


def begin(projection: projections.Projection, *, source: str, is_wanted: bool) -> int:
    """Only the empty generation, for a later `rebuild` with `resume`; returns its number. Raises RebuildRunning."""
    with _one_at_a_time(projection):
        return _begin(projection, source, 1, is_wanted=is_wanted)


@isolation.all_tenants(reason="rebuild")
def roll_back(projection: projections.Projection) -> int:
    """Make the generation that was live before live again; returns its number. Raises generations.SwapRefused."""
    with _one_at_a_time(projection):
        standby = generations.find_standby(projection)
        if standby is None:
            raise generations.SwapRefused(f"{projection.name}: no earlier generation is kept; rebuild instead.")
        if standby.code_version != projection.version:
            raise generations.SwapRefused(
                f"{projection.name}: generation {standby.number} was built by version {standby.code_version} of the "
                f"code, this is {projection.version}; deploy that version first, it will catch up by itself."
            )
        _swap(projection, standby.number)
        return int(standby.number)


@dataclass(frozen=True, slots=True)
class _Build:
    projection: projections.Projection
    number: int
    shards: int
    accept_parked: bool
    deadline: float | None
    on_progress: OnProgress

    def check_time(self) -> None:
        if self.deadline is not None and time.monotonic() > self.deadline:
            raise Stopped(f"{self.projection.name}: generation {self.number} is not finished yet")


@contextmanager
def _one_at_a_time(projection: projections.Projection) -> Iterator[None]:
    """A session lock: it ends with the connection, so a killed rebuild blocks nobody."""
    key = f"rebuild:{projection.name}"
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(hashtext(%s))", [key])
        if not cursor.fetchone()[0]:
            raise RebuildRunning(f"{projection.name} is being rebuilt by another process; wait for it.")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(hashtext(%s))", [key])


def _generation(build: _Build) -> models.Generation:
    return models.Generation.objects.get(projection=build.projection.name, number=build.number)


def _checkpoints(build: _Build) -> QuerySet[models.Checkpoint]:
    rows = models.Checkpoint.objects.filter(consumer=build.projection.name, generation=build.number)
    return rows.order_by("shard")


def _folded(build: _Build) -> int:
    return int(_checkpoints(build).aggregate(total=Sum("folded"))["total"] or 0)


def _note(build: _Build, problem: str) -> None:
    rows = models.Generation.objects.filter(projection=build.projection.name, number=build.number)
    rows.update(problem=problem)


def _set_state(build: _Build, state: str) -> None:
    rows = models.Generation.objects.filter(projection=build.projection.name, number=build.number)
    rows.exclude(state="retired").update(state=state)


def _resumable(projection: projections.Projection) -> int:
    unfinished = generations.find_unfinished(projection)
    if unfinished is None or unfinished.code_version != projection.version:
        raise NothingToResume(
            f"{projection.name} has no unfinished generation of version {projection.version}; start without --resume."
        )
    return int(unfinished.number)


# --- the steps ----------------------------------------------------------------------------------------------


def _begin(projection: projections.Projection, source: str, shards: int, *, is_wanted: bool = False) -> int:
    generations.retire(projection, *generations.UNFINISHED, problem="a later rebuild began anew")
    generations.retire_old_standbys(projection)
    generations.sweep(projection)
    with transaction.atomic():
        live = generations.live_number(projection)
        target = sequencer.head()
        if source == "state":
            held = generations.lock_checkpoints(projection, [live])
            target = min(checkpoint.position for checkpoint in held)
        number = generations.create(
            projection, state="building", target_position=target, shards=shards, source=source, is_wanted=is_wanted
        )
        if source == "state":
            parking.copy(projection.name, before=live, after=number)
        return number


def _fold(build: _Build) -> None:
    total = forecast(build.projection, source=_generation(build).source).events
    build.on_progress("fold", _folded(build), total)
    lanes = max(1, min(envelope.LANES, STEP_EVENTS * envelope.LANES // max(total, 1)))
    shards = list(_checkpoints(build).values_list("shard", flat=True))
    with _helpers(build, shards[1 : build.shards], lanes):
        # Ours first; then whatever the helpers have not done yet, beside them or in their place.
        for shard in shards:
            while fold_lanes(build.projection, build.number, shard, lanes=lanes):
                failpoints.reach("rebuild.after_lanes")
                build.on_progress("fold", _folded(build), total)
                build.check_time()
    build.on_progress("fold", _folded(build), total)


@contextmanager
def _helpers(build: _Build, shards: Sequence[int], lanes: int) -> Iterator[None]:
    """A process for each of these shards. They may be killed, or outlive us: the marks in the database decide."""
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": settings.SETTINGS_MODULE}
    work = [build.projection.name, str(build.number), str(lanes), str(connection.settings_dict["NAME"])]
    processes = [
        subprocess.Popen(  # noqa: S603 - our own module, our own arguments
            [sys.executable, "-m", "apps.consumers.fold_shard", str(shard), *work],
            cwd=settings.CHECKOUT,
            env=environment,
            start_new_session=True,
        )
        for shard in shards
    ]
    try:
        yield
    finally:
        for process in processes:
            process.terminate()
            process.wait()


def fold_lanes(projection: projections.Projection, number: int, shard: int, *, lanes: int) -> bool:
    """Fold the next `lanes` lanes of a shard, in one transaction with the mark. False when the shard is complete."""
    with transaction.atomic():
        row = models.Checkpoint.objects.select_for_update().get(
            consumer=projection.name, generation=number, shard=shard
        )
        if row.next_lane is None:
            return False
        last = min(row.next_lane + lanes - 1, row.lane_high)
        generation = models.Generation.objects.get(projection=projection.name, number=number)
        counted = 0
        refused: dict[tuple[uuid.UUID, uuid.UUID], str] = {}
        poisoned: list[parking.Failure] = []

        def count(events: int) -> None:
            nonlocal counted
            counted += events

        if generation.source == "state":
            built = folding.render_stored(
                projection,
                generations.live_number(projection),
                lanes=(row.next_lane, last),
                on_poison=lambda key, error: refused.update({key: error}),
                on_states=count,
            )
        else:
            built = folding.build_all(
                projection,
                until=generation.target_position,
                lanes=(row.next_lane, last),
                on_poison=lambda stream, error: poisoned.append(parking.Failure(stream, error)),
                on_events=count,
                ahead=True,
            )
        with _without_cycle_collection():
            for chunk in batched(built, CHUNK):
                refused |= writing.replace_each(projection, number, chunk, fresh=True)
        for failure in poisoned:
            parking.park(projection.name, number, failure)
        _park_whole(projection, generation, refused)
        row.next_lane = last + 1 if last < row.lane_high else None
        row.folded += counted
        failpoints.reach("rebuild.before_mark")
        row.save(update_fields=["next_lane", "folded"])
        return row.next_lane is not None


@contextmanager
def _without_cycle_collection() -> Iterator[None]:
    """States and rows are trees: looking through millions of them for cycles costs a sixth of the fold."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _park_whole(
    projection: projections.Projection, generation: models.Generation, refused: dict[tuple[uuid.UUID, uuid.UUID], str]
) -> None:
    for (tenant_id, aggregate_id), error in refused.items():
        for stream in log.read_by_aggregate(
            until=generation.target_position,
            aggregate_types=projection.aggregate_types,
            types=projection.types,
            tenant_id=tenant_id,
            aggregate_ids=[aggregate_id],
        ):
            parking.park(projection.name, generation.number, parking.Failure(stream, error))


def _index(build: _Build) -> None:
    build.on_progress("index", 0, 1)
    with transaction.atomic():
        generations.finish(build.projection, build.number)
        generations.reshard(build.projection, build.number, settings.EVENTS_SHARDS)
        _set_state(build, "catching_up")


def _catch_up(build: _Build) -> None:
    head = sequencer.head()
    for checkpoint in _checkpoints(build):
        run = runner.Run(build.projection.name, build.number, checkpoint.shard)
        while runner.advance_window(run, until=head):
            build.on_progress("catch up", runner.position_of(run), head)
            build.check_time()


def _verify(build: _Build) -> None:
    build.on_progress("verify", 0, 1)
    generation = _generation(build)
    if generation.state == "retired":
        raise generations.SwapRefused(f"{build.projection.name}: {generation.problem}. The live generation stays.")
    if not build.accept_parked:
        _refuse_new_poison(build)
        _refuse_difference(build)
    _set_state(build, "ready")
    models.Generation.objects.filter(projection=build.projection.name, number=build.number).update(is_wanted=False)


def _refuse_new_poison(build: _Build) -> None:
    """A generation that lost aggregates readers see now stays in the dark."""
    live = generations.live_number(build.projection)
    known = parking.blocked(build.projection.name, live)
    lost = parking.blocked(build.projection.name, build.number) - known
    if lost:
        rows = models.Parked.objects.filter(consumer=build.projection.name, generation=build.number)
        first = next(row for row in rows if row.key in lost)
        raise generations.SwapRefused(
            f"{build.projection.name}: {len(lost)} aggregates can't be folded, the first is {first.aggregate_type} "
            f"{first.aggregate_id}: {first.error[:200]}. The live generation stays; mend the projection and rebuild, "
            "or accept them as parked."
        )


def _refuse_difference(build: _Build) -> None:
    """The same code over the same log gives the same rows. Where it did not, the log tells which side is wrong."""
    live = models.Generation.objects.get(projection=build.projection.name, state="live")
    if live.code_version != build.projection.version or parking.blocked(build.projection.name, live.number):
        return  # other code gives other rows, and parked aggregates stand where they were parked
    try:
        differing = comparing.differing_lanes(build.projection, live.number, build.number)
    except comparing.NeverEven as error:
        raise generations.SwapRefused(f"{error}; rebuild with --resume when there is less traffic.") from None
    if not differing:
        return
    comparison = comparing.compare_with_fold(build.projection, build.number, lanes=differing)
    if comparison.problems:
        raise generations.SwapRefused(f"{build.projection.name}: not equal to the log: {comparison.problems[0]}")
    _note(build, f"generation {live.number} differed from the log in {len(differing)} lanes; this one does not")


def _swap(projection: projections.Projection, number: int) -> None:
    """In a transaction that never waits long for a lock: who reads for minutes must not stop all other readers."""
    for _ in range(SWAP_ATTEMPTS):
        try:
            with transaction.atomic():
                # While both checkpoints are ours nobody gets ahead of the new generation.
                held = generations.lock_checkpoints(projection, [generations.live_number(projection), number])
                runner.advance(projection, number, until=max(checkpoint.position for checkpoint in held))
                with connection.cursor() as cursor:
                    cursor.execute("SET LOCAL lock_timeout = '500ms'")
                generations.swap(projection, to=number)
                failpoints.reach("rebuild.before_swap_commit")
        except OperationalError as error:
            if not isinstance(error.__cause__, LockNotAvailable):
                raise
            time.sleep(PAUSE_SECONDS)
        else:
            return
    raise generations.SwapRefused(f"{projection.name}: long transactions are reading it; end them and swap again.")


def _sweep_patiently(projection: projections.Projection) -> None:
    """Old tables that somebody is still reading are left to the next rebuild."""
    generations.retire_old_standbys(projection)
    for _ in range(SWEEP_ATTEMPTS):
        if generations.sweep(projection):
            return
        time.sleep(PAUSE_SECONDS)


def _rebuilt(projection: projections.Projection, number: int) -> Rebuilt:
    generation = models.Generation.objects.get(projection=projection.name, number=number)
    reached = models.Checkpoint.objects.filter(consumer=projection.name, generation=number)
    position = min(reached.values_list("position", flat=True))
    aggregates = writing.count_rows(projection.state_relation, number)
    return Rebuilt(projection.name, number, aggregates, position, generation.state, generation.problem)
