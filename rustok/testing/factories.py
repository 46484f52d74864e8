"""Coherent objects in the state a test begins with, made by the services: their events are recorded as in production.

A tenant is one's own, so that tests never meet in the data. All but tenants and people need it at work; `fields` are
those of the service's input, and replace or add.
"""

from __future__ import annotations

import io
import itertools
import uuid
from datetime import UTC, datetime
from typing import Any

from django.utils import timezone
from PIL import Image

from apps.accounts import clients, realms
from apps.accounts import models as accounts
from apps.accounts import services as account_services
from apps.commerce import models as commerce
from apps.commerce import services as commerce_services
from apps.commerce import snapshots
from apps.content import models as content
from apps.content import services as content_services
from apps.kernel import validation
from apps.media import inputs as media_inputs
from apps.media import models as media
from apps.media import services as media_services
from apps.tenants import models, services
from rustok.testing.contexts import at_work

PASSWORD = "correct horse battery"
NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
SUSPENDED = "suspended by a test"
_shades = itertools.count(1)


# --- Tenants ------------------------------------------------------------------------------------------------


def make_tenant(**fields: Any) -> models.Tenant:
    """An active tenant with a slug, and a domain `<slug>.test`, that no other test has."""
    slug = fields.pop("slug", f"tenant-{uuid.uuid4().hex[:12]}")
    fields = {"name": slug.title(), "domains": [f"{slug}.test"], "locales": ["de"]} | fields
    return services.create_tenant(new=services.NewTenant(slug=slug, **fields))


def make_suspended_tenant(*, reason: str = SUSPENDED, now: datetime = NOW, **fields: Any) -> models.Tenant:
    """One that is switched off: nobody gets an answer, and nothing is told to the outside for it."""
    suspension = services.Suspension(reason=reason)
    return services.suspend_tenant(tenant=make_tenant(**fields), suspension=suspension, now=now)


# --- People -------------------------------------------------------------------------------------------------


def make_user(**fields: Any) -> accounts.User:
    """A user who belongs to no tenant, with PASSWORD; `is_staff=True, is_superuser=True` is the platform's staff."""
    email = fields.pop("email", f"{uuid.uuid4().hex[:12]}@example.test")
    return accounts.User.objects.create_user(email, fields.pop("password", PASSWORD), **fields)


def make_member(tenant: models.Tenant, role: str = "owner", user: accounts.User | None = None) -> accounts.User:
    """The user, a new one if none is given, with this role in the tenant."""
    user = user or make_user()
    with at_work(tenant):
        account_services.grant_role(user=user, tenant=tenant, role=role)
    return user


def make_token(tenant: models.Tenant, role: str = "owner") -> str:
    """An access token of a member of the tenant with this role."""
    return make_tokens(make_member(tenant, role)).access_token


def make_tokens(user: accounts.User, **facts: Any) -> account_services.Tokens:
    """The tokens of a session of the user, as after a login."""
    now = timezone.now()
    return account_services.open_session(realm=realms.STAFF, account=user, client=clients.Client(), now=now, **facts)


def make_customer(tenant: models.Tenant, name: str = "Cara", **fields: Any) -> accounts.Customer:
    """A customer of the tenant whose address is verified."""
    now = timezone.now()
    address = f"{uuid.uuid4().hex[:12]}@example.test"
    with at_work(tenant):
        return accounts.Customer.objects.create(
            **{"email": address, "name": name, "created_at": now, "email_verified_at": now} | fields
        )


def make_customer_token(tenant: models.Tenant, name: str = "Cara") -> str:
    """An access token of a new customer of the tenant."""
    customer = make_customer(tenant, name)
    with at_work(tenant):
        return account_services.open_session(
            realm=realms.STORE, account=customer, client=clients.Client(), now=timezone.now()
        ).access_token


def write_headers(method: str) -> dict[str, str]:
    """What some writes are refused without: which version they replace, here whatever is there, and a key."""
    return {} if method in {"GET", "HEAD"} else {"If-Match": "*", "Idempotency-Key": str(uuid.uuid4())}


# --- Goods --------------------------------------------------------------------------------------------------


def variant_fields(**fields: Any) -> dict[str, Any]:
    """A variant at 19.90 EUR."""
    return {"prices": [{"currency": "EUR", "amount": "19.90"}], **fields}


def product_fields(title: str = "Red Shoes", **fields: Any) -> dict[str, Any]:
    """A draft with an English title and one variant."""
    return {"translations": [{"locale": "en", "title": title}], "variants": [variant_fields()], **fields}


