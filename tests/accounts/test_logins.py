"""Logging in: the same answer and the same work whoever it is, one guess at a time, and an end to floods."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from apps.accounts import attempts, hashing, realms, services
from tests import factories
from tests.accounts.conftest import at_once

LOGIN = "/api/v1/auth/token"


def log_in(client: Client, email: str, password: str = factories.PASSWORD, **more: Any) -> Any:
    return client.post(LOGIN, {"email": email, "password": password, **more}, content_type="application/json")


@pytest.fixture
def hashes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was hashed while the test ran: `encode` or `verify`, each the same work."""
    made: list[str] = []
    for name in ("encode", "verify"):
        original = getattr(hashing.SlottedArgon2Hasher, name)

        def counted(self: Any, *args: Any, _name: str = name, _original: Any = original) -> Any:
            made.append(_name)
            return _original(self, *args)

        monkeypatch.setattr(hashing.SlottedArgon2Hasher, name, counted)
    return made


@pytest.mark.usefixtures("db")
def test_a_login_gives_both_tokens_and_says_who_it_is(client: Client) -> None:
    user = factories.make_user(email="Ann@Example.Test", name="Ann")

    answer = log_in(client, " ANN@example.test ").json()

    assert answer["token_type"] == "Bearer"
    assert answer["expires_in"] == 600
    assert answer["refresh_token"].startswith("rtr_")
    assert answer["user"]["email"] == "ann@example.test"
    assert answer["user"]["name"] == "Ann"
    user.refresh_from_db()
    assert user.last_login is not None


@pytest.mark.usefixtures("db", "real_hashes")
@pytest.mark.parametrize("who", ["wrong password", "unknown", "inactive", "no password yet"])
def test_every_refusal_is_the_same_and_costs_one_hash(client: Client, hashes: list[str], who: str) -> None:
    user = factories.make_user(is_active=who != "inactive", password=None if "yet" in who else factories.PASSWORD)
    email = "nobody@example.test" if who == "unknown" else user.email
    hashes.clear()

    answer = log_in(client, email, "wrong" if who == "wrong password" else factories.PASSWORD)

    assert len(hashes) == 1
    assert answer.status_code == 401
    document = {key: value for key, value in answer.json().items() if key != "request_id"}
    assert document == {
        "type": "http://testserver/problems/wrong_credentials",
        "instance": "/api/v1/auth/token",
        "title": "The e-mail address or the password is wrong",
        "status": 401,
        "code": "wrong_credentials",
        "detail": "No active account has this e-mail and password.",
    }


@pytest.mark.usefixtures("db")
def test_a_password_is_taken_as_it_was_typed(client: Client) -> None:
    user = factories.make_user(password="  spaces are characters  ")

    assert log_in(client, user.email, "spaces are characters").status_code == 401
    attempts.was_right(attempts.Guess("staff", user.email, attempts.Client("127.0.0.1")))
    assert log_in(client, user.email, "  spaces are characters  ").status_code == 200


@pytest.mark.usefixtures("committed_db", "real_hashes")
def test_of_fifty_guesses_at_once_one_is_looked_at_even_when_it_is_right(hashes: list[str]) -> None:
    user = factories.make_user()
    hashes.clear()

    answers = at_once(50, lambda number: log_in(Client(), user.email, f"guess {number}"))

    assert sorted(answer.status_code for answer in answers) == [401] + [429] * 49
    assert len(hashes) == 1
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused["Retry-After"]


@pytest.mark.usefixtures("db")
def test_unknown_accounts_are_locked_like_known_ones(client: Client) -> None:
    answers = [log_in(client, "nobody@example.test") for _ in range(2)]

    assert [answer.status_code for answer in answers] == [401, 429]


@pytest.mark.usefixtures("db")
def test_a_victim_can_log_in_while_somebody_else_guesses(client: Client) -> None:
    user = factories.make_user()
    for _ in range(3):
        client.post(
            LOGIN, {"email": user.email, "password": "x"}, content_type="application/json", REMOTE_ADDR="198.51.100.1"
        )

    assert log_in(client, user.email).status_code == 200


@pytest.mark.usefixtures("db")
def test_a_right_password_leaves_no_wait(client: Client) -> None:
    user = factories.make_user()

    assert [log_in(client, user.email).status_code for _ in range(3)] == [200] * 3


@pytest.mark.usefixtures("db", "real_hashes")
def test_a_busy_machine_answers_503_and_does_not_count_the_guess(
    client: Client, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = factories.make_user()
    settings.PASSWORD_HASH_SLOTS = 1
    monkeypatch.setattr(hashing, "WAIT_SECONDS", 0.01)

    with hashing.slot():
        busy = log_in(client, user.email)

    assert busy.status_code == 503
    assert busy["Retry-After"]
    assert log_in(client, user.email).status_code == 200


@pytest.mark.usefixtures("db")
def test_the_admin_is_behind_the_same_lock(client: Client) -> None:
    user = factories.make_user(is_staff=True, is_superuser=True)
    form = {"username": user.email, "password": "wrong"}

    wrong = client.post("/admin/login/", form)
    locked = client.post("/admin/login/", form | {"password": factories.PASSWORD})
    attempts.was_right(attempts.Guess("staff", user.email, attempts.Client("127.0.0.1")))
    right = client.post("/admin/login/", form | {"password": factories.PASSWORD, "next": "/admin/"})

    assert b"works here" in wrong.content
    assert b"Too many attempts" in locked.content
    assert right.status_code == 302


@pytest.mark.usefixtures("db")
def test_ending_all_sessions_ends_those_of_the_admin_too(client: Client) -> None:
    user = factories.make_user(is_staff=True, is_superuser=True)
    client.force_login(user)
    assert client.get("/admin/").status_code == 200

    services.revoke_all(realm=realms.STAFF, account=user)

    assert client.get("/admin/").status_code == 302
