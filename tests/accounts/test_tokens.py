"""Access tokens: what is forged, expired, for somebody else or of a session that is over opens nothing."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import jwt
import orjson
import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone

from apps.accounts import models, services, tokens
from apps.accounts.realms import STAFF
from apps.kernel import isolation
from tests import factories

pytestmark = pytest.mark.usefixtures("db")

TENANT = "/api/v1/admin/tenant"


class Forger:
    """Knows everything of a good token but the key, unless it is told that too."""

    def __init__(self, good: str) -> None:
        self.good = good
        self.header = jwt.get_unverified_header(good)
        self.claims = jwt.decode(good, options={"verify_signature": False})
        self.key = tokens.signing_key(settings.SECRET_KEY, "access token")

    def signed(self, header: dict[str, Any] | None = None, key: bytes | None = None, **claims: Any) -> str:
        payload = {name: value for name, value in (self.claims | claims).items() if value is not None}
        return jwt.encode(payload, key or self.key, algorithm="HS256", headers=self.header | (header or {}))

    def spliced(self, header: dict[str, Any], signature: str | None = None) -> str:
        """The good token under another header."""
        _, payload, own = self.good.split(".")
        spelled = base64.urlsafe_b64encode(orjson.dumps(self.header | header)).decode().rstrip("=")
        return f"{spelled}.{payload}.{own if signature is None else signature}"


def at(seconds: float) -> datetime:
    return timezone.now() + timedelta(seconds=seconds)


OTHER_KEY = b"k" * 32
FORGERIES: dict[str, Callable[[Forger], str]] = {
    "alg none": lambda forger: forger.spliced({"alg": "none"}, ""),
    "alg None": lambda forger: forger.spliced({"alg": "None"}, ""),
    "alg RS256 over an HS256 signature": lambda forger: forger.spliced({"alg": "RS256"}),
    "alg HS512": lambda forger: jwt.encode(forger.claims, forger.key * 2, "HS512", headers={"typ": tokens.TYPE}),
    "another key": lambda forger: forger.signed(key=OTHER_KEY),
    "another key under its own id": lambda forger: forger.signed({"kid": tokens._key_id(OTHER_KEY)}, key=OTHER_KEY),
    "the secret itself as key": lambda forger: forger.signed(key=settings.SECRET_KEY.encode()),
    "no key id": lambda forger: jwt.encode(forger.claims, forger.key, algorithm="HS256", headers={"typ": tokens.TYPE}),
    "a key to fetch": lambda forger: forger.signed({"jku": "https://evil.test/keys"}, key=OTHER_KEY),
    "a key to fetch, signed by us": lambda forger: forger.signed({"jku": "https://evil.test/keys"}),
    "a key inside": lambda forger: forger.signed({"jwk": {"kty": "oct", "k": "a2tr"}}, key=OTHER_KEY),
    "a certificate": lambda forger: forger.signed({"x5u": "https://evil.test/cert"}),
    "critical extension": lambda forger: forger.signed({"crit": ["x"], "x": 1}),
    "wrong typ": lambda forger: forger.signed({"typ": "JWT"}),
    "wrong audience": lambda forger: forger.signed(aud="store"),
    "several audiences": lambda forger: forger.signed(aud=["store", "staff"]),
    "wrong issuer": lambda forger: forger.signed(iss="rustok2"),
    "expired": lambda forger: forger.signed(exp=at(-10)),
    "not yet": lambda forger: forger.signed(nbf=at(60)),
    "issued in the future": lambda forger: forger.signed(iat=at(60)),
    **{f"no {name}": lambda forger, name=name: forger.signed(**{name: None}) for name in tokens._CLAIMS},  # type: ignore[misc]
    "somebody else": lambda forger: forger.signed(sub=str(uuid.uuid4())),
    "another session": lambda forger: forger.signed(sid=str(uuid.uuid4())),
    "a session that is no id": lambda forger: forger.signed(sid="1"),
    "another version": lambda forger: forger.signed(ver=2),
    "a version that is true": lambda forger: forger.signed(ver=True),
    "cut off": lambda forger: forger.good[:-2],
    "without signature": lambda forger: forger.good.rpartition(".")[0],
    "too long": lambda forger: forger.signed(more="x" * 5000),
    "changed claims": lambda forger: ".".join([
        forger.good.split(".")[0], forger.signed(key=OTHER_KEY, ver=1, more=1).split(".")[1], forger.good.split(".")[2]
    ]),
    "not ascii": lambda forger: forger.good.replace(".", "ü"),
    "empty parts": lambda forger: "..",
}  # fmt: skip


def get(client: Client, slug: str, token: str) -> Any:
    return client.get(TENANT, headers={"X-Tenant": slug, "Authorization": f"Bearer {token}"})


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forged_token_is_401_and_is_not_told_why(client: Client, forgery: str) -> None:
    tenant = factories.make_tenant()
    forger = Forger(factories.make_token(tenant))
    assert get(client, tenant.slug, forger.good).status_code == 200, "the original is good"

    answer = get(client, tenant.slug, FORGERIES[forgery](forger))

    assert answer.status_code == 401
    assert answer["WWW-Authenticate"].startswith("Bearer")
    assert answer.json()["detail"] == "The token is not valid or no longer valid; log in again."


def test_the_forger_with_our_key_would_be_let_in(client: Client) -> None:
    """So that each refusal above is for its own reason."""
    tenant = factories.make_tenant()
    forger = Forger(factories.make_token(tenant))

    assert get(client, tenant.slug, forger.signed(exp=at(300))).status_code == 200


def revoke_session(user: models.User) -> None:
    session = models.Session.objects.get(account=user)
    services.revoke(realm=STAFF, account=user, session_id=session.id, now=timezone.now(), because="test")


def expire_session(user: models.User) -> None:
    models.Session.objects.update(expires_at=at(-1))


def delete_user(user: models.User) -> None:
    with isolation.all_tenants(reason="test"):
        user.delete()


ENDINGS: dict[str, Callable[[models.User], Any]] = {
    "revoked": revoke_session,
    "all revoked": lambda user: services.revoke_all(realm=STAFF, account=user),
    "expired": expire_session,
    "user disabled": lambda user: services.disable_user(user=user),
    "user switched off by hand": lambda user: models.User.objects.filter(pk=user.pk).update(is_active=False),
    "user gone": delete_user,
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_token_of_a_session_that_is_over_is_refused_at_once(client: Client, ending: str) -> None:
    user = factories.make_user()
    issued = factories.make_tokens(user)
    headers = {"Authorization": f"Bearer {issued.access_token}"}
    assert client.get("/api/v1/auth/me", headers=headers).status_code == 200

    ENDINGS[ending](user)

    assert client.get("/api/v1/auth/me", headers=headers).status_code == 401
    with pytest.raises(tokens.TokenRefused):
        services.refresh(realm=STAFF, token=issued.refresh_token, now=timezone.now())


def test_switching_an_account_on_again_does_not_wake_its_sessions(client: Client) -> None:
    user = factories.make_user()
    headers = {"Authorization": f"Bearer {factories.make_tokens(user).access_token}"}

    services.disable_user(user=user)
    services.enable_user(user=user)

    assert client.get("/api/v1/auth/me", headers=headers).status_code == 401


def test_a_token_signed_with_the_former_key_is_read_until_that_key_goes(client: Client, settings: Any) -> None:
    headers = {"Authorization": f"Bearer {factories.make_tokens(factories.make_user()).access_token}"}
    former = settings.SECRET_KEY

    settings.SECRET_KEY = "another " * 10
    assert client.get("/api/v1/auth/me", headers=headers).status_code == 401
    settings.SECRET_KEY_FALLBACKS = [former]
    assert client.get("/api/v1/auth/me", headers=headers).status_code == 200
    fresh = factories.make_tokens(factories.make_user()).access_token
    settings.SECRET_KEY_FALLBACKS = []
    assert client.get("/api/v1/auth/me", headers={"Authorization": f"Bearer {fresh}"}).status_code == 200


def test_a_token_costs_one_query(client: Client, django_assert_num_queries: Any) -> None:
    headers = {"Authorization": f"Bearer {factories.make_tokens(factories.make_user()).access_token}"}
    client.get("/api/v1/auth/me", headers=headers)

    with django_assert_num_queries(2):  # which tenant the host is, and the session with its user
        client.get("/api/v1/auth/me", headers=headers)
