"""A tenant with rows in every table, a word of its own in every field that can hold one, and the names it all has."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

import pytest
from django.utils import timezone

from apps.accounts import models as accounts
from apps.accounts import tokens
from apps.audit import models as audit
from apps.commerce.bulk import PRODUCTS
from apps.consumers import models as consumers
from apps.consumers import tasks
from apps.imports import models as imports
from apps.jobs import models as models_of_jobs
from apps.jobs import services as jobs
from apps.kernel import context, ids, isolation
from apps.media import models as media
from apps.media import queries as library_queries
from apps.outbox import models as outbox
from apps.tenants import custom_fields, models, services
from tests import factories
from tests.commerce import making as shop
from tests.content import making as site
from tests.media import making as library
from tests.sweep import canaries, people
from tests.sweep.people import Names


@dataclass(frozen=True)
class Side:
    """One of the two tenants. `names` are what callers can send to mean things of it, by what they mean;
    `unknown` are names of the same form that mean nothing. `bearers` are what its people come in with."""

    tenant: models.Tenant
    words: canaries.Words
    names: Names
    unknown: Names
    bearers: Names
    staff: accounts.User

    @property
    def host(self) -> str:
        return f"{self.tenant.slug}.test"


def make_side(letters: str) -> Side:
    """Committed, with its read models; the letters begin its words."""
    words = canaries.Words(letters)
    with isolation.all_tenants(reason="test"), context.use(actor=f"command:{words()}", **_client(words)):
        tenant = _make_tenant(words)
        with factories.at_work(tenant):
            names: Names = {"tenant": tenant.slug, "tenant_id": str(tenant.id), **_fill_shop(words)}
            names |= _fill_site(words)
            staff = people.fill_people(words, names)
            with pytest.MonkeyPatch.context() as patched:
                patched.setattr(tokens, "LIFETIME", people.LASTING)
                secrets, bearers = people.fill_secrets(staff, words, names)
            names |= _names_in_the_audit_log() | {"text": words(), "job": _fill_jobs(staff, words)}
            _fill_imports(staff, words)
        tasks.drain()
        with factories.at_work(tenant):
            _fill_consumers(words, aggregate_id=ids.decode("node", names["node"]))
            names["idempotency_key"] = words()
            remember(words, actor=words(), method="POST", path=f"/{words()}", key=names["idempotency_key"])
    unknown = {kind: canaries.twin(name, words.mark) for kind, name in names.items()}
    unknown |= {kind: nobodys for kind, (_, nobodys) in secrets.items()}
    names |= {kind: own for kind, (own, _) in secrets.items()}
    return Side(tenant, words, names, unknown, bearers, staff)


def _client(words: canaries.Words) -> dict[str, str]:
    return {"authority": f"key:{words()}", "client_address": words()}


def _make_tenant(words: canaries.Words) -> models.Tenant:
    slug = words()
    tenant = factories.make_tenant(
        slug=slug,
        name=words(),
        currency="EUR",
        default_locale="en",
        locales=["de"],
        domains=[f"{slug}.test"],
        settings={"notice_email": f"{words()}@mail.test", "note": words()},
    )
    services.enable_locale(tenant=tenant, locale="fr", name=words())
    choice = services.ModuleChoice(settings={"note": words()})
    services.choose_module(tenant=tenant, slug="search", choice=choice)
    return tenant


def _translated(words: canaries.Words, *fields: str) -> dict[str, Any]:
    return {"translations": [{"locale": "en"} | {field: words() for field in fields}]}


def _told(words: canaries.Words) -> dict[str, Any]:
    """What search engines are told."""
    return {"seo": {"en": {"title": words(), "description": words()}}}


def _fill_shop(words: canaries.Words) -> Names:
    named = ("name", "handle", "description")
    parent = shop.make_category("", **_translated(words, *named))
    category = shop.make_category("", parent=parent, **_translated(words, *named), **_told(words))
    other = shop.make_category("", **_translated(words, *named))
    location = shop.services.create_location(new=shop.services.NewLocation(code=words(), name=words()))
    fields = _product_fields(words, location.code, category.id)
    _define_fields("product", fields["product_type"], words)
    product = shop.make_product(fields)
    shop.services.publish_product(product_id=product.product.id, now=shop.NOW)
    variant = product.variants[0].row
    shop.adjust(variant.id, -5, reason=words(), location=location.code)
    reservation = shop.reserve(variant.id, 1, reference=words(), location=location.code, lifetime_seconds=86_400 * 20)
    words_of_it = {**_translated(words, "title", "handle", "description"), **_told(words)}
    new = shop.services.CollectionInput.model_validate(words_of_it)
    collection = shop.services.create_collection(new=new)
    shop.services.add_to_collection(collection_id=collection.id, product_id=product.product.id, position=None)
    return {
        "product": ids.encode("prod", product.product.id),
        "variant": ids.encode("var", variant.id),
        "product_category": ids.encode("cat", category.id),
        "other_product_category": ids.encode("cat", other.id),
        "collection": ids.encode("coll", collection.id),
        "reservation": ids.encode("res", reservation.id),
        "location": location.code,
        "title": fields["translations"][0]["title"],
        "sku": fields["variants"][0]["sku"],
        "product_external_id": fields["external_id"],
        "vendor": fields["vendor"],
        "product_type": fields["product_type"],
        "product_tag": fields["tags"][0],
        "image": fields["images"][0]["url"],
        "option_value": fields["options"][0]["values"][2]["names"]["en"],  # of no variant yet
        "handle": fields["translations"][0]["handle"],
        "product_category_slug": category.translations.get(locale="en").handle,
        "parent_slug": parent.translations.get(locale="en").handle,
        "collection_slug": words_of_it["translations"][0]["handle"],
    }


def _define_fields(subject: str, name: str, words: canaries.Words) -> models.FieldSchema:
    definition = {"type": "object", "properties": {"note": {"type": "string", "title": words()}}}
    return custom_fields.set_schema(subject=subject, name=name, definition=definition)


def _product_fields(words: canaries.Words, location: str, category_id: uuid.UUID) -> dict[str, Any]:
    image, sizes = f"https://{words()}.test/a.png", [words(), words(), words()]
    translated = ("title", "subtitle", "handle", "description", "meta_title", "meta_description")
    variants = [
        shop.variant_fields(
            sku=words(),
            barcode=words(),
            values=[size],
            image=image,
            metadata={"note": words()},
            stock=[{"location": location, "quantity": 7, "low_stock_threshold": 3}],
        )
        for size in sizes[:2]
    ]
    return {
        **_translated(words, *translated),
        "vendor": words(),
        "product_type": words(),
        "tags": [words()],
        "metadata": {"note": words()},
        "seo": {"en": {"title": words(), "description": words()}},
        "fields": {"note": words()},
        "external_id": words(),
        "category_ids": [category_id],
        "options": [{"names": {"en": words()}, "values": [{"names": {"en": size}} for size in sizes]}],
        "images": [{"url": image, "alt": words()}],
        "variants": variants,
    }


def _fill_site(words: canaries.Words) -> Names:
    schema = _define_fields("node", "page", words)
    tag = site.make_tag("", **_translated(words, "name", "slug", "description"))
    news = site.make_category("", **_translated(words, "name", "slug", "description"), **_told(words))
    other = site.make_category("", taxonomy=words(), **_translated(words, "name", "slug", "description"))
    fields: dict[str, Any] = {
        **_translated(words, "title", "slug", "excerpt"),
        "bodies": [{"locale": "en", "body": words()}],
        "author_name": words(),
        "metadata": {"note": words()},
        "seo": {"en": {"title": words(), "description": words(), "canonical_url": f"https://{words()}.test/"}},
        "fields": {"note": words()},
        "external_id": words(),
        "old_paths": [f"/{words()}"],
        "category_ids": [news.id],
        "tag_ids": [tag.id],
        "publish": True,
    }
    page = site.make_node("", **fields)
    slug, old_slug = words(), fields["translations"][0]["slug"]
    site.update(page, translations=[{"locale": "en", "slug": slug}, {"locale": "de", "title": words()}])
    child = site.make_node(words(), parent_id=page.id, publish=True)
    item = {"titles": {"en": words()}, "icon": words(), "target": {"type": "node", "id": page.id}}
    outside = {"titles": {"en": words()}, "url": f"https://{words()}.test/"}
    post = site.make_node(words(), kind="post", publish=True, comments_open=True)
    comment = site.make_node(words(), kind="comment", parent_id=post.id, publish=True)
    talk = site.make_node(words(), publish=True)
    site.make_node(words(), kind="comment", parent_id=talk.id, publish=True)
    asset = library.make_asset(name=f"{words()}.png", folder=words(), alt=words(), caption=words())
    source = f"https://{words()}.test/shoes.png"
    media.Source.objects.create(
        url=source, url_sha256=library_queries.url_sha256(source), asset=asset, problem=words(), asked_at=timezone.now()
    )
    menu = site.make_menu(words(), location="header", items=[item, outside], external_id=words())
    return {
        "talk_slug": site.slug_of(talk),
        "post": ids.encode("node", post.id),
        "comment": ids.encode("node", comment.id),
        "asset": ids.encode("asset", asset.id),
        "file": f"%PDF-1.4 {words()}",
        "menu": ids.encode("menu", menu.id),
        "menu_item": ids.encode("item", uuid.UUID(menu.items[0]["id"])),
        "other_menu_item": ids.encode("item", uuid.UUID(menu.items[1]["id"])),
        "menu_external_id": str(menu.external_id),
        "node": ids.encode("node", page.id),
        "field_schema": ids.encode("fields", schema.id),
        "node_uuid": str(page.id),
        "child_node": ids.encode("node", child.id),
        "other_node": ids.encode("node", site.make_node(words()).id),
        "node_external_id": fields["external_id"],
        "node_slug": slug,
        "old_node_slug": old_slug,
        "old_path": fields["old_paths"][0],
        "content_category": ids.encode("cat", news.id),
        "other_content_category": ids.encode("cat", other.id),
        "content_category_slug": news.translations.get(locale="en").slug,
        "taxonomy": other.taxonomy,
        "tag": ids.encode("tag", tag.id),
        "tag_slug": tag.translations.get(locale="en").slug,
    }


def _names_in_the_audit_log() -> Names:
    entry = audit.Entry.objects.filter(correlation_id__isnull=False).order_by("id")[0]
    return {
        "audit_entry": ids.encode("audit", entry.id),
        "correlation_id": str(entry.correlation_id),
        "object_id": entry.object_id,
    }


def _fill_jobs(staff: accounts.User, words: canaries.Words) -> str:
    """One that is waiting, with an operation that has failed already."""
    with context.use(origin=f"http://{words()}.test"):
        job = jobs.ask(kind=PRODUCTS, operations=[{"op": words()}] * 2, by=staff, now=timezone.now())
    models_of_jobs.Job.objects.update(reason=words(), done=1, failed=1)
    first = models_of_jobs.Operation.objects.order_by("index")[0]
    first.status, first.problem = 422, {"detail": words()}
    first.save()
    return ids.encode("job", job.id)


def _fill_imports(staff: accounts.User, words: canaries.Words) -> None:
    """One that has stopped, with its file, an object that is left and a row that was not taken."""
    now = timezone.now()
    run = imports.Run.objects.create(
        **{"format": "shopify", "file_name": words(), "file_digest": "", "file_size": 1, "path": words()},
        options={"locale": words()},
        found={"encoding": words()},
        tally={words(): {"created": 1}},
        status=imports.Status.STOPPED,
        reason=words(),
        actor=words(),
        client_address=words(),
        asked_by=staff,
        **dict.fromkeys(("created_at", "worked_at", "expires_at"), now),
    )
    imports.Piece.objects.create(run=run, index=0, content=words().encode())
    entry = {"kind": "commerce.product", "object_id": ids.new_id(), "found_version": 1, "version": 2}
    left = imports.Entry.Outcome.LEFT
    imports.Entry.objects.create(run=run, before={"title": words()}, reason=words(), outcome=left, **entry)
    imports.Problem.objects.create(run=run, row=1, column=words(), value=words(), problem=words())


def _fill_consumers(words: canaries.Words, *, aggregate_id: uuid.UUID) -> None:
    """As consumers leave them behind: an event that could not be read, and something that could not be told."""
    events = outbox.Log.objects.filter(aggregate_id=aggregate_id).values("id")
    consumers.Parked.objects.create(
        consumer=words(),
        generation=1,
        tenant_id=uuid.UUID(isolation.shown()),
        aggregate_type=words(),
        aggregate_id=aggregate_id,
        position=outbox.Position.objects.filter(id__in=events).order_by("position")[0].position,
        error=words(),
        reason=words(),
    )
    now = timezone.now()
    consumers.Effect.objects.create(
        key=words(),
        consumer=words(),
        position=1,
        event_id=ids.new_id(),
        tenant_id=uuid.UUID(isolation.shown()),
        target=words(),
        payload={"note": words()},
        state="failed",
        next_at=now,
        response=words(),
        planned_at=now,
    )


def remember(words: canaries.Words, *, actor: str, method: str, path: str, key: str) -> None:
    """That the tenant at work has answered a write with this idempotency key."""
    models.IdempotencyRecord.objects.create(
        actor=actor,
        method=method,
        path=path,
        key=key,
        fingerprint=words(),
        status=201,
        body=f'{{"note": "{words()}"}}'.encode(),
        headers={"Location": words()},
        created_at=timezone.now(),
    )
