"""What somebody changes about themselves, and switching accounts off and on."""

from __future__ import annotations

from django.db import transaction

from apps.accounts import models
from apps.accounts.realms import STAFF
from apps.accounts.services import sessions
from apps.kernel import errors, validation


class UserNotFound(errors.NotFound):
    code = "user_not_found"


class OwnChanges(validation.Input):
    name: validation.ShortText


def change_own(*, user: models.User, changes: OwnChanges) -> models.User:
    user.name = changes.name
    user.save(update_fields=["name"])
    return user


def get_user(*, email: str) -> models.User:
    """Raises UserNotFound."""
    user = models.User.objects.filter(email=email.strip().lower()).first()
    if user is None:
        raise UserNotFound(f'There is no user "{email}".')
    return user


def disable_user(*, user: models.User) -> None:
    """Switch the account off; all its sessions end, and stay ended when it is switched on again."""
    with transaction.atomic():
        user.is_active = False
        user.save(update_fields=["is_active"])
        sessions.revoke_all(realm=STAFF, account=user)


def enable_user(*, user: models.User) -> None:
    user.is_active = True
    user.save(update_fields=["is_active"])
