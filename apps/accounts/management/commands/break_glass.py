from __future__ import annotations

import argparse
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from apps.accounts import models, queries
from apps.accounts.access import break_glass
from apps.kernel import context, ids, validation
from apps.kernel.commands import readable_errors
from apps.tenants import queries as tenants
from apps.tenants import scope


class Command(BaseCommand):
    tenancy = "platform"
    help = (
        "Open one tenant to a member of the platform's staff in an emergency, for an hour at most and read-only unless "
        "--write is given. The tenant sees who came, why and for how long. Exit codes: 0 done, 1 refused."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="open|approve|list|close")
        opened = actions.add_parser("open", help="ask for access")
        approved = actions.add_parser("approve", help="let an access that waits for it open the tenant")
        shown = actions.add_parser("list", help="every access there was to the tenant, newest first")
        closed = actions.add_parser("close", help="give an access back before it expires")
        for action in (opened, approved, shown, closed):
            action.add_argument("tenant", help="slug or id of the tenant")
        for action in (approved, closed):
            action.add_argument("access", help="id of the access, as open and list show it")
        opened.add_argument("user", help="e-mail address of who needs it")
        opened.add_argument("--reason", required=True, help="what happened; the tenant reads it")
        opened.add_argument("--ticket", default="", help="where it is written down (default: none)")
        opened.add_argument("--minutes", type=int, default=30, help="1 to 60 (default: 30)")
        opened.add_argument("--write", action="store_true", help="allow changes (default: reading only)")
        approved.add_argument("user", help="e-mail address of who approves, somebody else of the staff")

    @readable_errors
    def handle(self, *args: Any, **options: Any) -> None:
        with (
            context.use(actor="command:break_glass"),
            scope.use(tenants.scope_for_command(slug_or_id=options["tenant"])),
        ):
            getattr(self, f"_{options['action']}")(options)

    def _open(self, options: dict[str, Any]) -> None:
        given = {name: options[name] for name in ("reason", "ticket", "minutes", "write")}
        opening = validation.parse(break_glass.Opening, given)
        user = queries.get_user(email=options["user"])
        access = break_glass.open_access(user=user, opening=opening, now=timezone.now())
        self.stdout.write(self._line(access))

    def _approve(self, options: dict[str, Any]) -> None:
        by = queries.get_user(email=options["user"])
        access_id = ids.decode("glass", options["access"])
        self.stdout.write(self._line(break_glass.approve(break_glass_id=access_id, by=by, now=timezone.now())))

    def _list(self, options: dict[str, Any]) -> None:
        accesses = list(break_glass.accesses())
        for access in accesses:
            self.stdout.write(self._line(access))
        if not accesses:
            self.stdout.write("Nobody of the platform's staff ever came this way.")

    def _close(self, options: dict[str, Any]) -> None:
        break_glass.close(break_glass_id=ids.decode("glass", options["access"]), now=timezone.now())
        self.stdout.write("Closed.")

    @staticmethod
    def _line(access: models.BreakGlass) -> str:
        mode = "read-only" if access.is_read_only else "with write access"
        ticket = f" ({access.ticket})" if access.ticket else ""
        state = break_glass.state(access, now=timezone.now())
        until = validation.to_text(access.expires_at)
        return f"{ids.encode('glass', access.id)} {state}, {access.user} {mode} until {until}: {access.reason}{ticket}"
