from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from apps.accounts.services import people, second_factors
from apps.kernel import context
from apps.kernel.commands import readable_errors


class Command(BaseCommand):
    tenancy = "platform"
    help = (
        "Let somebody who lost app and recovery codes log in with the password alone; all their sessions end. "
        "Make sure who is asking. Exit codes: 0 no code is asked for, 1 there is no such user."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email", help="of the user")

    @readable_errors
    def handle(self, *args: Any, **options: Any) -> None:
        user = people.get_user(email=options["email"])
        with context.use(actor="command:disable_second_factor"):
            second_factors.remove(user=user)
        self.stdout.write(f"{user.email} logs in without a code.")
