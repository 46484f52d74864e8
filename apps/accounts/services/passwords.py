"""Passwords: proving one, choosing one, changing one."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from django.conf import settings
from django.contrib.auth import password_validation
from django.contrib.auth.hashers import check_password, make_password
from django.core.exceptions import ValidationError
from django.db import transaction

from apps.accounts import attempts, hashing
from apps.accounts.clients import Client
from apps.accounts.realms import Realm
from apps.accounts.services import sessions, trail
from apps.kernel import errors, validation, wording

# Chosen from now on; one that is shown may be older and longer.
SHORTEST, LONGEST = settings.PASSWORD_LENGTH
NewPassword = Annotated[str, validation.Secret("password", LONGEST, minimum=SHORTEST)]


class WrongCredentials(errors.DomainError):
    """No active account has this e-mail and password. Correct them, or have the password reset."""

    code = "wrong_credentials"
    status = 401
    title = "The e-mail address or the password is wrong"


class WrongPassword(errors.DomainError):
    """Whoever is logged in does not know the password of the account. Send the current one."""

    code = "wrong_password"
    status = 403
    title = "The current password is wrong"


class PasswordChange(validation.Input):
    current_password: validation.Password
    new_password: NewPassword


def find_by_password(*, realm: Realm, email: str, password: str) -> Any | None:
    """The active account with this e-mail and password, or None. Whatever the reason, one hash is made. Raises Busy."""
    account = realm.accounts.objects.filter(email=validation.find_email(email)).first()
    if account is None:
        check_password(password, NOBODYS)
        return None
    return account if account.check_password(password) and account.is_active else None


def prove_again(*, realm: Realm, account: Any, password: str, client: Client) -> None:
    """Make somebody who is logged in show their password. Raises WrongPassword, TooManyAttempts, Busy."""
    guess = attempts.Guess(realm.counted_as, account.email, client)
    attempts.begin(guess)
    try:
        is_right = account.check_password(password)
    except hashing.Busy:
        attempts.was_not_looked_at(guess)
        raise
    if not is_right:
        raise WrongPassword(wording.say("The current password is wrong."))
    attempts.was_right(guess)


def check_new(*, password: str, account: Any, pointer: str = "/new_password") -> None:
    """Raises ValidationFailed naming every rule the password breaks."""
    try:
        password_validation.validate_password(password, account)
    except ValidationError as failure:
        problems = [errors.FieldProblem(pointer, str(entry.code), _in_our_words(entry)) for entry in failure.error_list]
        named = wording.join(" ", [problem.detail for problem in problems])
        raise errors.ValidationFailed(
            wording.say("{field}: {problem}", field=pointer.lstrip("/"), problem=named), problems=problems
        ) from None


def change_password(
    *, realm: Realm, account: Any, session: Any, change: PasswordChange, client: Client, now: datetime
) -> sessions.Tokens:
    """Another password: every other session ends, this one gets new tokens.

    Raises WrongPassword, ValidationFailed, TooManyAttempts, Busy.
    """
    prove_again(realm=realm, account=account, password=change.current_password, client=client)
    check_new(password=change.new_password, account=account)
    account.password = make_password(change.new_password)
    with transaction.atomic():
        account.save(update_fields=["password"])
        trail.tell(account, "password.changed")
        return sessions.revoke_others(realm=realm, account=account, keep=session, now=now)


# No account has it: checking against it costs one hash and never succeeds.
NOBODYS = "!"


class MaximumLengthValidator:
    """For settings.AUTH_PASSWORD_VALIDATORS, which the commands of Django ask: the bound that NewPassword has."""

    def validate(self, password: str, user: Any = None) -> None:
        if len(password) > LONGEST:
            raise ValidationError(self.get_help_text(), "password_too_long", {"max_length": LONGEST})

    def get_help_text(self) -> str:
        return str(wording.say(_WEAKNESSES["password_too_long"], max_length=LONGEST))


# What the validators find, by the names of Django's.
_WEAKNESSES = {
    "password_too_long": wording.mark("This password is too long. It must contain at most {max_length} characters."),
    "password_too_short": wording.mark("This password is too short. It must contain at least {min_length} characters."),
    "password_too_common": wording.mark("This password is too common."),
    "password_too_similar": wording.mark("The password is too similar to the {verbose_name}."),
}


def _in_our_words(entry: ValidationError) -> str:
    template = _WEAKNESSES.get(str(entry.code))
    return wording.say(template, **(entry.params or {})) if template else " ".join(entry.messages)
