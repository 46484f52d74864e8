from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from apps.kernel import context, validation
from apps.kernel.commands import readable_errors
from apps.kernel.limits import policies
from apps.tenants import models, queries, scope, services


class Command(BaseCommand):
    tenancy = "platform"
    help = (
        "List a tenant's rate limits, or give it those of its plan, in requests in any 60 seconds; media_mib is the "
        "MiB its files may take. In force within a second, everywhere. Exit codes: 0 it is as asked, 1 refused."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("tenant", help="slug or id of the tenant")
        parser.add_argument(
            "limits", nargs="*", help="its whole plan, such as tenant=60000 write=300; 0 is without bound"
        )
        parser.add_argument("--reset", action="store_true", help="no plan: the installation's limits")

    @readable_errors
    def handle(self, *args: Any, **options: Any) -> None:
        plan = _plan(options["limits"], is_reset=options["reset"])
        at_work = queries.scope_for_command(slug_or_id=options["tenant"])
        with scope.use(at_work), context.use(actor="command:tenant_limits"):
            tenant = models.Tenant.objects.get(pk=at_work.tenant_id)
            if plan is not None:
                tenant = services.set_limits(tenant=tenant, plan=plan)
        self._list(tenant.limits)

    def _list(self, plan: dict[str, int]) -> None:
        in_force = settings.LIMITS.under(plan)
        for name in policies.Plan.model_fields:
            bound = plan.get(name, settings.MEDIA_QUOTA_MIB) if name == "media_mib" else getattr(in_force, name)
            self.stdout.write(f"{name:<10} {bound or 'no bound':>10}{' by its plan' if name in plan else ''}")


def _plan(pairs: list[str], *, is_reset: bool) -> policies.Plan | None:
    """What to set, or None to list only. Raises CommandError, ValidationFailed."""
    if is_reset and pairs:
        raise CommandError("--reset takes no limits: it means that there are none.")
    try:
        numbers = policies.read_numbers(",".join(pairs), known=policies.Plan.model_fields)
    except ValueError as error:
        raise CommandError(f"limits: {error}.") from None
    return validation.parse(policies.Plan, numbers) if pairs or is_reset else None
