"""API keys: shown once, good in one tenant, for their scopes, their networks and no longer than they should be."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import timedelta
from typing import Any

import orjson
import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from django.utils import timezone

from apps.accounts import models, services, tokens
from apps.accounts.access import matrix
from apps.accounts.clients import Client as Peer
from apps.accounts.services import keys
from apps.kernel import ids
from tests import factories

CONTENT = ["comments:manage", "nodes:manage", "tags:manage"]
COMMERCE = ["inventory:manage", "products:manage"]
EVERYTHING = sorted({grant.permission for grant in matrix.system_roles()["owner"].grants})
NODES = "/api/v1/admin/nodes"
PRODUCTS = "/api/v1/admin/products"
KEYS = "/api/v1/admin/api-keys"


class Shop:
    """A tenant with its owner, and requests to it."""

    def __init__(self) -> None:
        self.tenant = factories.make_tenant()
        self.owner = factories.make_member(self.tenant)
        self.token = factories.make_tokens(self.owner).access_token

    def make_key(self, scopes: list[str] = CONTENT, **fields: Any) -> keys.MadeKey:
        with factories.at_work(self.tenant):
            new = keys.NewApiKey(name="ERP", scopes=scopes, **fields)
            return keys.create_key(new=new, by=self.owner, now=timezone.now())

    def request(self, method: str, path: str, body: Any = None, token: str = "", **extra: Any) -> Any:
        headers = {"X-Tenant": self.tenant.slug, "Authorization": f"Bearer {token or self.token}"}
        return Client().generic(
            method, path, b"" if body is None else orjson.dumps(body),
            content_type="application/json", headers=headers, **extra,
        )  # fmt: skip


@pytest.fixture
def shop(db: None) -> Shop:
    return Shop()


def test_a_key_is_made_shown_once_used_listed_and_revoked(shop: Shop) -> None:
    made = shop.request("POST", KEYS, {"name": "ERP", "scopes": CONTENT})
    assert made.status_code == 201
    key = made.json()["key"]
    assert key.startswith("rtk_test_")
    assert shop.request("GET", NODES, token=key).status_code == 200

    listed = shop.request("GET", KEYS).json()["data"]
    assert [entry["prefix"] for entry in listed] == [key.rpartition("_")[0]]
    assert "key" not in listed[0]
    assert listed[0]["last_used_at"]

    path = f"{KEYS}/{listed[0]['id']}"
    assert shop.request("DELETE", path).status_code == 204
    assert shop.request("DELETE", path).status_code == 404
    assert shop.request("GET", NODES, token=key).status_code == 401


def test_the_database_does_not_know_the_key(shop: Shop) -> None:
    made = shop.make_key()
    secret = made.key.rpartition("_")[2]

    with factories.at_work(shop.tenant), connection.cursor() as cursor:
        cursor.execute("SELECT accounts_apikey::text FROM accounts_apikey")
        stored = cursor.fetchone()[0]

    assert tokens.digest(made.key) in stored
    assert secret not in stored
    assert secret[:-6] not in stored


def test_a_key_does_what_its_scopes_say_and_nothing_else(shop: Shop) -> None:
    content, commerce = shop.make_key(CONTENT).key, shop.make_key(COMMERCE).key

    assert [shop.request("GET", path, token=content).status_code for path in (NODES, PRODUCTS, KEYS)] == [200, 403, 403]
    assert [shop.request("GET", path, token=commerce).status_code for path in (NODES, PRODUCTS, KEYS)] == [
        403,
        200,
        403,
    ]


def test_nobody_gives_a_key_what_they_may_not_do(shop: Shop) -> None:
    editor = factories.make_member(shop.tenant, "editor")

    with factories.at_work(shop.tenant), pytest.raises(keys.ScopeNotHeld, match="products:create"):
        new = keys.NewApiKey(name="ERP", scopes=["products:manage"])
        keys.create_key(new=new, by=editor, now=timezone.now())


def test_a_key_loses_what_its_creator_loses(shop: Shop) -> None:
    both = shop.make_key([*CONTENT, *COMMERCE]).key
    assert shop.request("GET", PRODUCTS, token=both).status_code == 200

    factories.make_member(shop.tenant)
    factories.make_member(shop.tenant, "editor", shop.owner)
    assert shop.request("GET", PRODUCTS, token=both).status_code == 403
    assert shop.request("GET", NODES, token=both).status_code == 200

    services.disable_user(user=shop.owner)
    assert shop.request("GET", NODES, token=both).status_code == 401


def test_a_key_makes_no_keys_and_is_no_login(shop: Shop) -> None:
    everything = shop.make_key(EVERYTHING)

    for method, path, body in (
        ("POST", KEYS, {"name": "Another", "scopes": CONTENT}),
        ("DELETE", f"{KEYS}/{ids.encode('key', everything.row.id)}", None),
        ("POST", f"{KEYS}/{ids.encode('key', everything.row.id)}/rotate", {}),
        ("GET", "/api/v1/auth/sessions", None),
        ("POST", "/api/v1/auth/password", {"current_password": "x", "new_password": "y"}),
        ("PATCH", "/api/v1/auth/me", {"name": "x"}),
        ("GET", "/api/v1/auth/me", None),
        ("GET", "/api/v1/auth/totp", None),
    ):
        assert shop.request(method, path, body, token=everything.key).status_code == 403, path


def test_in_another_tenant_a_key_is_as_unknown_as_any(shop: Shop) -> None:
    other = Shop()
    factories.make_member(other.tenant, "owner", shop.owner)
    key = shop.make_key().key
    unknown = other.make_key()
    with factories.at_work(other.tenant):
        models.ApiKey.objects.all().delete()

    foreign, gone = (other.request("GET", NODES, token=token) for token in (key, unknown.key))

    assert foreign.status_code == gone.status_code == 401
    documents = [{**answer.json(), "request_id": ""} for answer in (foreign, gone)]
    assert documents[0] == documents[1]


@pytest.mark.parametrize(
    "damage",
    [
        lambda key: key[:-1],
        lambda key: key[:-1] + ("a" if key[-1] != "a" else "b"),
        lambda key: key.replace("_test_", "_live_"),
        lambda key: "rtk_",
        lambda key: "rtk_test_x_y",
        lambda key: key + "ü",
        lambda key: "_".join([*key.split("_")[:3], "A" * 38]),
    ],
)
def test_what_is_no_key_is_401_without_a_look(shop: Shop, damage: Any, django_assert_num_queries: Any) -> None:
    key = damage(shop.make_key().key)

    with factories.at_work(shop.tenant), django_assert_num_queries(0), pytest.raises(tokens.TokenRefused):
        keys.find_key(key=key, client=Peer(), now=timezone.now())
    assert shop.request("GET", NODES, token=key).status_code == 401


def test_another_secret_with_a_right_checksum_is_refused(shop: Shop) -> None:
    prefix = shop.make_key().row.prefix
    forged = f"{prefix}_{'A' * 32}"

    assert shop.request("GET", NODES, token=forged + keys._check(forged)).status_code == 401


def test_a_key_expires_and_is_used_from_its_networks_only(shop: Shop) -> None:
    key = shop.make_key(addresses=["192.0.2.0/24", "2001:db8::/48"], expires_at=timezone.now() + timedelta(days=1)).key

    def status(address: str) -> int:
        return shop.request("GET", NODES, token=key, REMOTE_ADDR=address).status_code

    assert [status(address) for address in ("192.0.2.9", "::ffff:192.0.2.9", "2001:db8::7")] == [200] * 3
    assert [status(address) for address in ("192.0.3.9", "127.0.0.1", "")] == [401] * 3
    with factories.at_work(shop.tenant):
        models.ApiKey.objects.update(expires_at=timezone.now())
    assert status("192.0.2.9") == 401


def test_rotation_gives_another_key_and_lets_the_old_one_go_on_for_a_while(shop: Shop) -> None:
    old = shop.make_key()
    now = timezone.now()

    answer = shop.request("POST", f"{KEYS}/{ids.encode('key', old.row.id)}/rotate", {"overlap_hours": 2})

    new = answer.json()["key"]
    assert answer.json()["scopes"] == sorted(CONTENT)
    assert [shop.request("GET", NODES, token=key).status_code for key in (old.key, new)] == [200, 200]
    with factories.at_work(shop.tenant):
        keys.find_key(key=old.key, client=Peer(), now=now + timedelta(hours=1))
        with pytest.raises(tokens.TokenRefused):
            keys.find_key(key=old.key, client=Peer(), now=now + timedelta(hours=3))
        keys.find_key(key=new, client=Peer(), now=now + timedelta(days=80))


def test_use_is_noted_once_a_minute_and_costs_one_query_else(shop: Shop, django_assert_num_queries: Any) -> None:
    made, now = shop.make_key(), timezone.now()

    with factories.at_work(shop.tenant):
        keys.find_key(key=made.key, client=Peer(), now=now)
        with django_assert_num_queries(1):
            keys.find_key(key=made.key, client=Peer(), now=now + timedelta(seconds=30))
        with django_assert_num_queries(2):
            keys.find_key(key=made.key, client=Peer(), now=now + timedelta(seconds=61))


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("scopes", ["product:manage"], "unknown_scope"),
        ("scopes", [], "too_short"),
        ("addresses", ["192.0.2.1/8"], "invalid_network"),
        ("expires_at", "2000-01-01T00:00:00Z", "out_of_range"),
        ("expires_at", "2100-01-01T00:00:00Z", "out_of_range"),
    ],
)
def test_a_wrong_key_is_refused_by_field(shop: Shop, field: str, value: Any, code: str) -> None:
    answer = shop.request("POST", KEYS, {"name": "ERP", "scopes": CONTENT} | {field: value})

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"].startswith(f"/{field}")
    assert answer.json()["errors"][0]["code"] == code


OTHER_PROCESS = """
import sys, django
django.setup()
from django.conf import settings
from django.utils import timezone
settings.DATABASES["default"]["NAME"] = sys.argv[1]
from apps.accounts import tokens
from apps.accounts.clients import Client
from apps.accounts.services import keys
from apps.tenants import queries, scope
at_work = queries.scope_for_command(slug_or_id=sys.argv[2])
while True:
    with scope.use(at_work):
        try:
            keys.find_key(key=sys.argv[3], client=Client(), now=timezone.now())
            print("live", flush=True)
        except tokens.TokenRefused:
            print("over", flush=True)
    sys.stdin.readline()
"""


@pytest.mark.usefixtures("committed_db")
def test_another_process_refuses_a_revoked_key_within_a_second() -> None:
    shop = Shop()
    made = shop.make_key()
    database = settings.DATABASES["default"]["NAME"]
    other = subprocess.Popen(
        [sys.executable, "-c", OTHER_PROCESS, database, shop.tenant.slug, made.key],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert other.stdin and other.stdout
        assert other.stdout.readline() == "live\n"

        with factories.at_work(shop.tenant):
            keys.revoke_key(key_id=made.row.id, now=timezone.now())
        began = time.monotonic()
        other.stdin.write("\n")
        other.stdin.flush()

        assert other.stdout.readline() == "over\n"
        assert time.monotonic() - began < 1
    finally:
        other.kill()
        other.communicate()
