"""Logging in: a guess is counted before it is looked at, and every refusal looks and takes the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from apps.accounts import attempts, hashing, models
from apps.accounts.clients import Client
from apps.accounts.realms import STAFF, Realm
from apps.accounts.services import passwords, second_factors, sessions, trail
from apps.kernel import validation, wording


class Credentials(validation.Input):
    email: validation.Email
    password: validation.Password


class StaffCredentials(Credentials):
    """`code` is of the authenticator app, or a recovery code; for accounts that ask for one."""

    code: validation.Token | None = None


type Proof = Callable[[Any], None]


@dataclass(frozen=True, slots=True)
class LoggedIn:
    account: Any
    tokens: sessions.Tokens


def identify(*, realm: Realm, credentials: Credentials, client: Client, prove: Proof | None = None) -> Any:
    """The account with these credentials. Raises WrongCredentials, TooManyAttempts, Busy, and what `prove` raises.

    The wait of the next guess begins before this one is looked at, so of many at once one is. `prove` has an account
    whose password is right show more; until it has, the guess is not known to be right.
    """
    guess = attempts.Guess(realm.counted_as, credentials.email, client)
    with trail.of_refusals(realm=realm, email=credentials.email):
        if (refused := attempts.begin(guess)) > 1:
            # The first was told at once.
            trail.tell_of_guess("login.lockout_ended", realm=realm, email=credentials.email, after={"refused": refused})
        try:
            account = passwords.find_by_password(realm=realm, email=credentials.email, password=credentials.password)
            if account is None:
                raise passwords.WrongCredentials(wording.say("No active account has this e-mail and password."))
            if prove is not None:
                prove(account)
        except (hashing.Busy, second_factors.CodeRequired):
            attempts.was_not_looked_at(guess)
            raise
    attempts.was_right(guess)
    return account


def identify_staff(*, credentials: StaffCredentials, client: Client, now: datetime) -> tuple[models.User, bool]:
    """Who works here and has these credentials, and whether a second factor was shown.

    Raises WrongCredentials, CodeRequired, WrongCode, TooManyAttempts, Busy.
    """
    shown: list[bool] = []

    def prove(user: models.User) -> None:
        shown.append(second_factors.prove(user=user, code=credentials.code, now=now))

    user: models.User = identify(realm=STAFF, credentials=credentials, client=client, prove=prove)
    return user, shown == [True]


def log_in(*, credentials: StaffCredentials, client: Client, now: datetime) -> LoggedIn:
    """A session of somebody who works here. Raises what `identify_staff` does."""
    user, is_strong = identify_staff(credentials=credentials, client=client, now=now)
    return succeed(realm=STAFF, account=user, client=client, now=now, is_strong=is_strong)


def succeed(*, realm: Realm, account: Any, client: Client, now: datetime, **facts: Any) -> LoggedIn:
    """The session of an account whose credentials were right; `facts` are of the session."""
    account.last_login = now
    with transaction.atomic():
        account.save(update_fields=["last_login"])
        issued = sessions.open_session(realm=realm, account=account, client=client, now=now, **facts)
        trail.tell(account, "login.succeeded", after={"session": issued.session.pk, **facts})
    return LoggedIn(account, issued)
