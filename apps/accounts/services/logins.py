"""Logging in: a guess is counted before it is looked at, and every refusal looks and takes the same."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from apps.accounts import attempts, hashing
from apps.accounts.clients import Client
from apps.accounts.realms import STAFF, Realm
from apps.accounts.services import passwords, sessions
from apps.kernel import validation


class Credentials(validation.Input):
    email: validation.ShortText
    password: passwords.Password


@dataclass(frozen=True, slots=True)
class LoggedIn:
    account: Any
    tokens: sessions.Tokens


def identify(*, realm: Realm, credentials: Credentials, client: Client) -> Any:
    """The account with these credentials. Raises WrongCredentials, TooManyAttempts, Busy.

    The wait of the next guess begins before this one is looked at, so of many at once one is.
    """
    guess = attempts.Guess(realm.counted_as, credentials.email, client)
    attempts.begin(guess)
    try:
        account = passwords.find_by_password(realm=realm, email=credentials.email, password=credentials.password)
    except hashing.Busy:
        attempts.was_not_looked_at(guess)
        raise
    if account is None:
        raise passwords.WrongCredentials("No active account has this e-mail and password.")
    attempts.was_right(guess)
    return account


def log_in(*, credentials: Credentials, client: Client, now: datetime) -> LoggedIn:
    """A session of somebody who works here. Raises WrongCredentials, TooManyAttempts, Busy."""
    user = identify(realm=STAFF, credentials=credentials, client=client)
    user.last_login = now
    user.save(update_fields=["last_login"])
    return LoggedIn(user, sessions.open_session(realm=STAFF, account=user, client=client, now=now))
