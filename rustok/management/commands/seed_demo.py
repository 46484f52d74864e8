from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from apps.accounts import models as accounts
from apps.commerce.models import Product
from apps.consumers import tasks
from apps.content.models import Node
from apps.kernel import context, isolation
from apps.tenants import models, queries, scope, services

DEMO = Path(__file__).parents[2] / "demo"
ADMIN_EMAIL = "admin@example.com"
ADMIN_PASSWORD = "rustok-demo"  # noqa: S105 - printed on the developer's terminal, refused in production

TENANTS = [
    services.NewTenant(
        slug="demo-shop",
        name="Demo shop",
        currency="EUR",
        domains=["demo-shop.localhost"],
        locales=["de"],
    ),
    services.NewTenant(slug="demo-site", name="Demo site", domains=["demo-site.localhost"], locales=["de"]),
]


class Command(BaseCommand):
    tenancy = "tenant"
    help = (
        "Make the two demo tenants and the demo administrator where they are missing; for development. "
        "Exit codes: 0 they are there, 1 refused in production."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.IS_PRODUCTION:
            raise CommandError("The demo administrator has a known password; seed_demo is not for production.")
        with isolation.all_tenants(reason="seed the demo"):
            present = set(models.Tenant.objects.values_list("slug", flat=True))
        with context.use(actor="command:seed_demo"):
            for new in TENANTS:
                if new.slug not in present:
                    services.create_tenant(new=new)
        if not accounts.User.objects.filter(email=ADMIN_EMAIL).exists():
            accounts.User.objects.create_superuser(ADMIN_EMAIL, ADMIN_PASSWORD, name="Demo administrator")
        # Asked of the data, not of the tenants: an interrupted first start fills them on the second.
        if _is_empty(Product, "demo-shop"):
            call_command("import_shopify", DEMO / "shop.csv", tenant="demo-shop", quiet=True, stdout=self.stdout)
        if _is_empty(Node, "demo-site"):
            call_command("import_wordpress", DEMO / "site.xml", tenant="demo-site", quiet=True, stdout=self.stdout)
        tasks.drain()
        self.stdout.write(f"Demo tenants: {', '.join(new.slug for new in TENANTS)}. Admin: {ADMIN_EMAIL}.")


def _is_empty(model: type[models.TenantModel], slug: str) -> bool:
    with scope.use(queries.scope_for_command(slug_or_id=slug)):
        return not model.objects.exists()
