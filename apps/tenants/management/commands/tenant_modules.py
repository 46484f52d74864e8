from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.kernel import context
from apps.kernel.commands import readable_errors
from apps.tenants import models, modules, queries, scope, services


class Command(BaseCommand):
    tenancy = "platform"
    help = "List a tenant's modules, or switch one on or off. Exit codes: 0 it is as asked, 1 refused."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("tenant", help="slug or id of the tenant")
        parser.add_argument("action", choices=["list", "enable", "disable"])
        parser.add_argument("module", nargs="?", help="slug of the module")

    @readable_errors
    def handle(self, *args: Any, **options: Any) -> None:
        action, slug = options["action"], options["module"]
        if (slug is None) != (action == "list"):
            raise CommandError(f"{action} takes {'no module' if action == 'list' else 'the slug of a module'}.")
        at_work = queries.scope_for_command(slug_or_id=options["tenant"])
        with scope.use(at_work), context.use(actor="command:tenant_modules"):
            tenant = models.Tenant.objects.get(pk=at_work.tenant_id)
            if slug is not None:
                choice = services.ModuleChoice(enabled=action == "enable")
                changed = services.choose_module(tenant=tenant, slug=slug, choice=choice)
                state = f"{slug} is {'on' if choice.enabled else 'off'} for {tenant.slug}"
                self.stdout.write(f"{state}{'' if changed else ', as it was'}.")
            else:
                self._list(queries.scope_of(tenant))

    def _list(self, at_work: scope.Scope) -> None:
        for module in modules.all_modules():
            state = "core" if module.is_core else "on" if module.slug in at_work.modules else "off"
            needs = f" Needs {', '.join(module.depends_on)}." if module.depends_on else ""
            self.stdout.write(f"{module.slug:<12} {state:<5} {module.description}{needs}")
