"""What somebody changes about themselves, and switching accounts off and on."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from django.contrib.auth.models import Permission
from django.db import transaction

from apps.accounts import models
from apps.accounts.access import catalogue
from apps.accounts.realms import STAFF
from apps.accounts.services import sessions, trail
from apps.kernel import errors, validation, wording


class UserNotFound(errors.NotFound):
    """No account has this e-mail address. Check its spelling."""

    code = "user_not_found"


class OwnChanges(validation.Input):
    name: validation.ShortText


def change_own(*, user: models.User, changes: OwnChanges) -> models.User:
    """Nothing is written when nothing differs."""
    if user.name == changes.name:
        return user
    with transaction.atomic():
        trail.tell(user, "user.updated", before={"name": user.name}, after={"name": changes.name})
        user.name = changes.name
        user.save(update_fields=["name"])
    return user


def get_user(*, email: str) -> models.User:
    """Raises UserNotFound."""
    user = models.User.objects.filter(email=validation.find_email(email)).first()
    if user is None:
        raise UserNotFound(wording.say('There is no user "{email}".', email=email))
    return user


def disable_user(*, user: models.User) -> None:
    """Switch the account off; all its sessions end, and stay ended when it is switched on again."""
    with transaction.atomic():
        user.is_active = False
        user.save(update_fields=["is_active"])
        sessions.end_all(realm=STAFF, account=user)
        trail.tell(user, "user.disabled")


def enable_user(*, user: models.User) -> None:
    with transaction.atomic():
        user.is_active = True
        user.save(update_fields=["is_active"])
        trail.tell(user, "user.enabled")


def set_staff(*, user: models.User, is_staff: bool) -> None:
    """Let somebody into the admin of the installation, where permissions decide what they see, or keep them out of it.

    Nothing is written when nothing differs.
    """
    if user.is_staff is is_staff:
        return
    with transaction.atomic():
        user.is_staff = is_staff
        user.save(update_fields=["is_staff"])
        trail.tell(user, "user.updated", before={"is_staff": not is_staff}, after={"is_staff": is_staff})


def set_platform_permission(*, user: models.User, permission: str, is_held: bool) -> None:
    """Give or take one of the permissions of the installation itself. Raises UnknownPermission."""
    if permission not in catalogue.PLATFORM_PERMISSIONS:
        known = sorted(catalogue.PLATFORM_PERMISSIONS)
        hint = errors.did_you_mean(permission, known) or f" There are: {', '.join(known)}."
        raise catalogue.UnknownPermission(
            wording.say('"{permission}" is no permission of the platform.{hint}', permission=permission, hint=hint)
        )
    app_label, _, codename = permission.partition(".")
    held = user.user_permissions.filter(content_type__app_label=app_label, codename=codename)
    with transaction.atomic():
        if held.exists() is not is_held:
            row = Permission.objects.get(content_type__app_label=app_label, codename=codename)
            (user.user_permissions.add if is_held else user.user_permissions.remove)(row)
            trail.tell(user, "user.updated", before={permission: not is_held}, after={permission: is_held})


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who is known elsewhere, by e-mail."""

    id: uuid.UUID
    email: str
    name: str


def ensure_people(people: Sequence[Person]) -> tuple[dict[str, uuid.UUID], list[str]]:
    """The ids of users by their e-mail, and the e-mails of those who had to be made.

    A new user gets the id given, unless another one has it, and no password until it is reset.
    """
    emails = [person.email for person in people]
    known = dict(models.User.objects.filter(email__in=emails).values_list("email", "id"))
    taken = set(models.User.objects.filter(id__in=[person.id for person in people]).values_list("id", flat=True))
    new = [person for person in people if person.email not in known]
    for person in new:
        own = {} if person.id in taken else {"id": person.id}
        with transaction.atomic():
            user = models.User.objects.create_user(person.email, None, name=person.name, **own)
            trail.tell(user, "user.created", after={"email": user.email, "name": user.name})
        known[user.email] = user.id
    return known, [person.email for person in new]
