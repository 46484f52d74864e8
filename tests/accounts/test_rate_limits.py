"""Rate limits over HTTP: who is charged what, what the answer tells, and who nobody can pretend to be."""

from __future__ import annotations

import urllib.error
import urllib.request
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import redis
from django.conf import LazySettings
from django.conf import settings as django_settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone

from apps.accounts import models as account_models
from apps.accounts import rate_limits
from apps.accounts.services import keys
from apps.kernel.limits import deciding, headers, policies, shared
from apps.kernel.limits.policies import Limits
from apps.tenants import models
from rustok.servers import processes
from tests import factories, serving
from tests.kernel.limiting import ENOUGH_SECONDS

pytestmark = pytest.mark.usefixtures("db")

LOGIN = "/api/v1/auth/token"
PRODUCTS = "/api/v1/store/products"
TENANT = "/api/v1/admin/tenant"
NO_LIMITS = dict.fromkeys(Limits.model_fields, 0)


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(shared, "DEADLINE_SECONDS", ENOUGH_SECONDS)
    deciding.forget_process()
    yield
    deciding.forget_process()


@pytest.fixture
def tenant() -> models.Tenant:
    return factories.make_tenant()


@pytest.fixture
def limit(settings: LazySettings) -> Any:
    """Sets the limits named, all others being without bound."""

    def set_limits(**numbers: int) -> None:
        settings.LIMITS = Limits(**NO_LIMITS | numbers)

    return set_limits


def make_address() -> str:
    """One that no other test comes from."""
    number = uuid.uuid4().int
    return f"2001:db8:{number >> 16 & 0xFFFF:x}:{number & 0xFFFF:x}::1"


class Visitor:
    """A client with an address of its own, at a tenant; with a token where it has one."""

    def __init__(self, tenant: models.Tenant | None, token: str = "", address: str = "") -> None:
        self._client = Client()
        self.address = address or make_address()
        self.headers = {"X-Tenant": tenant.slug} if tenant else {}
        if token:
            self.headers["Authorization"] = f"Bearer {token}"

    def get(self, path: str, **extra: Any) -> Any:
        return self._client.get(path, headers=self.headers | extra, REMOTE_ADDR=self.address)

    def send(self, method: str, path: str, body: Any = None) -> Any:
        send = getattr(self._client, method)
        headers = factories.write_headers("PATCH") | self.headers
        return send(path, body or {}, content_type="application/json", headers=headers, REMOTE_ADDR=self.address)


def statuses(answers: list[Any]) -> list[int]:
    return [answer.status_code for answer in answers]


def keys_of(address: str) -> set[str]:
    network = address.split("::", maxsplit=1)[0]
    with redis.Redis.from_url(django_settings.VALKEY_URL) as client:
        return {key.decode() for key in client.scan_iter(f"rustok:{{limits}}:*{network}*")}


# --- Who is charged -------------------------------------------------------------------------------------------


def test_who_has_no_login_is_limited_by_address(limit: Any, tenant: models.Tenant) -> None:
    limit(anonymous=2)
    visitor = Visitor(tenant)

    assert statuses([visitor.get(PRODUCTS) for _ in range(3)]) == [200, 200, 429]
    assert Visitor(tenant).get(PRODUCTS).status_code == 200
    assert Visitor(factories.make_tenant(), address=visitor.address).get(PRODUCTS).status_code == 200


def test_an_address_has_a_limit_over_all_tenants_too(limit: Any) -> None:
    limit(address=2)
    address = make_address()

    answers = [Visitor(factories.make_tenant(), address=address).get(PRODUCTS) for _ in range(3)]

    assert statuses(answers) == [200, 200, 429]


def test_a_user_is_limited_wherever_they_ask_from(limit: Any, tenant: models.Tenant) -> None:
    limit(user=2)
    token = factories.make_token(tenant)

    assert statuses([Visitor(tenant, token).get(TENANT) for _ in range(3)]) == [200, 200, 429]
    assert Visitor(tenant, factories.make_token(tenant)).get(TENANT).status_code == 200


def test_a_key_is_limited_by_itself(limit: Any, tenant: models.Tenant) -> None:
    limit(key=2, user=1)
    owner = factories.make_member(tenant)
    secrets = [make_key(tenant, owner) for _ in range(2)]

    assert statuses([Visitor(tenant, secrets[0]).get(TENANT) for _ in range(3)]) == [200, 200, 429]
    assert Visitor(tenant, secrets[1]).get(TENANT).status_code == 200


