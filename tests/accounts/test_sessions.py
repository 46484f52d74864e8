"""Sessions: refreshed by tokens good for one use, seen and ended by their owner, on every process at once."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from apps.accounts import models, services, tokens
from apps.accounts.realms import STAFF
from apps.accounts.services import sessions
from apps.kernel import ids
from tests import factories
from tests.accounts.conftest import at_once

ME = "/api/v1/auth/me"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def post(client: Client, path: str, body: dict[str, Any], token: str = "") -> Any:
    headers = bearer(token) if token else {}
    return client.post(f"/api/v1/auth/{path}", body, content_type="application/json", headers=headers)


@pytest.mark.usefixtures("db")
def test_a_refresh_gives_the_next_tokens_and_uses_up_the_old_one(client: Client) -> None:
    first = factories.make_tokens(factories.make_user())

    answer = post(client, "refresh", {"refresh_token": first.refresh_token})

    assert answer.status_code == 200
    assert answer.json()["refresh_token"] != first.refresh_token
    assert client.get(ME, headers=bearer(answer.json()["access_token"])).status_code == 200
    assert models.Session.objects.count() == 1


@pytest.mark.usefixtures("db")
def test_an_old_refresh_token_that_comes_back_ends_the_session() -> None:
    now = timezone.now()
    first = factories.make_tokens(factories.make_user())
    second = services.refresh(realm=STAFF, token=first.refresh_token, now=now)
    third = services.refresh(realm=STAFF, token=second.refresh_token, now=now + timedelta(minutes=9))

    with pytest.raises(tokens.TokenRefused):
        services.refresh(realm=STAFF, token=first.refresh_token, now=now + timedelta(minutes=10))

    session = models.Session.objects.get()
    assert session.revoked_because == "refresh token used twice"
    with pytest.raises(tokens.TokenRefused):
        services.refresh(realm=STAFF, token=third.refresh_token, now=now + timedelta(minutes=10))
    claims = tokens.read(first.access_token, audience="staff")
    assert sessions.find_live(realm=STAFF, claims=claims, now=now) is None


@pytest.mark.usefixtures("committed_db")
def test_of_parallel_refreshes_one_wins_and_the_others_cost_the_session_nothing() -> None:
    first = factories.make_tokens(factories.make_user())
    now = timezone.now()

    results = at_once(8, lambda _: services.refresh(realm=STAFF, token=first.refresh_token, now=now))

    won = [result for result in results if isinstance(result, services.Tokens)]
    lost = [result for result in results if isinstance(result, sessions.RefreshRaced)]
    assert (len(won), len(lost)) == (1, 7)
    assert models.RefreshToken.objects.filter(used_at=None).count() == 1
    later = now + timedelta(minutes=5)
    assert services.refresh(realm=STAFF, token=won[0].refresh_token, now=later)

    with pytest.raises(tokens.TokenRefused):
        services.refresh(realm=STAFF, token=first.refresh_token, now=now + sessions.GRACE + timedelta(seconds=1))
    assert models.Session.objects.get().revoked_at is not None, "the loser's token, later, is a stolen one"


@pytest.mark.usefixtures("db")
def test_a_session_ends_when_idle_and_in_the_end_whatever_is_done(settings: Any) -> None:
    settings.SESSION_IDLE_HOURS, settings.SESSION_HOURS = 24, 60
    now = timezone.now()
    idle, busy = (factories.make_tokens(factories.make_user()) for _ in range(2))

    with pytest.raises(tokens.TokenRefused):
        services.refresh(realm=STAFF, token=idle.refresh_token, now=now + timedelta(hours=25))
    for hours in (20, 40, 59):
        busy = services.refresh(realm=STAFF, token=busy.refresh_token, now=now + timedelta(hours=hours))
    with pytest.raises(tokens.TokenRefused):
        services.refresh(realm=STAFF, token=busy.refresh_token, now=now + timedelta(hours=61))


@pytest.mark.usefixtures("db")
@pytest.mark.parametrize("token", ["", "rtr_nonsense", "rtr_" + "ü" * 40, "x" * 255])
def test_an_unknown_refresh_token_is_401(client: Client, token: str) -> None:
    assert post(client, "refresh", {"refresh_token": token}).status_code == 401


@pytest.mark.usefixtures("db")
def test_nothing_stored_opens_anything() -> None:
    issued = factories.make_tokens(factories.make_user())

    with connection.cursor() as cursor:
        cursor.execute("SELECT accounts_session::text FROM accounts_session UNION ALL "
                       "SELECT accounts_refreshtoken::text FROM accounts_refreshtoken")  # fmt: skip
        stored = " ".join(row for (row,) in cursor.fetchall())

    assert tokens.digest(issued.refresh_token) in stored
    assert issued.refresh_token not in stored
    assert issued.refresh_token.removeprefix("rtr_") not in stored


@pytest.mark.usefixtures("db")
def test_one_sees_and_ends_ones_own_sessions_only(client: Client) -> None:
    user = factories.make_user()
    here, there = factories.make_tokens(user), factories.make_tokens(user)
    foreign = factories.make_tokens(factories.make_user())

    def delete(session: models.Session) -> int:
        path = f"/api/v1/auth/sessions/{ids.encode('sess', session.id)}"
        return client.delete(path, headers=bearer(here.access_token)).status_code

    listed = client.get("/api/v1/auth/sessions", headers=bearer(here.access_token)).json()["data"]
    assert [entry["current"] for entry in listed] == [False, True]
    assert delete(there.session) == 204
    assert delete(there.session) == delete(foreign.session) == 404
    assert client.get(ME, headers=bearer(there.access_token)).status_code == 401
    assert client.get(ME, headers=bearer(foreign.access_token)).status_code == 200
    history = client.get("/api/v1/auth/history", headers=bearer(here.access_token)).json()["data"]
    assert [entry["revoked_because"] for entry in history] == ["revoked", ""]


@pytest.mark.usefixtures("db")
def test_logout_ends_this_session_and_revoke_all_every_one(client: Client) -> None:
    user = factories.make_user()
    one, two, three = (factories.make_tokens(user) for _ in range(3))

    assert post(client, "logout", {}, one.access_token).status_code == 204
    assert client.get(ME, headers=bearer(one.access_token)).status_code == 401
    assert client.get(ME, headers=bearer(two.access_token)).status_code == 200
    assert post(client, "sessions/revoke-all", {}, two.access_token).status_code == 204
    assert client.get(ME, headers=bearer(three.access_token)).status_code == 401


@pytest.mark.usefixtures("db")
def test_a_new_password_ends_the_other_sessions_and_renews_this_one(client: Client) -> None:
    user = factories.make_user()
    here, there = factories.make_tokens(user), factories.make_tokens(user)
    change = {"current_password": factories.PASSWORD, "new_password": "a wholly different phrase"}

    answer = post(client, "password", change, here.access_token)

    assert answer.status_code == 200
    assert client.get(ME, headers=bearer(answer.json()["access_token"])).status_code == 200
    for token in (here.access_token, there.access_token):
        assert client.get(ME, headers=bearer(token)).status_code == 401
    user.refresh_from_db()
    assert user.check_password("a wholly different phrase")
    with pytest.raises(tokens.TokenRefused):
        services.refresh(realm=STAFF, token=there.refresh_token, now=timezone.now())


@pytest.mark.usefixtures("db")
def test_a_login_that_was_under_way_when_the_password_changed_is_over(client: Client) -> None:
    user = factories.make_user()
    as_it_was_read = models.User.objects.get(pk=user.pk)

    services.revoke_all(realm=STAFF, account=user)
    late = factories.make_tokens(as_it_was_read)

    assert client.get(ME, headers=bearer(late.access_token)).status_code == 401


@pytest.mark.usefixtures("db")
@pytest.mark.parametrize(
    ("password", "code"),
    [("qzx7", "password_too_short"), ("password123", "password_too_common"), ("ann.smith@x", "password_too_similar")],
)
def test_a_weak_password_is_refused_by_name(client: Client, password: str, code: str) -> None:
    token = factories.make_tokens(factories.make_user(email="ann.smith@x.test")).access_token

    answer = post(client, "password", {"current_password": factories.PASSWORD, "new_password": password}, token)

    assert answer.status_code == 422
    assert code in {problem["code"] for problem in answer.json()["errors"]}
    assert password not in answer.content.decode()


@pytest.mark.usefixtures("db")
def test_a_long_password_is_taken_whole(client: Client) -> None:
    user = factories.make_user()
    long = "x y" * 42
    token = factories.make_tokens(user).access_token

    assert (
        post(client, "password", {"current_password": factories.PASSWORD, "new_password": long}, token).status_code
        == 200
    )
    user.refresh_from_db()
    assert user.check_password(long)
    assert not user.check_password(long[:-1])


@pytest.mark.usefixtures("db")
def test_the_current_password_is_guessed_as_slowly_as_at_the_login(client: Client) -> None:
    token = factories.make_tokens(factories.make_user()).access_token
    change = {"current_password": "wrong", "new_password": "a wholly different phrase"}

    answers = [post(client, "password", change, token).status_code for _ in range(2)]

    assert answers == [403, 429]


@pytest.mark.usefixtures("db")
def test_one_changes_ones_name_and_nothing_else(client: Client) -> None:
    token = factories.make_tokens(factories.make_user()).access_token

    changed = client.patch(ME, {"name": "Ann"}, content_type="application/json", headers=bearer(token))
    refused = client.patch(ME, {"is_superuser": True}, content_type="application/json", headers=bearer(token))

    assert changed.json()["name"] == "Ann"
    assert refused.status_code == 422


OTHER_PROCESS = """
import sys, django
django.setup()
from django.conf import settings
from django.utils import timezone
settings.DATABASES["default"]["NAME"] = sys.argv[1]
from apps.accounts import tokens
from apps.accounts.realms import STAFF
from apps.accounts.services import sessions
claims = tokens.read(sys.argv[2], audience="staff")
while True:
    print("live" if sessions.find_live(realm=STAFF, claims=claims, now=timezone.now()) else "over", flush=True)
    sys.stdin.readline()
"""


@pytest.mark.usefixtures("committed_db")
def test_another_process_refuses_a_revoked_session_within_a_second() -> None:
    user = factories.make_user()
    issued = factories.make_tokens(user)
    database = connection.settings_dict["NAME"]
    other = subprocess.Popen(
        [sys.executable, "-c", OTHER_PROCESS, database, issued.access_token],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert other.stdin and other.stdout
        assert other.stdout.readline() == "live\n"

        services.revoke_all(realm=STAFF, account=user)
        began = time.monotonic()
        other.stdin.write("\n")
        other.stdin.flush()

        assert other.stdout.readline() == "over\n"
        assert time.monotonic() - began < 1
    finally:
        other.kill()
        other.communicate()


@pytest.mark.usefixtures("db")
def test_what_is_over_for_long_is_forgotten() -> None:
    issued = factories.make_tokens(factories.make_user())
    after = issued.session.expires_at + timedelta(days=1)

    assert sessions.forget_ended(realm=STAFF, before=timezone.now()) == 0
    assert sessions.forget_ended(realm=STAFF, before=after) == 2
    assert not models.Session.objects.exists()
