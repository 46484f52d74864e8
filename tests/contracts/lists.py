"""Every list of the API, by its operation: how rows come into it, and what its filters can be asked for."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import Permission
from django.db import models, transaction
from django.utils import timezone

from apps.accounts import models as accounts
from apps.accounts.access import members
from apps.audit import models as audit
from apps.audit import recording
from apps.commerce import models as commerce
from apps.consumers import tasks
from apps.content import kinds
from apps.content import models as content
from apps.content import services as content_services
from apps.jobs import models as jobs
from apps.kernel import ids
from apps.media import models as media
from apps.readmodels import models as readmodels
from apps.tenants import custom_fields, scope
from apps.tenants import models as tenants
from apps.tenants import services as tenant_services
from tests import factories
from tests.commerce import making as shop
from tests.content import making as site
from tests.media import making as library
from tests.readmodels import conftest as store

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Case:
    """A list. `make` puts that many rows into the list of the tenant at work; without it the program's own are all.

    `parts` fill the address, `query` is what every request says, `samples` are values of filters that no member of the
    documents shows: each finds some of the rows, not all. `table` is where indexes carry its sorts; None where the rows
    are few: those of one object, or the program's own. `token` is what who asks comes in with; without it an owner's.
    """

    make: Callable[[int], None] | None
    prepare: Callable[[], None] = lambda: None
    parts: Callable[[], Mapping[str, str]] = dict
    query: Mapping[str, str] = field(default_factory=dict)
    samples: Mapping[str, Callable[[], str]] = field(default_factory=dict)
    identify: Callable[[dict[str, Any]], str] = lambda row: str(row["id"])
    table: type[models.Model] | None = None
    token: Callable[[tenants.Tenant], str] | None = None


def _nodes(count: int) -> None:
    """A root, a child of it and a German one at first, all others below the child; with terms of their own."""
    for number in itertools.islice(_numbers, count):
        is_first = content.Node.objects.count() < 3
        parent = _last_of_first(content.Node.objects.all(), 1 if is_first else 2)
        site.make_node(
            f"Node {number}",
            kind=("page", "post")[number % 2],
            publish=number % 3 == 0,
            parent_id=parent and str(parent.id),
            external_id=f"node-{number}",
            author_name=("Ann", "Bob")[number % 2],
            category_ids=[str(site.make_category(f"Category {number}").id)],
            tag_ids=[str(site.make_tag(f"Tag {number}").id)],
            translations=[
                {"locale": locale, "title": f"Node {number}"} for locale in (("en", "de") if is_first else ("en",))
            ],
        )


def _shares(count: int) -> None:
    node = content.Node.objects.first() or site.make_node()
    permission = Permission.objects.get(codename="view_node", content_type__app_label="content")
    tenant = tenants.Tenant.objects.get(id=scope.current_id())
    for _ in range(count):
        content.NodeUserObjectPermission.objects.create(
            content_object=node, user=factories.make_member(tenant, "editor"), permission=permission
        )


def _content_categories(count: int) -> None:
    """A tree of another taxonomy at first, then a root, a child of it and all others below the child."""
    for number in itertools.islice(_numbers, count):
        if not content.Category.objects.exists():
            site.make_category(f"Genre {number}", taxonomy="genre")
            continue
        parent = _last_of_first(content.Category.objects.filter(taxonomy="category"), 2)
        site.make_category(f"Category {number}", parent_id=parent and str(parent.id))


def _tags(count: int) -> None:
    for number in itertools.islice(_numbers, count):
        site.make_tag(f"Tag {number}")


def _field_schemas(count: int) -> None:
    for number in itertools.islice(_numbers, count):
        subject, name = (("product", f"Type {number}"), ("node", kinds.names()[number // 2 % 6]))[number % 2]
        if custom_fields.find_schema(subject=subject, name=name) is not None:
            subject, name = "product", f"Type {number}"
        custom_fields.set_schema(subject=subject, name=name, definition={"type": "object"})


def _comments(count: int) -> None:
    """Of the first customer, below two posts, in every state."""
    tenant_services.update_tenant(
        tenant=tenants.Tenant.objects.get(id=scope.current_id()),
        changes=tenant_services.TenantChanges(settings={"comments": {"are_open": True}}),
    )
    customer = accounts.Customer.objects.first() or _make_customer()
    for number in itertools.islice(_numbers, count):
        posts = content.Node.objects.filter(kind="post").order_by("id")
        if posts.count() < 2:
            site.make_node(f"Post {number}", kind="post", publish=True)
        post = posts[number % posts.count()]
        new = content_services.NewComment(parent_id=post.id, text=f"Comment {number}")
        comment = content_services.write_comment(customer=customer, new=new, now=timezone.now())
        content.Node.objects.filter(id=comment.id).update(author_name=("Ann", "Bob")[number % 2])
        state = list(content_services.CommentState)[number // 2 % 4]
        content_services.moderate_comment(comment_id=comment.id, state=state, now=timezone.now())


def _make_customer() -> accounts.Customer:
    factories.make_customer_token(tenants.Tenant.objects.get(id=scope.current_id()))
    return accounts.Customer.objects.get()


def _store_comments(count: int) -> None:
    """On one post, approved, a few of them in German."""
    customer = accounts.Customer.objects.first() or _make_customer()
    post = content.Node.objects.filter(kind="post").first()
    post = post or site.make_node("Talk", kind="post", publish=True, comments_open=True)
    for number in itertools.islice(_numbers, count):
        locale = ("en", "de")[number % 2]
        new = content_services.NewComment(parent_id=post.id, text=f"Comment {number}", locale=locale)
        comment = content_services.write_comment(customer=customer, new=new, now=timezone.now())
        content_services.moderate_comment(
            comment_id=comment.id, state=content_services.CommentState.APPROVED, now=timezone.now()
        )
    tasks.drain()


def _menus(count: int) -> None:
    for number in itertools.islice(_numbers, count):
        places = content.Location.values
        free = next((each for each in places if not content.Menu.objects.filter(location=each).exists()), None)
        site.make_menu(f"Menu {number}", location=free, external_id=f"menu-{number}")


def _assets(count: int) -> None:
    for number in itertools.islice(_numbers, count):
        content = b"%PDF-1.7 " + b"x" * (number % 7) + str(number).encode()
        folder = ("a", "b")[number % 2]
        if number % 2:
            library.upload(content, f"List {number}.pdf", "application/pdf", folder=folder)
        else:
            library.upload(library.picture((8, 8)), f"Picture {number}.png", folder=folder)


def _products(count: int) -> None:
    for number in itertools.islice(_numbers, count):
        shop.make_product(
            title=f"Product {number}",
            vendor=("Acme", "Bolt")[number % 2],
            product_type=("Shoe", "Bag", "Hat")[number % 3],
            status=("draft", "published")[number % 2],
            is_gift_card=number % 4 == 0,
            external_id=f"product-{number}",
            category_ids=[str(shop.make_category(f"Category {number}").id)],
            variants=[shop.variant_fields(sku=f"SKU-{number}")],
        )


def _jobs(count: int) -> None:
    for number in itertools.islice(_numbers, count):
        now = timezone.now()
        jobs.Job.objects.create(
            kind=("nodes", "products")[number % 2],
            status=("queued", "cancelled", "failed")[number % 3],
            total=number,
            asked_by=accounts.User.objects.earliest("pk"),
            actor="user:nobody",
            language="en",
            created_at=now,
            worked_at=now,
        )


def _variants(count: int) -> None:
    product = commerce.Product.objects.first() or shop.make_product().product
    for number in itertools.islice(_numbers, count):
        commerce.Variant.objects.create(
            product=product,
            position=number // 2,
            sku=f"SKU-{number}",
            barcode=f"4{number}",
            inventory_policy=("deny", "continue")[number % 2],
            manage_inventory=number % 3 != 0,
            combination=str(number),
        )


def _levels(count: int) -> None:
    variant = commerce.Variant.objects.first() or shop.make_variant()
    for number in itertools.islice(_numbers, count):
        commerce.InventoryLevel.objects.create(
            variant=variant, location=_location(number), stocked=number + 5, reserved=number % 3
        )


def _locations(count: int) -> None:
    for number in itertools.islice(_numbers, count):
        _location(number)


def _location(number: int) -> commerce.StockLocation:
    return commerce.StockLocation.objects.create(code=f"place-{number:05}", name=f"Place {number}")


def _categories(count: int) -> None:
    """A root, a child of it and all others below the child."""
    for number in itertools.islice(_numbers, count):
        parent = _last_of_first(commerce.Category.objects.all(), 2)
        shop.make_category(f"Category {number}", parent, is_active=number % 3 != 0)


def _collections(count: int) -> None:
    for number in itertools.islice(_numbers, count):
        collection = shop.make_collection(f"Collection {number}")
        product = shop.make_product(
            title=f"Product {number}", category_ids=[str(shop.make_category(f"Category {number}").id)]
        ).product
        commerce.CollectionProduct.objects.create(collection=collection, product=product)


def _invitations(count: int) -> None:
    for number in itertools.islice(_numbers, count):
        requested_at = timezone.now()
        is_sent = number % 3 != 0
        accounts.Invitation.objects.create(
            purpose=accounts.Purpose.INVITATION,
            email=f"guest-{number}@example.test",
            role=("editor", "manager")[number % 2],
            invited_by=accounts.User.objects.earliest("created_at"),
            requested_at=requested_at,
            expires_at=requested_at + timedelta(hours=72) if is_sent else None,
            used_at=requested_at if number % 2 else None,
        )


def _api_keys(count: int) -> None:
    owner = accounts.Membership.objects.filter(tenant_id=scope.current_id()).earliest("id").user
    for number in itertools.islice(_numbers, count):
        creator = owner if number % 2 else factories.make_user(password=None)
        if creator != owner:
            members.put_member(user=creator, roles=["editor"], by=None)
        now = timezone.now()
        accounts.ApiKey.objects.create(
            name=f"Key {number}",
            prefix=f"rk_{number}",
            digest=str(number),
            scopes=["products:list"],
            created_by=creator,
            created_at=now,
            expires_at=now + timedelta(days=90),
            revoked_at=now if number % 2 else None,
            last_used_at=now if number % 3 else None,
        )


def _customers(count: int) -> None:
    for number in itertools.islice(_numbers, count):
        accounts.Customer.objects.create(
            email=f"{number * 7919 % 1000}-{number}@example.test",
            is_active=number % 2 == 0,
            created_at=timezone.now(),
            email_verified_at=timezone.now(),
        )


def _members(count: int) -> None:
    for number in itertools.islice(_numbers, count):
        user = factories.make_user(password=None, is_active=number % 2 == 0)
        members.put_member(user=user, roles=["editor"], by=None)


def _roles(count: int) -> None:
    for number in itertools.islice(_numbers, count):
        accounts.Role.objects.create(slug=f"role-{number}", name=f"Role {number}")


def _break_glass(count: int) -> None:
    for number in itertools.islice(_numbers, count):
        now = timezone.now()
        accounts.BreakGlass.objects.create(
            user=factories.make_user(password=None),
            reason="The shop is down",
            ticket=f"T-{number}",
            is_read_only=number % 2 == 0,
            opened_at=now,
            expires_at=now + timedelta(minutes=30),
            closed_at=now if number % 2 else None,
        )


def _no_search() -> None:
    tenant = tenants.Tenant.objects.get(id=scope.current_id())
    tenant_services.choose_module(tenant=tenant, slug="search", choice=tenant_services.ModuleChoice(enabled=False))


def _entries(count: int) -> None:
    for _ in range(count):
        with transaction.atomic():
            recording.record(action="test.made", tenant_id=scope.current_id(), object_type="test")


def _store_products(count: int) -> None:
    for number in itertools.islice(_numbers, count):
        fields = {"vendor": ("Acme", "Bolt")[number % 2], "product_type": ("Shoe", "Bag")[number % 2]}
        stock: dict[str, Any] = {} if number % 3 else {"variants": [{}]}
        store.make_product(f"Lamp {number}", at=-number, tags=[("new", "old")[number % 2]], **fields, **stock)
    tasks.drain()


def _store_nodes(count: int) -> None:
    for number in itertools.islice(_numbers, count):
        store.make_node(f"Post {number}", at=-number)
    tasks.drain()


def _store_terms(count: int) -> None:
    for number in itertools.islice(_numbers, count):
        site.make_category(f"Category {number}", taxonomy=("category", "genre")[number % 2])
    tasks.drain()


def _last_of_first(rows: Any, count: int) -> Any:
    """The last of the first few that were made, if there are any."""
    return next(reversed(rows.order_by("id")[:count]), None)


def _first_node() -> Mapping[str, str]:
    return {"node_id": ids.encode("node", content.Node.objects.earliest("id").id)}


def _slug(model: Any) -> Callable[[], str]:
    return lambda: str(model.objects.order_by("id").first().slug)


def _handle(model: Any) -> Callable[[], str]:
    return lambda: str(model.objects.order_by("id").first().handle)


def _parent(prefix: str, model: Any) -> Callable[[], str]:
    return lambda: ids.encode(prefix, model.objects.filter(parent__isnull=False).order_by("id").first().parent_id)


CASES = {
    "node_list": Case(
        _nodes,
        table=content.Node,
        samples={
            "parent": _parent("node", content.Node),
            "locale": lambda: "de",
            "category": lambda: ids.encode("cat", content.Category.objects.earliest("id").id),
            "tag": lambda: ids.encode("tag", content.Tag.objects.earliest("id").id),
        },
    ),
    "node_share_list": Case(_shares, parts=_first_node, identify=lambda row: str(row["user_id"])),
    "node_kind_list": Case(None, identify=lambda row: str(row["name"])),
    "content_category_list": Case(
        _content_categories,
        table=content.Category,
        samples={"parent": _parent("cat", content.Category), "slug": _slug(content.CategoryTranslation)},
    ),
    "tag_list": Case(_tags, table=content.Tag, samples={"slug": _slug(content.TagTranslation)}),
    "comment_list": Case(
        _comments,
        table=content.Node,
        samples={"parent": lambda: ids.encode("node", content.Node.objects.filter(kind="post").earliest("id").id)},
    ),
    "account_comments": Case(
        _comments,
        table=content.Node,
        samples={"parent": lambda: ids.encode("node", content.Node.objects.filter(kind="post").earliest("id").id)},
        token=factories.make_customer_token,
    ),
    "store_comments": Case(_store_comments, parts=lambda: {"kind": "post", "slug": "talk"}),
    "field_schema_list": Case(_field_schemas, table=tenants.FieldSchema),
    "menu_list": Case(_menus, table=content.Menu),
    "asset_list": Case(_assets, table=media.Asset),
    "product_list": Case(
        _products,
        table=commerce.Product,
        samples={
            "handle": _handle(commerce.ProductTranslation),
            "sku": lambda: str(commerce.Variant.objects.earliest("id").sku),
            "category": lambda: ids.encode("cat", commerce.Category.objects.earliest("id").id),
        },
    ),
    "variant_list": Case(
        _variants, parts=lambda: {"product_id": ids.encode("prod", commerce.Product.objects.earliest("id").id)}
    ),
    "inventory_get": Case(
        _levels,
        parts=lambda: {"variant_id": ids.encode("var", commerce.Variant.objects.earliest("id").id)},
        identify=lambda row: str(row["location"]),
    ),
    "stock_location_list": Case(_locations, table=commerce.StockLocation),
    "product_category_list": Case(
        _categories,
        table=commerce.Category,
        samples={"parent": _parent("cat", commerce.Category), "handle": _handle(commerce.CategoryTranslation)},
    ),
    "collection_list": Case(
        _collections,
        table=commerce.Collection,
        samples={
            "handle": _handle(commerce.CollectionTranslation),
            "created_at": lambda: commerce.Collection.objects.order_by("id")[10].created_at.isoformat("T")[:26] + "Z",
            "updated_at": lambda: commerce.Collection.objects.order_by("id")[10].updated_at.isoformat("T")[:26] + "Z",
        },
    ),
    "module_list": Case(None, prepare=_no_search, identify=lambda row: str(row["slug"])),
    "audit_list": Case(_entries, table=audit.Entry, query={"action": "test.made"}),
    "job_list": Case(_jobs, table=jobs.Job),
    "role_list": Case(_roles, identify=lambda row: str(row["slug"])),
    "member_list": Case(_members, table=accounts.Membership, identify=lambda row: str(row["user_id"])),
    "break_glass_list": Case(_break_glass, table=accounts.BreakGlass),
    "api_keys": Case(_api_keys, table=accounts.ApiKey),
    "invitations": Case(_invitations, table=accounts.Invitation),
    "customers": Case(_customers, table=accounts.Customer),
    "store_products": Case(_store_products, table=readmodels.ProductDocument, samples={"tag": lambda: "new"}),
    "store_content_list": Case(_store_nodes, parts=lambda: {"kind": "post"}),
    "store_categories": Case(_store_terms, table=readmodels.TermDocument, samples={"taxonomy": lambda: "genre"}),
    "store_search": Case(_store_products, query={"q": "lamp"}, identify=lambda row: str(row["document"]["id"])),
}
