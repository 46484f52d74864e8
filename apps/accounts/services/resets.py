"""A forgotten password and an unconfirmed address: both are mended by whoever reads the mail."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib.auth.hashers import make_password

from apps.accounts.models import Purpose
from apps.accounts.realms import Realm
from apps.accounts.services import mailed, passwords, sessions, trail
from apps.kernel import validation, wording


class Address(validation.Input):
    email: validation.Email


class NewPassword(validation.Input):
    token: validation.Token
    password: passwords.NewPassword


class MailedSecret(validation.Input):
    token: validation.Token


def ask_for_reset(*, realm: Realm, email: str, now: datetime) -> None:
    """Have a reset mailed, should anybody have the address."""
    mailed.ask(table=realm.mailed_tokens, purpose=Purpose.PASSWORD_RESET, email=email, now=now)


def reset_password(*, realm: Realm, new: NewPassword, now: datetime) -> None:
    """Another password for the account the token was mailed to; all its sessions end, and its address is confirmed.

    Raises TokenUnusable, ValidationFailed (the token stays usable), Busy.
    """
    which = _which(realm, Purpose.PASSWORD_RESET, new.token, now)
    account = _account_of(mailed.find_usable(**which))
    passwords.check_new(password=new.password, account=account, pointer="/password")
    account.password = make_password(new.password)
    account.email_verified_at = account.email_verified_at or now
    with mailed.using(**which):
        account.save(update_fields=["password", "email_verified_at"])
        sessions.end_all(realm=realm, account=account)
        trail.tell(account, "password.reset")


def ask_for_verification(*, realm: Realm, account: Any, now: datetime) -> None:
    mailed.ask(table=realm.mailed_tokens, purpose=Purpose.EMAIL_VERIFICATION, email=account.email, now=now)


def verify_email(*, realm: Realm, token: str, now: datetime) -> Any:
    """The account whose address is confirmed from now on. Raises TokenUnusable."""
    which = _which(realm, Purpose.EMAIL_VERIFICATION, token, now)
    account = _account_of(mailed.find_usable(**which))
    account.email_verified_at = now
    with mailed.using(**which):
        account.save(update_fields=["email_verified_at"])
        trail.tell(account, "email.verified")
    return account


def _which(realm: Realm, purpose: Purpose, token: str, now: datetime) -> dict[str, Any]:
    return {"table": realm.mailed_tokens, "purpose": purpose, "token": token, "now": now}


def _account_of(row: Any) -> Any:
    """The account a token was mailed to, if it is still the one with that address. Raises TokenUnusable."""
    if row.account is None or not row.account.is_active or row.account.email != row.email:
        raise mailed.TokenUnusable(wording.say("The token is unknown, used or expired; ask for another mail."))
    return row.account