def sized_fields(*sizes: str, **fields: Any) -> dict[str, Any]:
    """A product with an option Size and a variant for each size, its SKU being the size."""
    options = [{"names": {"en": "Size"}, "values": [{"names": {"en": size}} for size in sizes]}]
    variants = [variant_fields(values=[size]) for size in sizes]
    return product_fields(options=options, **{"variants": variants, **fields})


def make_product(title: str = "Red Shoes", *, now: datetime = NOW, **fields: Any) -> snapshots.Snapshot:
    """A draft with one variant at 19.90 EUR; `status` is draft, published or archived."""
    new = validation.parse(commerce_services.NewProduct, product_fields(title, **fields))
    return commerce_services.create_product(new=new, now=now)


def make_published_product(title: str = "Red Shoes", *, stock: int = 5, **fields: Any) -> snapshots.Snapshot:
    """What a shop shows: published, in stock, with an image of the library."""
    fields = {
        "status": "published",
        "variants": [variant_fields(stock=[{"quantity": stock}])],
        "images": [{"asset_id": str(make_asset().id)}],
    } | fields
    return make_product(title, **fields)


def make_archived_product(title: str = "Red Shoes", **fields: Any) -> snapshots.Snapshot:
    """One that is sold no more."""
    return make_product(title, status="archived", **fields)


def make_shop_category(name: str = "Shoes", **fields: Any) -> commerce.Category:
    """A category of goods."""
    new = {"translations": [{"locale": "en", "name": name}]} | fields
    return commerce_services.create_category(new=validation.parse(commerce_services.NewCategory, new))


def make_collection(title: str = "Summer", **fields: Any) -> commerce.Collection:
    """A collection without products."""
    new = {"translations": [{"locale": "en", "title": title}]} | fields
    return commerce_services.create_collection(new=validation.parse(commerce_services.CollectionInput, new))


# --- Content ------------------------------------------------------------------------------------------------


def make_node(title: str = "A page", *, now: datetime = NOW, **fields: Any) -> content.Node:
    """A draft of a page with an English title; `kind="post"` is another one, `publish=True` shows it at once."""
    new = {"kind": "page", "translations": [{"locale": "en", "title": title}]} | fields
    return content_services.create_node(new=validation.parse(content_services.NewNode, new), now=now)


def make_published_node(title: str = "A page", **fields: Any) -> content.Node:
    """One that readers see."""
    return make_node(title, publish=True, **fields)


def make_translated_node(titles: dict[str, str], **fields: Any) -> content.Node:
    """A draft with a title, and a body that says it, per locale."""
    translations = [{"locale": locale, "title": title} for locale, title in titles.items()]
    bodies = [{"locale": locale, "format": "markdown", "body": title} for locale, title in titles.items()]
    return make_node(**{"translations": translations, "bodies": bodies} | fields)


def make_category(name: str = "News", **fields: Any) -> content.Category:
    """A category of content."""
    new = {"translations": [{"locale": "en", "name": name}]} | fields
    return content_services.create_category(new=validation.parse(content_services.NewCategory, new))


def make_tag(name: str = "red", **fields: Any) -> content.Tag:
    """A tag of content."""
    new = {"translations": [{"locale": "en", "name": name}]} | fields
    return content_services.create_tag(new=validation.parse(content_services.NewTag, new))


def make_menu(name: str = "Main", **fields: Any) -> content.Menu:
    """A menu without items; `location="header"` is where the site shows it."""
    new = {"name": name} | fields
    return content_services.create_menu(new=validation.parse(content_services.NewMenu, new))


# --- Media --------------------------------------------------------------------------------------------------


def picture(size: tuple[int, int] = (300, 200), format: str = "PNG", mode: str = "RGB", **options: Any) -> bytes:
    """An image that no other test has made."""
    number = next(_shades)
    colour = (number % 256, number // 256 % 256, 7, 128)[: len(mode)]
    written = io.BytesIO()
    Image.new(mode, size, colour).save(written, format=format, **options)
    return written.getvalue()


def make_asset(content: bytes | None = None, name: str = "Red Shoes.png", **fields: Any) -> media.Asset:
    """An image in the library, with its renditions; the fixture `media_root` gives it a place of the test's own."""
    new = validation.parse(media_inputs.NewAsset, fields)
    file = io.BytesIO(picture() if content is None else content)
    return media_services.upload_asset(new=new, file=file, name=name, declared="image/png").asset
