"""Rate limits: a window that really slides, one count for all processes, and what holds while Valkey is away."""

from __future__ import annotations

import itertools
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import redis
from django.conf import LazySettings, settings
from django.http import HttpResponse
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from apps.kernel.limits import deciding, headers, local, policies, shared
from apps.kernel.limits.policies import Charge, Limits, Standing, Verdict
from tests.kernel import caching, limiting

SECOND = 1_000_000
WINDOW = policies.WINDOW_SECONDS * SECOND
STEP = policies.STEP_SECONDS * SECOND
BEGIN = 1_700_000_000 * SECOND + 123_457


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(shared, "DEADLINE_SECONDS", limiting.ENOUGH_SECONDS)
    deciding.forget_process()
    yield
    deciding.forget_process()


@dataclass
class Clock:
    now: int = BEGIN

    def __call__(self) -> int:
        return self.now


@dataclass
class Windows:
    """One of the two stores, with a clock of its own."""

    take: Callable[[Sequence[Charge]], list[Standing]]
    clock: Clock

    def admits(self, *charges: Charge) -> bool:
        return not any(standing.is_over for standing in self.take(charges))


def in_valkey() -> Windows:
    clock = Clock()
    return Windows(lambda charges: shared.windows().take(charges, now_microseconds=clock.now), clock)


def in_process() -> Windows:
    clock = Clock()
    return Windows(local.Local(clock=clock).take, clock)


@pytest.fixture(params=[in_valkey, in_process], ids=["valkey", "local"])
def windows(request: pytest.FixtureRequest) -> Windows:
    return request.param()


def charge(limit: int, *, policy: str = "user", who: str = "", cost: int = 1) -> Charge:
    return Charge(policy, who or uuid.uuid4().hex, limit, cost)


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"rustok_limits_{name}", labels) or 0


# --- The window -----------------------------------------------------------------------------------------------


@dataclass
class ExactLog:
    """The model: every admitted request with its moment."""

    limit: int
    admitted: list[tuple[int, int]] = field(default_factory=list)

    def in_last(self, span: int, now: int) -> int:
        return sum(cost for at, cost in self.admitted if now - span < at <= now)


REQUESTS = st.lists(
    st.tuples(
        st.one_of(
            st.integers(0, 5 * SECOND),
            st.sampled_from([0, 1, STEP - 1, STEP, WINDOW - 1, WINDOW, WINDOW + STEP]),
        ),
        st.integers(1, 4),
    ),
    max_size=60,
)


@pytest.mark.parametrize("policy", ["user", "auth"])
@hypothesis_settings(max_examples=60, deadline=None)
@given(requests=REQUESTS, limit=st.integers(4, 12), phase=st.integers(0, STEP))
def test_both_stores_keep_the_stated_bound_and_agree(
    policy: str, requests: list[tuple[int, int]], limit: int, phase: int
) -> None:
    """Never more than the limit in any window; refused only what a log of a window longer by a step refuses too."""
    valkey, process, who = in_valkey(), in_process(), uuid.uuid4().hex
    log = ExactLog(limit)
    step = 1 if policy == "auth" else STEP
    now = BEGIN + phase
    for gap, cost in requests:
        now += gap
        valkey.clock.now = process.clock.now = now
        asked = Charge(policy, who, limit, cost)

        [standing] = valkey.take([asked])
        [same] = process.take([asked])

        assert standing == same
        if standing.is_over:
            assert log.in_last(WINDOW + step, now) + cost > limit, "refused without need"
        else:
            log.admitted.append((now, cost))
            assert log.in_last(WINDOW, now) <= limit, "more than the limit in one window"
        if policy == "auth":
            assert standing.is_over or standing.remaining == limit - log.in_last(WINDOW, now)
        assert 0 < standing.seconds <= policies.WINDOW_SECONDS + policies.STEP_SECONDS


