"""The installation that both clients are tried on: its two shops, and who works there."""

from __future__ import annotations

from dataclasses import dataclass, field

from apps.commerce import services as commerce
from apps.consumers import tasks
from apps.kernel import isolation
from apps.kernel.limits import policies
from apps.tenants import models, services
from tests import factories
from tests.commerce import making

PUBLISHED = 5
# Reads that the narrow shop admits in a minute.
NARROW = 3


@dataclass
class Scene:
    """A shop with published products, and one whose plan admits few reads until it is widened."""

    url: str
    shop: models.Tenant = field(default_factory=lambda: factories.make_tenant(currency="EUR"))
    narrow: models.Tenant = field(default_factory=lambda: factories.make_tenant(currency="EUR"))

    def __post_init__(self) -> None:
        owner = factories.make_member(self.shop)
        self.email, self.password = owner.email, factories.PASSWORD
        with factories.at_work(self.shop):
            for number in range(PUBLISHED):
                made = making.make_product(title=f"Lamp {number}")
                commerce.publish_product(product_id=made.id, now=making.NOW)
        with isolation.all_tenants(reason="test"):
            tasks.drain()
        with factories.at_work(self.narrow):
            services.set_limits(tenant=self.narrow, plan=policies.Plan(read=NARROW))

    def widen(self) -> None:
        """What the narrow shop counted does not count against it any more."""
        with factories.at_work(self.narrow):
            services.set_limits(tenant=self.narrow, plan=policies.Plan())