def make_key(tenant: models.Tenant, owner: Any) -> str:
    new = keys.NewApiKey(name="ERP", scopes=["settings:read"])
    with factories.at_work(tenant):
        return keys.create_key(new=new, by=owner, now=timezone.now()).key


def test_all_clients_of_a_tenant_share_its_limit(limit: Any, tenant: models.Tenant) -> None:
    limit(tenant=3)
    token = factories.make_token(tenant)

    answers = [Visitor(tenant).get(PRODUCTS), Visitor(tenant, token).get(TENANT), Visitor(tenant).get(PRODUCTS)]

    assert statuses(answers) == [200, 200, 200]
    assert Visitor(tenant, token).get(TENANT).json()["violated-policies"] == ["tenant"]
    assert Visitor(factories.make_tenant()).get(PRODUCTS).status_code == 200


@pytest.mark.parametrize(
    ("policy", "method", "path"),
    [
        ("read", "get", TENANT),
        ("write", "patch", TENANT),
        ("expensive", "get", "/api/v1/admin/audit/export.csv"),
    ],
)
def test_classes_of_operations_have_limits_of_their_own(
    limit: Any, tenant: models.Tenant, policy: str, method: str, path: str
) -> None:
    limit(**{policy: 1})
    visitor = Visitor(tenant, factories.make_token(tenant))

    answers = [visitor.send(method, path) if method != "get" else visitor.get(path) for _ in range(2)]

    assert statuses(answers) == [200, 429]
    assert answers[1].json()["violated-policies"] == [policy]
    other = visitor.get(TENANT) if policy != "read" else visitor.send("patch", TENANT)
    assert other.status_code == 200


def test_a_search_costs_two(limit: Any, tenant: models.Tenant) -> None:
    limit(anonymous=3)
    visitor = Visitor(tenant)

    assert statuses([visitor.get("/api/v1/store/search?q=x") for _ in range(2)]) == [200, 429]
    assert visitor.get(PRODUCTS).status_code == 200


def test_logins_of_an_address_are_limited_over_all_tenants(limit: Any) -> None:
    limit(auth=3)
    address = make_address()

    answers = [
        Visitor(tenant, address=address).send("post", LOGIN, {"email": f"{n}@example.test", "password": "x"})
        for n, tenant in enumerate([None, factories.make_tenant(), None, factories.make_tenant()])
    ]

    assert statuses(answers) == [401, 401, 401, 429]
    assert answers[-1].json()["violated-policies"] == ["auth"]


def test_mailed_tokens_cost_three_logins(limit: Any) -> None:
    limit(auth=6)
    visitor = Visitor(None)

    answers = [visitor.send("post", "/api/v1/auth/reset", {"email": "nobody@example.test"}) for _ in range(3)]

    assert statuses(answers) == [202, 202, 429]


def test_a_guess_that_was_refused_is_not_looked_at(limit: Any, tenant: models.Tenant) -> None:
    limit(auth=1)
    user, visitor = factories.make_user(), Visitor(None)
    right = {"email": user.email, "password": factories.PASSWORD}

    assert statuses([visitor.send("post", LOGIN, right) for _ in range(2)]) == [200, 429]
    assert account_models.Session.objects.filter(account=user).count() == 1


def test_whoever_is_refused_a_permission_is_charged_all_the_same(limit: Any, tenant: models.Tenant) -> None:
    limit(user=2)
    visitor = Visitor(tenant, factories.make_token(factories.make_tenant()))

    assert statuses([visitor.get(TENANT) for _ in range(3)]) == [403, 403, 429]


@pytest.mark.parametrize(
    ("path", "token", "status"),
    [
        ("/api/v1/admin/tenant", "nonsense", 401),
        ("/api/v1/admin/tenant", "rtk_nonsense", 401),
        ("/nowhere", "", 404),
    ],
)
def test_what_no_operation_took_is_charged_to_the_address(
    limit: Any, tenant: models.Tenant, path: str, token: str, status: int
) -> None:
    limit(unserved=2)
    visitor = Visitor(tenant, token)

    answers = [visitor.get(path) for _ in range(4)]

    assert statuses(answers) == [status, status, 429, 429]
    assert answers[3].json()["violated-policies"] == ["unserved"]
    assert visitor.get("/health/live").status_code == 200