def test_a_burst_around_a_boundary_gets_the_limit_once(windows: Windows) -> None:
    """A fixed window admits 100 here, one of two counters nearly as much."""
    asked = charge(50)
    windows.clock.now = BEGIN - BEGIN % WINDOW + WINDOW - 1

    at_the_end = sum(windows.admits(asked) for _ in range(100))
    windows.clock.now += 2
    after_it = sum(windows.admits(asked) for _ in range(100))

    assert (at_the_end, after_it) == (50, 0)


@pytest.mark.parametrize(("policy", "seconds"), [("auth", 60), ("user", 62)])
def test_what_was_admitted_counts_for_the_window_and_at_most_a_step(
    windows: Windows, policy: str, seconds: int
) -> None:
    asked = charge(1, policy=policy)
    assert windows.admits(asked)

    windows.clock.now = BEGIN + WINDOW - 1
    assert not windows.admits(asked)

    windows.clock.now = BEGIN + seconds * SECOND
    assert windows.admits(asked)


def test_a_client_that_waits_as_long_as_it_is_told_is_admitted(windows: Windows) -> None:
    asked = charge(5, cost=2)
    told = []
    for _ in range(40):
        verdict = Verdict(windows.take([asked]), "valkey")
        told.append(verdict.is_admitted)
        windows.clock.now += SECOND if verdict.is_admitted else verdict.retry_after_seconds * SECOND

    assert not all(told)
    assert all(one or other for one, other in itertools.pairwise(told)), "refused after the wait it was told"


def test_less_is_left_with_each_request_and_no_reset_is_later_than_the_one_before(windows: Windows) -> None:
    asked = charge(10)
    standings = []
    for _ in range(12):
        standings += windows.take([asked])
        windows.clock.now += SECOND // 4

    assert [standing.remaining for standing in standings] == [*range(9, -1, -1), 0, 0]
    assert [standing.is_over for standing in standings] == [False] * 10 + [True] * 2
    resets = [standing.seconds for standing in standings]
    assert resets == sorted(resets, reverse=True)


def test_where_one_policy_refuses_none_counts(windows: Windows) -> None:
    wide, narrow = charge(10, policy="tenant"), charge(1, policy="write")
    assert windows.admits(wide, narrow)

    standings = windows.take([wide, narrow])

    assert [standing.is_over for standing in standings] == [False, True]
    assert windows.take([wide])[0].remaining == 8


def test_a_heavy_request_counts_as_many(windows: Windows) -> None:
    heavy = charge(10, cost=4)

    assert [windows.admits(heavy) for _ in range(3)] == [True, True, False]
    assert windows.admits(Charge(heavy.policy, heavy.who, heavy.limit, 2))


def test_a_limit_that_was_lowered_holds_at_once(windows: Windows) -> None:
    asked = charge(10)
    for _ in range(10):
        windows.admits(asked)

    [standing] = windows.take([asked.of_limit(3)])

    assert (standing.is_over, standing.remaining) == (True, 0)
    windows.clock.now += round(standing.seconds * SECOND)
    assert windows.admits(asked.of_limit(3))


# --- Valkey ---------------------------------------------------------------------------------------------------


def valkey() -> redis.Redis:
    return redis.Redis.from_url(settings.VALKEY_URL)


@pytest.fixture(scope="module")
def processes() -> Iterator[list[caching.Elsewhere]]:
    with caching.processes(["tests.kernel.limiting"], 4) as started:
        yield started


