"""A tenant with something in every table it can have something in, and what is looked at before and after it moves."""

from __future__ import annotations

import hashlib
import io
import json
import uuid
from pathlib import Path
from typing import Any

import redis
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.core.files.base import ContentFile
from django.core.management import call_command
from django.db import connection
from django.utils import timezone
from psycopg import sql

from apps.accounts import models as accounts
from apps.accounts import services as account_services
from apps.commerce.bulk import PRODUCTS
from apps.consumers import tasks
from apps.content.models import Node
from apps.jobs import services as jobs
from apps.kernel import isolation
from apps.tenants import models, services
from rustok.lifecycle import catalogue, checksum, files
from tests import factories
from tests.commerce import making as shop
from tests.content import making as site
from tests.media import making as library

CANARY = "canary-7f3a"


def make_full_tenant(canary: str = CANARY, **fields: Any) -> models.Tenant:
    """A shop and a site with words that nobody else has, a member a node is shared with, a file, a cache key.

    And an entry in the admin's log.
    """
    tenant = factories.make_tenant(
        name=f"Shop {canary}", currency="EUR", settings={"notice_email": f"{canary}@acme.test"}, **fields
    )
    with factories.at_work(tenant):
        _fill_shop(canary)
        page = _fill_site(canary)
        _add_customer(canary)
    user = factories.make_user(name=canary, email=f"{canary}-{uuid.uuid4().hex[:6]}@people.test")
    account_services.grant_role(user=user, tenant=tenant, role="merchandiser")
    with factories.at_work(tenant):
        site.services.share_node(node_id=page.id, new=site.services.NewShare(email=user.email, action="update"))
        jobs.ask(kind=PRODUCTS, operations=[{"op": canary}], by=user, now=site.NOW)
    services.choose_module(
        tenant=tenant, slug="search", choice=services.ModuleChoice(enabled=False, settings={"note": canary})
    )
    LogEntry.objects.create(user=user, object_id=str(tenant.id), object_repr=canary, action_flag=2)
    files.write(tenant.id, "media/one.txt", ContentFile(canary.encode()))
    with cache() as valkey:
        valkey.set(f"rustok:1:tenant:{tenant.id}:settings", canary)
        valkey.set(f"rustok:1:host:{tenant.slug}.test", canary)
    tasks.drain()
    return tenant


def _fill_shop(canary: str) -> None:
    parent = shop.make_category(f"Shoes {canary}")
    child = shop.make_category(f"Boots {canary}", parent=parent)
    picture = library.make_asset(name=f"{canary}.png", folder=canary, alt=canary)
    fields = shop.sized_fields(
        f"38 {canary}",
        f"39 {canary}",
        category_ids=[child.id],
        metadata={"note": canary},
        tags=[canary],
        images=[{"asset_id": str(picture.id)}],
    )
    product = shop.make_product(fields)
    shop.services.publish_product(product_id=product.product.id, now=shop.NOW)
    variant = product.variants[0].row
    shop.count(variant.id, 6, low_stock_threshold=3)
    shop.adjust(variant.id, -5, reason=canary)
    shop.reserve(variant.id, 1, reference=canary)
    shop.make_collection(f"Summer {canary}")


def _fill_site(canary: str) -> Node:
    tag, news = site.make_tag(f"red {canary}"), site.make_category(f"News {canary}")
    page = site.make_node(f"About {canary}", metadata={"hero": canary}, tag_ids=[tag.id], category_ids=[news.id])
    site.make_node(f"Team {canary}", parent_id=page.id, bodies=[{"locale": "en", "body": f"# {canary}"}], publish=True)
    site.services.publish_node(node_id=page.id, now=site.NOW)
    site.update(page, translations=[{"locale": "en", "title": f"About us {canary}", "slug": f"about-us-{canary}"}])
    return page


def _add_customer(canary: str) -> None:
    customer = accounts.Customer(
        email=f"{canary}@customers.test", name=canary, created_at=site.NOW, email_verified_at=site.NOW
    )
    customer.set_password(canary)
    customer.save()
    accounts.CustomerSession.objects.create(
        account=customer, version=1, created_at=site.NOW, last_used_at=site.NOW, expires_at=site.NOW
    )


def cache() -> redis.Redis:
    return redis.Redis.from_url(str(settings.CACHES["default"]["LOCATION"]))


def suspend(tenant: models.Tenant) -> None:
    services.suspend_tenant(tenant=tenant, suspension=services.Suspension(reason="moves away"), now=timezone.now())
    tasks.drain()


def run(command: str, *arguments: Any, **options: Any) -> str:
    """What a command says that nobody has shown any rows to."""
    out = io.StringIO()
    with isolation.to_nobody():
        call_command(command, *arguments, stdout=out, **options)
    return out.getvalue()


def told(command: str, *arguments: Any, **options: Any) -> dict[str, Any]:
    return dict(json.loads(run(command, *arguments, json=True, **options)))


def export(tenant: models.Tenant, path: Path) -> dict[str, Any]:
    return told("tenant_export", tenant.slug, to=path, quiet=True)


def purge(tenant: models.Tenant) -> dict[str, Any]:
    return told("tenant_purge", tenant.slug, confirm=tenant.slug, quiet=True)


def sums(tenant_id: uuid.UUID) -> dict[str, checksum.Part]:
    return checksum.of_tenant(tenant_id)


def rows_of(tenant_id: uuid.UUID) -> dict[str, str]:
    """Every table's rows of a tenant, its places in the log included, byte for byte."""
    found = {}
    with connection.cursor() as cursor:
        for table in catalogue.tables():
            query = sql.SQL("SELECT COALESCE(string_agg(t::text, '|' ORDER BY t::text), '') FROM {} t WHERE {} = %s")
            cursor.execute(query.format(table.identifier(), sql.Identifier(table.tenant_column)), [tenant_id])
            found[table.name] = hashlib.sha256(cursor.fetchone()[0].encode()).hexdigest()
        cursor.execute(
            "SELECT string_agg(p::text, '|' ORDER BY position) FROM outbox_position p JOIN outbox_log l ON l.id = p.id "
            "WHERE l.tenant_id = %s",
            [tenant_id],
        )
        found["positions"] = cursor.fetchone()[0]
    return found


def places_of(word: str) -> dict[str, int]:
    """Every table with rows in which a word stands, in whatever column; asked of the database, not of our catalogue."""
    found = {}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' "
            "AND table_type = 'BASE TABLE' ORDER BY 1"
        )
        for (name,) in cursor.fetchall():
            cursor.execute(
                sql.SQL("SELECT count(*) FROM {} t WHERE t::text LIKE %s").format(sql.Identifier(name)), [f"%{word}%"]
            )
            if count := cursor.fetchone()[0]:
                found[name] = count
    return found