@pytest.mark.parametrize("authorization", ["Basic YTpi", "", "Token x"])
def test_credentials_of_another_kind_do_not_change_who_is_charged(
    limit: Any, tenant: models.Tenant, authorization: str
) -> None:
    limit(anonymous=1)
    visitor = Visitor(tenant)
    visitor.headers["Authorization"] = authorization

    assert statuses([visitor.get(TENANT) for _ in range(2)]) == [401, 429]
    assert visitor.get(PRODUCTS).status_code == 429


def test_an_unknown_host_is_charged_too_and_then_not_looked_for(
    limit: Any, tenant: models.Tenant, django_assert_num_queries: Any
) -> None:
    limit(unserved=1)
    visitor = Visitor(None)
    visitor.headers = {}
    for _ in range(2):
        visitor.get(PRODUCTS, **{"X-Tenant": f"nobody-{uuid.uuid4().hex}"})

    with django_assert_num_queries(0):
        answer = visitor.get(PRODUCTS, **{"X-Tenant": f"nobody-{uuid.uuid4().hex}"})

    assert answer.status_code == 429


def test_a_login_in_the_admin_is_limited_as_a_user(limit: Any) -> None:
    limit(anonymous=1, user=3)
    client, address = Client(), make_address()
    client.force_login(factories.make_user(is_staff=True, is_superuser=True))

    answers = [client.get("/admin/", REMOTE_ADDR=address) for _ in range(4)]

    assert statuses(answers) == [200, 200, 200, 429]
    assert statuses([Client().get("/admin/login/", REMOTE_ADDR=address) for _ in range(2)]) == [200, 429]


def test_the_admin_login_has_an_outer_wall(tenant: models.Tenant) -> None:
    client, address = Client(), make_address()

    answers = [
        client.post("/admin/login/", {"username": f"{number}@example.test", "password": "x"}, REMOTE_ADDR=address)
        for number in range(31)
    ]

    assert b"Too many attempts from this address" in answers[-1].content
    assert b"Too many attempts from this address" not in answers[0].content


@pytest.mark.parametrize("path", ["/health", "/health/live", "/health/ready", "/metrics"])
def test_probes_and_scrapers_are_never_limited(limit: Any, path: str) -> None:
    limit(unserved=1, anonymous=1, address=1, read=1)
    visitor = Visitor(None)

    answers = [visitor.get(path) for _ in range(3)]

    assert 429 not in statuses(answers)
    assert not [name for name in headers.DESCRIPTIONS if name in answers[-1]]


