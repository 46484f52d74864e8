"""What commerce does because of events: it tells the tenant by e-mail when something runs low."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from django.core import mail, validators
from django.core.exceptions import ValidationError

from apps.accounts import queries as accounts
from apps.commerce import events
from apps.consumers import effects
from apps.events import envelope
from apps.tenants import queries as tenants

SETTING = "notice_email"
SUBJECT_LENGTH = 150


def plan_low_stock_notice(event: envelope.Event) -> Sequence[effects.Planned]:
    """One notice per event; who gets it is decided when it is sent."""
    payload = events.InventoryLow.model_validate(event.data)
    return [effects.Planned("email", payload.model_dump(mode="json"))]


def send_low_stock_notice(task: effects.Task) -> str:
    """Mail it to the tenant's setting `notice_email`, else to the members who manage its stock.

    The Message-ID comes from the key, so that a mail sent twice by a crash in between is one to the receiver. Raises
    effects.Undeliverable without an address.
    """
    tenant = tenants.get_tenant(slug_or_id=str(task.tenant_id))
    addresses = _addresses(tenant.settings.get(SETTING)) or accounts.emails_of_stock_managers(tenant_id=tenant.id)
    if not addresses:
        raise effects.Undeliverable(
            f'"{tenant.slug}" has no address: set "{SETTING}" in its settings, or give somebody the role owner or '
            "merchandiser"
        )
    low = events.InventoryLow.model_validate(task.payload)
    named = " – ".join(part for part in (low.product_title, low.variant_title) if part) or f"Variant {low.variant_id}"
    lines = [
        f"{named} runs low: {low.remaining} left, your threshold is {low.threshold}.",
        "",
        f"Shop:     {tenant.name}",
        f"SKU:      {low.sku or 'none'}",
        f"Location: {low.location_name or low.location_id}",
    ]
    digest = hashlib.sha256(task.key.encode()).hexdigest()[:32]
    subject = " ".join(f"Low stock: {named}".split())[:SUBJECT_LENGTH]
    message = mail.EmailMessage(
        subject, "\n".join(lines), to=addresses, headers={"Message-ID": f"<{digest}@rustok.invalid>"}
    )
    message.send()
    return f"sent to {', '.join(addresses)}"


def _addresses(setting: object) -> list[str]:
    """The valid addresses of the setting: a text, or a list of texts."""
    wanted = setting if isinstance(setting, list) else [setting]
    return [address for address in wanted if isinstance(address, str) and _is_address(address)]


def _is_address(text: str) -> bool:
    try:
        validators.validate_email(text)
    except ValidationError:
        return False
    return True


LOW_STOCK_NOTICE = effects.register(
    effects.Effect(
        name="low_stock_notice",
        types=("commerce.inventory.low",),
        plan=plan_low_stock_notice,
        perform=send_low_stock_notice,
        tenancy="tenant",
    )
)
