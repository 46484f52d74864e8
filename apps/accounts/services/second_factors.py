"""A second factor for those who work here: time-based codes (TOTP, RFC 6238) of an app, and recovery codes."""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypedDict

import pyotp
from django.db import transaction

from apps.accounts import attempts, hashing, models, tokens
from apps.accounts.clients import Client
from apps.accounts.realms import STAFF
from apps.accounts.services import passwords, sessions, trail
from apps.kernel import errors, validation, wording

ISSUER = "RusToK"
STEP_SECONDS = 30
RECOVERY_CODES = 10
SEAL = "totp secret"
_LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"


class CodeRequired(errors.DomainError):
    """The password is right; the account asks for a code as well. Send it together with the password."""

    code = "code_required"
    status = 401
    title = "A code is needed"


class WrongCode(errors.DomainError):
    """The code is wrong, old, or used already. Send the one that the app shows now, or a recovery code."""

    code = "wrong_code"
    status = 401
    title = "The code is not accepted"


class AlreadyEnrolled(errors.Conflict):
    """The account has a second factor. Disable it before another one is set up."""

    code = "totp_enrolled"
    title = "A second factor is set up already"


class NotEnrolled(errors.Conflict):
    """The account has no second factor to confirm, disable or renew. Set one up first."""

    code = "totp_not_enrolled"
    title = "No second factor is set up"


class Code(validation.Input):
    code: validation.Token


class Disabling(validation.Input):
    password: validation.Password
    code: validation.Token


@dataclass(frozen=True, slots=True)
class Enrolment:
    """The only time the secret is known. `uri` is what an app reads from a QR code."""

    secret: str
    uri: str


def enrol(*, user: models.User, now: datetime) -> Enrolment:
    """A new secret, asked for at logins once it is confirmed. Raises AlreadyEnrolled."""
    secret = pyotp.random_base32()
    with transaction.atomic():
        row, is_new = models.Authenticator.objects.select_for_update().get_or_create(
            user=user, defaults={"sealed_secret": tokens.seal(secret, SEAL), "created_at": now}
        )
        if row.confirmed_at is not None:
            raise AlreadyEnrolled(wording.say("A second factor is set up already; disable it first."))
        if not is_new:
            row.sealed_secret, row.created_at = tokens.seal(secret, SEAL), now
            row.save(update_fields=["sealed_secret", "created_at"])
    return Enrolment(secret, pyotp.TOTP(secret).provisioning_uri(name=user.email, issuer_name=ISSUER))


def confirm(
    *, user: models.User, session: models.Session | None, code: str, client: Client, now: datetime
) -> list[str]:
    """Show a first code: from now on logins ask for one. The recovery codes are known this once.

    `session` has shown it then; None for one of the admin, which keeps that itself.
    Raises NotEnrolled, AlreadyEnrolled, WrongCode, TooManyAttempts.
    """
    guess = attempts.Guess(STAFF.counted_as, user.email, client)
    attempts.begin(guess)
    codes = [_new_recovery_code() for _ in range(RECOVERY_CODES)]
    with transaction.atomic():
        row = models.Authenticator.objects.select_for_update().filter(user=user).first()
        if row is None:
            raise NotEnrolled(wording.say("There is no second factor to confirm; set one up first."))
        if row.confirmed_at is not None:
            raise AlreadyEnrolled(wording.say("The second factor is confirmed already."))
        if not _use_step(row, code, now):
            raise WrongCode(wording.say("The code is wrong or old; take the one your app shows now."))
        row.confirmed_at = now
        row.save(update_fields=["confirmed_at"])
        models.RecoveryCode.objects.filter(user=user).delete()
        models.RecoveryCode.objects.bulk_create(
            models.RecoveryCode(digest=_digest(user, recovery), user=user) for recovery in codes
        )
        if session is not None:
            session.is_strong = True
            session.save(update_fields=["is_strong"])
        trail.tell(user, "second_factor.enrolled")
    attempts.was_right(guess)
    return codes