def test_a_request_costs_one_call_of_valkey(limit: Any, tenant: models.Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = []
    take = shared.Shared.take
    monkeypatch.setattr(shared.Shared, "take", lambda *given, **named: taken.append(given[1]) or take(*given, **named))
    limit(**dict.fromkeys(Limits.model_fields, 1000))
    token = factories.make_token(tenant)

    Visitor(tenant).get(PRODUCTS)
    Visitor(tenant, token).get(TENANT)
    Visitor(tenant, "nonsense").get(TENANT)

    assert [[charge.policy for charge in charges] for charges in taken] == [
        ["anonymous", "read", "tenant", "address"],
        ["user", "read", "tenant"],
        ["unserved"],
    ]


def test_limits_ask_no_query(limit: Any, tenant: models.Tenant) -> None:
    visitor = Visitor(tenant, factories.make_token(tenant))
    asked = []
    for number in (0, 1000):
        limit(**dict.fromkeys(Limits.model_fields, number))
        with CaptureQueriesContext(connection) as queries_asked:
            answer = visitor.get(TENANT)
        assert ("RateLimit" in answer) is bool(number)
        asked.append(len(queries_asked))

    assert asked[0] == asked[1]


# --- What the answer tells ------------------------------------------------------------------------------------


def test_a_refusal_is_a_problem_document(limit: Any, tenant: models.Tenant) -> None:
    limit(user=1)
    visitor = Visitor(tenant, factories.make_token(tenant))
    visitor.get(TENANT)

    answer = visitor.get(TENANT)

    document = answer.json()
    assert (answer.status_code, answer["Content-Type"]) == (429, "application/problem+json")
    assert (document["code"], document["violated-policies"]) == ("quota_exceeded", ["user"])
    assert document["retry_after"] == int(answer["Retry-After"]) == int(answer["X-RateLimit-Reset"])
    assert 55 <= int(answer["Retry-After"]) <= 62
    assert f"try again in {answer['Retry-After']} s" in document["detail"]
    assert answer["RateLimit"] == f'"user";r=0;t={answer["Retry-After"]}'


def test_every_answer_tells_where_the_tightest_limit_stands(limit: Any, tenant: models.Tenant) -> None:
    limit(user=5, write=3, tenant=4)
    visitor = Visitor(tenant, factories.make_token(tenant))

    answers = [visitor.send("patch", TENANT), visitor.send("patch", TENANT, {"name": 7}), visitor.get(TENANT)]

    assert statuses(answers) == [200, 422, 200]
    assert [answer["X-RateLimit-Limit"] for answer in answers] == ["3", "3", "5"]
    assert [answer["X-RateLimit-Remaining"] for answer in answers] == ["2", "1", "2"]
    assert answers[0]["RateLimit-Policy"] == '"write";q=3;w=60, "user";q=5;w=60'
    assert answers[2]["RateLimit-Policy"] == '"user";q=5;w=60'


def test_a_client_that_does_as_it_is_told_is_refused_once_at_a_time(
    limit: Any, tenant: models.Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It asks until it is refused, waits as long as `Retry-After` says, and is admitted; the clock is ours."""
    limit(user=5, read=4)
    seconds, take = [1_700_000_000.25], shared.Shared.take
    refusals = deciding.Refusals(clock=lambda: seconds[0])
    monkeypatch.setattr(deciding, "_refusals", lru_cache(lambda: refusals))
    monkeypatch.setattr(
        shared.Shared,
        "take",
        lambda self, charges: take(self, charges, now_microseconds=round(seconds[0] * 1_000_000)),
    )
    visitor = Visitor(tenant, factories.make_token(tenant))
    answers = []
    for _ in range(25):
        answers.append(visitor.get(TENANT))
        seconds[0] += float(answers[-1].get("Retry-After", 0.5))

    refused = [place for place, answer in enumerate(answers) if answer.status_code == 429]
    assert refused[0] == 4
    assert len(refused) > 3
    assert all(answers[place + 1].status_code == 200 for place in refused[:-1])
    lefts = [int(answer["X-RateLimit-Remaining"]) for answer in answers]
    assert lefts[:5] == [3, 2, 1, 0, 0]
    resets = [int(answer["X-RateLimit-Reset"]) for answer in answers[:5]]
    assert resets == sorted(resets, reverse=True)


def test_what_a_cache_may_share_tells_nothing_and_refusals_do(limit: Any, tenant: models.Tenant) -> None:
    limit(anonymous=2)
    visitor = Visitor(tenant)

    shareable, unknown, refused = visitor.get(PRODUCTS), visitor.get(f"{PRODUCTS}/nothing"), visitor.get(PRODUCTS)

    assert "public" in shareable["Cache-Control"]
    assert not [name for name in headers.DESCRIPTIONS if name in shareable]
    assert unknown["X-RateLimit-Remaining"] == "0"
    assert refused["Retry-After"]


# --- Who nobody can pretend to be -----------------------------------------------------------------------------


FORWARDING = [
    {"X-Forwarded-For": "{address}"},
    {"X-Forwarded-For": "{address}, 10.0.0.1"},
    {"Forwarded": 'for="[{address}]"'},
    {"X-Real-IP": "{address}"},
    {"True-Client-IP": "{address}"},
    {"X-User-ID": "{address}"},
]


@pytest.mark.parametrize("forged", FORWARDING, ids=lambda forged: next(iter(forged)))
def test_headers_of_strangers_do_not_change_who_is_charged(
    limit: Any, tenant: models.Tenant, forged: dict[str, str]
) -> None:
    limit(anonymous=3, address=3)
    visitor = Visitor(tenant)

    answers = [
        visitor.get(PRODUCTS, **{name: text.format(address=make_address()) for name, text in forged.items()})
        for _ in range(10)
    ]

    assert statuses(answers) == [200] * 3 + [429] * 7
    assert len(keys_of(visitor.address)) == 2


def test_behind_a_trusted_proxy_what_it_added_is_charged(
    limit: Any, tenant: models.Tenant, settings: LazySettings
) -> None:
    limit(anonymous=1)
    settings.TRUSTED_PROXIES = ("10.0.0.0/8",)
    proxy, client = Visitor(tenant, address="10.0.0.1"), make_address()

    answers = [proxy.get(PRODUCTS, **{"X-Forwarded-For": f"{make_address()}, {client}"}) for _ in range(3)]

    assert statuses(answers) == [200, 429, 429]
    assert proxy.get(PRODUCTS, **{"X-Forwarded-For": make_address()}).status_code == 200


def test_all_addresses_of_one_subscriber_are_one(limit: Any, tenant: models.Tenant) -> None:
    limit(anonymous=2, address=1000)
    network = make_address().removesuffix("::1")

    answers = [Visitor(tenant, address=f"{network}::{number:x}").get(PRODUCTS) for number in range(1, 30)]

    assert statuses(answers) == [200] * 2 + [429] * 27
    assert len(keys_of(f"{network}::")) == 2


# --- What views declare ---------------------------------------------------------------------------------------


def views(resolver: URLResolver | None = None) -> Iterator[Any]:
    for entry in (resolver or get_resolver()).url_patterns:
        if isinstance(entry, URLResolver):
            yield from views(entry)
        elif isinstance(entry, URLPattern) and hasattr(entry.callback, "cls"):
            yield entry.callback.cls


def test_what_views_declare_is_known() -> None:
    for view in views():
        for method in view.http_method_names:
            assert rate_limits.endpoint_class(view, method.upper()) in policies.CLASSES, view
            assert rate_limits.endpoint_cost(view, method.upper()) >= 1, view


def test_whatever_takes_a_secret_is_of_the_class_that_is_closed_without_valkey() -> None:
    takes_secrets = {
        view.__name__
        for view in views()
        if view.__module__.startswith("apps.accounts.api.") and not view.authentication_classes
    }
    guarded = {view.__name__ for view in views() if rate_limits.endpoint_class(view, "POST") == policies.AUTH}

    assert takes_secrets
    assert takes_secrets <= guarded
    assert {"PasswordView", "TotpConfirmView", "TotpDisableView", "VerifyRequestView"} <= guarded


# --- Without Valkey -------------------------------------------------------------------------------------------


def test_without_valkey_reads_go_on_and_logins_nearly_stop(
    limit: Any, settings: LazySettings, tenant: models.Tenant, tmp_path: Any
) -> None:
    limit(**Limits().model_dump())
    settings.VALKEY_URL = f"unix://{tmp_path}/nobody.sock"
    settings.WEB_PROCESSES = 2
    deciding.forget_process()
    visitor = Visitor(tenant)

    reads = [visitor.get(PRODUCTS) for _ in range(51)]
    logins = [visitor.send("post", LOGIN, {"email": f"{n}@example.test", "password": "x"}) for n in range(4)]

    assert statuses(reads) == [200] * 50 + [429]
    assert statuses(logins) == [401] * 3 + [429]
    assert reads[-1]["Retry-After"]


# --- A real server --------------------------------------------------------------------------------------------


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """The address of a page of a web server of two processes, which admits 50 requests of an address."""
    port = serving.free_port()
    command = serving.command_of("web", port=port, web_workers=2, web_threads=4)
    command[command.index("rustok.wsgi:application")] = "tests.accounts.patient_web:application"
    variables = {
        "RUSTOK_PROCESS": "web",
        "RUSTOK_LIMITS": "anonymous=50",
        "DATABASE_URL": serving.database_url(str(connection.settings_dict["NAME"])),
    }
    with serving.running(command, tmp_path / "log", **variables):
        is_ready = processes.wait_until(lambda: serving.status_of(port, "/health/live") == 200, timeout_seconds=120)
        assert is_ready, (tmp_path / "log").read_text()
        yield f"http://127.0.0.1:{port}/admin/login/"


def test_of_200_requests_at_once_to_a_server_of_two_processes_exactly_50_are_admitted(served: str) -> None:
    def ask(_: int) -> tuple[int, str]:
        request = urllib.request.Request(served)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
                return answer.status, answer.headers["X-Process"]
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers["X-Process"]

    with redis.Redis.from_url(django_settings.VALKEY_URL) as client:  # of whoever else came from this address
        for key in client.scan_iter("rustok:{limits}:*127.0.0.1"):
            client.delete(key)
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(ask, range(200)))

    assert Counter(status for status, _ in answers) == {200: 50, 429: 150}
    assert len({process for _, process in answers}) == 2
