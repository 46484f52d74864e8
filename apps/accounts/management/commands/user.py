from __future__ import annotations

from argparse import ArgumentParser, BooleanOptionalAction
from typing import Any

from django.core.management.base import BaseCommand
from django.db import transaction

from apps.accounts import models
from apps.accounts.access import catalogue
from apps.accounts.services import people
from apps.kernel import context
from apps.kernel.commands import readable_errors


class Command(BaseCommand):
    tenancy = "platform"
    help = (
        "Show an account of somebody who works here, or change what concerns the whole installation: whether it is "
        "active, may enter the admin, holds permissions of the platform. What it may do in a tenant is grant_role's. "
        "Exit codes: 0 done, 1 refused."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        known = ", ".join(sorted(catalogue.PLATFORM_PERMISSIONS))
        parser.add_argument("email", help="of the account; createsuperuser and invitations make new ones")
        parser.add_argument(
            "--staff", action=BooleanOptionalAction, help="whether it may enter the admin of the installation"
        )
        parser.add_argument("--active", action=BooleanOptionalAction, help="whether it may log in; all sessions end")
        parser.add_argument("--permit", action="append", default=[], metavar="PERMISSION", help=f"one of {known}")
        parser.add_argument("--forbid", action="append", default=[], metavar="PERMISSION", help="the same, taken")

    @readable_errors
    def handle(self, *args: Any, **options: Any) -> None:
        user = people.get_user(email=options["email"])
        with context.use(actor="command:user"), transaction.atomic():
            if options["staff"] is not None:
                people.set_staff(user=user, is_staff=options["staff"])
            if options["active"] is not None and options["active"] is not user.is_active:
                (people.enable_user if options["active"] else people.disable_user)(user=user)
            for name, is_held in ((name, name in options["permit"]) for name in options["permit"] + options["forbid"]):
                people.set_platform_permission(user=user, permission=name, is_held=is_held)
        self.stdout.write(_line(user))


def _line(user: models.User) -> str:
    held = sorted(user.user_permissions.values_list("content_type__app_label", "codename"))
    words = [
        "active" if user.is_active else "switched off",
        *(["superuser"] if user.is_superuser else []),
        *(["staff"] if user.is_staff else []),
        *(f"{app_label}.{codename}" for app_label, codename in held),
    ]
    return f"{user.email}: {', '.join(words)}"