def prove(*, user: models.User, code: str | None, now: datetime) -> bool:
    """Use a code up; False where the account asks for none. Raises CodeRequired, WrongCode."""
    row = models.Authenticator.objects.filter(user=user).exclude(confirmed_at=None).first()
    if row is None:
        return False
    if not code:
        raise CodeRequired(wording.say("Send the code your authenticator app shows, or a recovery code, as well."))
    if not _use_step(row, code, now) and not _use_recovery(user, code, now):
        raise WrongCode(wording.say("The code is wrong, old, or used already."))
    return True


def disable(*, user: models.User, disabling: Disabling, client: Client, now: datetime) -> None:
    """Ask for no code any more. Raises NotEnrolled, WrongPassword, WrongCode, TooManyAttempts, Busy."""
    guess = attempts.Guess(STAFF.counted_as, user.email, client)
    attempts.begin(guess)
    try:
        if not user.check_password(disabling.password):
            raise passwords.WrongPassword(wording.say("The current password is wrong."))
    except hashing.Busy:
        attempts.was_not_looked_at(guess)
        raise
    if not prove(user=user, code=disabling.code, now=now):
        raise NotEnrolled(wording.say("No second factor is set up."))
    _forget(user, because="own wish")
    attempts.was_right(guess)


def remove(*, user: models.User) -> None:
    """For an operator: ask for no code any more, and end all sessions of the account."""
    with transaction.atomic():
        _forget(user, because="operator")
        sessions.end_all(realm=STAFF, account=user)


class SecondFactor(TypedDict):
    """Whether logins ask for a code, and how many recovery codes are left."""

    enabled: bool
    recovery_codes_left: int


def state(*, user: models.User) -> SecondFactor:
    """Whether logins ask for a code, and how many recovery codes are left."""
    return {
        "enabled": models.Authenticator.objects.filter(user=user).exclude(confirmed_at=None).exists(),
        "recovery_codes_left": models.RecoveryCode.objects.filter(user=user, used_at=None).count(),
    }


def confirmed_at(user: Any) -> datetime | None:
    """Since when logins of the account ask for a code; None where they do not."""
    return models.Authenticator.objects.filter(user=user).values_list("confirmed_at", flat=True).first()


def _forget(user: models.User, *, because: str) -> None:
    with transaction.atomic():
        models.Authenticator.objects.filter(user=user).delete()
        models.RecoveryCode.objects.filter(user=user).delete()
        models.Session.objects.filter(account=user).update(is_strong=False)
        trail.tell(user, "second_factor.disabled", after={"because": because})


def _use_step(row: models.Authenticator, code: str, now: datetime) -> bool:
    """Whether the code is of now or one step beside it, and no code of that step or a later one was used before."""
    totp = pyotp.TOTP(tokens.unseal(bytes(row.sealed_secret), SEAL))
    present, found = int(now.timestamp()) // STEP_SECONDS, None
    given = code.strip().replace(" ", "").encode()
    for step in (present - 1, present, present + 1):
        if hmac.compare_digest(totp.at(step * STEP_SECONDS).encode(), given):
            found = step
    if found is None:
        return False
    used = models.Authenticator.objects.filter(pk=row.pk, last_step__lt=found).update(last_step=found)
    return bool(used)


def _use_recovery(user: models.User, code: str, now: datetime) -> bool:
    rows = models.RecoveryCode.objects.filter(digest=_digest(user, code), user=user, used_at=None)
    return bool(rows.update(used_at=now))


def _new_recovery_code() -> str:
    """80 random bits that can be read off paper."""
    letters = "".join(secrets.choice(_LETTERS) for _ in range(16))
    return "-".join(letters[start : start + 4] for start in range(0, 16, 4))


def _digest(user: models.User, code: str) -> str:
    return tokens.digest(f"{user.pk}:{code.strip().lower()}")