def storm(processes: list[caching.Elsewhere], policy: str, *, limit: int, calls: int) -> list[dict[str, int]]:
    who = uuid.uuid4().hex
    for process in processes:
        process.ask("storm", policy, who, limit, 5, calls // len(processes))
    return [process.answer() for process in processes]


@pytest.mark.parametrize("policy", ["user", "auth"])
def test_of_200_at_once_in_four_processes_exactly_50_are_admitted(
    processes: list[caching.Elsewhere], policy: str
) -> None:
    answers = storm(processes, policy, limit=50, calls=200)

    assert sum(answer["asked"] for answer in answers) == 200
    assert sum(answer["admitted"] for answer in answers) == 50
    assert sum(answer["local"] for answer in answers) == 0


@pytest.mark.parametrize("seconds", [300, -300])
def test_a_process_whose_clock_is_off_changes_nothing(processes: list[caching.Elsewhere], seconds: int) -> None:
    processes[0].do("skew", seconds)
    try:
        answers = storm(processes, "user", limit=50, calls=200)
    finally:
        processes[0].do("skew", -seconds)

    assert sum(answer["admitted"] for answer in answers) == 50
    assert sum(answer["local"] for answer in answers) == 0


def test_a_server_that_forgot_the_script_is_taught_it() -> None:
    asked = charge(2)
    deciding.decide([asked])
    valkey().script_flush()

    verdict = deciding.decide([asked])

    assert (verdict.store, verdict.standings[0].remaining) == ("valkey", 0)


def test_what_is_kept_ends_by_itself_and_is_of_bounded_size() -> None:
    clock_steps = policies.WINDOW_SECONDS // policies.STEP_SECONDS
    asked, windows = charge(100_000, cost=7), in_valkey()
    for _ in range(5 * clock_steps):
        windows.admits(asked)
        windows.clock.now += STEP // 2

    assert 0 < valkey().pttl(asked.key) <= (policies.WINDOW_SECONDS + policies.STEP_SECONDS) * 1000
    assert valkey().hlen(asked.key) <= clock_steps + 1


def test_all_keys_are_in_one_place_of_a_cluster() -> None:
    keys = [charge(1, policy=name).key for name in Limits.model_fields]

    assert {key[key.index("{") : key.index("}") + 1] for key in keys} == {"{limits}"}


def test_a_refusal_is_not_asked_for_again_until_it_could_be_admitted() -> None:
    asked = charge(1)
    assert deciding.decide([asked]).is_admitted
    assert deciding.decide([asked]).store == "valkey"
    asked_before = valkey().info("commandstats")["cmdstat_evalsha"]["calls"]

    again = deciding.decide([asked])

    assert (again.is_admitted, again.store) == (False, "memory")
    assert 58 <= again.retry_after_seconds <= 62
    assert valkey().info("commandstats")["cmdstat_evalsha"]["calls"] == asked_before
    assert deciding.decide([asked.of_limit(5)]).is_admitted, "a limit that was raised is asked for anew"


def test_what_is_remembered_of_refusals_is_bounded() -> None:
    refusals = deciding.Refusals(largest=10)
    for _ in range(50):
        refusals.remember(Verdict([Standing(charge(1), 0, 60, is_over=True)], "valkey"))

    assert len(refusals._until) == 10


# --- Without Valkey -------------------------------------------------------------------------------------------


@pytest.fixture
def no_valkey(settings: LazySettings, tmp_path: Path) -> None:
    settings.VALKEY_URL = f"unix://{tmp_path}/nobody.sock"
    settings.WEB_PROCESSES = 4
    deciding.forget_process()


@pytest.mark.parametrize(
    ("policy", "limit", "admitted"),
    [
        ("user", 40, 10),  # a share for each process
        ("read", 40, 10),
        ("anonymous", 40, 10),
        ("auth", 40, 2),  # a fifth of the share
        ("auth", 4, 1),  # and never nothing at all
        ("user", 3, 1),
    ],
)
def test_without_valkey_each_process_admits_its_share_and_less_of_what_guards_secrets(
    no_valkey: None, policy: str, limit: int, admitted: int
) -> None:
    verdicts = [deciding.decide([charge(limit, policy=policy, who=policy)]) for _ in range(limit)]

    assert [verdict.is_admitted for verdict in verdicts] == [True] * admitted + [False] * (limit - admitted)
    assert {verdict.store for verdict in verdicts} == {"local"}


def test_without_valkey_it_is_told(no_valkey: None) -> None:
    before = counted("decisions_total", policy="user", decision="admitted", store="local")

    deciding.decide([charge(40)])

    assert counted("is_degraded") == 1
    assert counted("decisions_total", policy="user", decision="admitted", store="local") == before + 1


def test_a_full_process_makes_room_for_readers_and_refuses_newcomers_to_secrets() -> None:
    windows = local.Local(clock=Clock(), largest=10)
    for _ in range(10):
        windows.take([charge(5)])

    assert windows.take([charge(5, policy="auth")])[0].is_over
    assert not windows.take([charge(5)])[0].is_over
    assert len(windows) == 10


def test_windows_that_no_longer_count_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    windows = local.Local(clock=clock, largest=10)
    for _ in range(10):
        windows.take([charge(5)])
    clock.now += WINDOW + STEP

    assert not windows.take([charge(5, policy="auth")])[0].is_over


def test_a_valkey_that_hangs_costs_one_request_50_milliseconds_at_most_and_the_others_nothing(
    settings: LazySettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()  # the real deadline
    monkeypatch.setattr(shared, "OPEN_SECONDS", 60.0)
    settings.VALKEY_URL = f"unix://{tmp_path}/silent.sock"
    deciding.forget_process()
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(f"{tmp_path}/silent.sock")
        silent.listen()
        silent.setblocking(False)

        stores = {deciding.decide([charge(40)]).store for _ in range(100)}

        silent.accept()[0].close()
        with pytest.raises(BlockingIOError):  # nobody else has tried
            silent.accept()
    assert stores == {"local"}
    assert shared.DEADLINE_SECONDS * 2 <= 0.05, "to connect, and to answer"


def test_a_valkey_that_is_killed_and_comes_back_is_gone_on_with(
    settings: LazySettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "OPEN_SECONDS", 0.0)
    settings.VALKEY_URL = f"unix://{tmp_path}/own.sock"
    settings.WEB_PROCESSES = 2
    asked = charge(20)
    with own_valkey(tmp_path) as server:
        deciding.forget_process()
        stores = [deciding.decide([asked]).store for _ in range(3)]
        server.send_signal(signal.SIGKILL)
        server.wait()
        away = [deciding.decide([asked]) for _ in range(15)]
    with own_valkey(tmp_path):
        back = deciding.decide([asked])

    assert stores == ["valkey"] * 3
    assert {verdict.store for verdict in away} == {"local"}
    assert sum(verdict.is_admitted for verdict in away) == 10
    assert (back.store, back.is_admitted) == ("valkey", True)
    assert counted("is_degraded") == 0


def test_connections_that_the_server_has_closed_cost_nobody_a_request(settings: LazySettings, tmp_path: Path) -> None:
    settings.VALKEY_URL = f"unix://{tmp_path}/own.sock"
    asked = charge(10)
    with own_valkey(tmp_path), valkey() as own:
        deciding.forget_process()
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(lambda _: deciding.decide([asked]), range(4)))
        for known in own.client_list():
            if known["id"] != str(own.client_id()):
                own.client_kill_filter(_id=known["id"])

        verdict = deciding.decide([asked])

    assert (verdict.store, verdict.standings[0].remaining) == ("valkey", 5)


def test_an_answer_that_came_too_late_is_not_taken_for_that_of_the_next(
    settings: LazySettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "DEADLINE_SECONDS", 1.0)
    monkeypatch.setattr(shared, "OPEN_SECONDS", 0.0)
    settings.VALKEY_URL = f"unix://{tmp_path}/own.sock"
    first, second = charge(10), charge(100)
    with own_valkey(tmp_path), valkey() as own:
        deciding.forget_process()
        deciding.decide([first])  # connected
        own.client_pause(2_000)  # the next answer comes, and nobody waits for it any more
        late = deciding.decide([first])
        own.ping()  # the pause is over
        verdict = deciding.decide([second])

    assert late.store == "local"
    assert (verdict.store, verdict.standings[0].remaining) == ("valkey", 99)


class own_valkey:  # noqa: N801 - used as a function
    """A server of one test, which may be killed."""

    def __init__(self, folder: Path) -> None:
        self._socket = folder / "own.sock"
        self._socket.unlink(missing_ok=True)
        self._process = subprocess.Popen(
            [_executable(), "--port", "0", "--unixsocket", str(self._socket), "--save", "", "--dir", str(folder)],
            stdout=subprocess.DEVNULL,
        )

    def __enter__(self) -> subprocess.Popen[bytes]:
        until = time.monotonic() + limiting.ENOUGH_SECONDS
        client = redis.Redis(unix_socket_path=str(self._socket))
        while True:
            try:
                client.ping()
                return self._process
            except redis.RedisError:
                assert time.monotonic() < until, "Valkey did not start"
                time.sleep(0.01)

    def __exit__(self, *problem: object) -> None:
        self._process.kill()
        self._process.wait()


def _executable() -> str:
    from rustok.servers import valkey as embedded

    return str(embedded._binary())


# --- Headers and settings -------------------------------------------------------------------------------------


def verdict_of(*standings: tuple[Charge, int, float, bool]) -> Verdict:
    return Verdict([Standing(*standing) for standing in standings], "valkey")


def test_the_tightest_policy_is_told_and_the_tenant_s_is_nobody_s_business() -> None:
    verdict = verdict_of(
        (charge(1000, policy="user"), 990, 30.2, False),
        (charge(100, policy="write"), 70, 12.5, False),
        (charge(9000, policy="tenant"), 3, 1, False),
    )

    assert headers.describe(verdict) == {
        "X-RateLimit-Limit": "100",
        "X-RateLimit-Remaining": "70",
        "X-RateLimit-Reset": "13",
        "RateLimit-Policy": '"write";q=100;w=60, "user";q=1000;w=60',
        "RateLimit": '"write";r=70;t=13',
    }


def test_a_refusal_tells_when_to_come_again() -> None:
    verdict = verdict_of((charge(1000, policy="user"), 0, 2.1, True), (charge(9000, policy="tenant"), 0, 7.9, True))

    described = headers.describe(verdict)
    assert described["Retry-After"] == described["X-RateLimit-Reset"] == "8"
    problem = deciding.QuotaExceeded(verdict)
    assert (problem.status, problem.data["retry_after"]) == (429, 8)
    assert problem.data["violated-policies"] == ["user", "tenant"]


def test_every_header_is_described() -> None:
    described = headers.describe(verdict_of((charge(1), 0, 1, True)))

    assert set(described) == {*headers.DESCRIPTIONS, headers.RETRY_AFTER}


@pytest.mark.parametrize(
    ("cache_control", "is_told"),
    [("", True), ("no-store", True), ("private, max-age=5", True), ("public, max-age=0", False), ("S-MaxAge=9", False)],
)
def test_answers_that_a_cache_may_give_to_others_tell_nothing(cache_control: str, is_told: bool) -> None:
    response = HttpResponse(headers={"Cache-Control": cache_control} if cache_control else {})

    headers.put(response, verdict_of((charge(5), 3, 1, False)))

    assert ("RateLimit" in response) is is_told


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("anonimous=3", r'"anonimous" is no limit; Did you mean "anonymous"\?'),
        ("write=-3", '"write=-3" is not like write=200'),
        ("write", '"write" is not like write=200'),
    ],
)
def test_numbers_that_are_not_understood_are_refused(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Limits.read_text(text)


def test_a_plan_replaces_what_it_names() -> None:
    plan = policies.Plan(write=500, tenant=0).chosen()

    assert Limits().under(plan) == Limits(write=500, tenant=0)


def test_a_plan_can_not_loosen_what_protects_the_installation() -> None:
    assert set(Limits.model_fields) - set(policies.Plan.model_fields) == {"address", "unserved", "auth"}
