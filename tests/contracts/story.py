"""A story that calls every operation of the API: a shop for enamel mugs opens, sells, writes and looks after people.

What is sent and answered in it stands in the OpenAPI document as examples. Each operation is shown by its first call.
"""

from __future__ import annotations

import re
from typing import Any

import pyotp
from django.core import mail
from django.utils import timezone

from apps.accounts import tasks as accounts
from apps.accounts.access import break_glass
from apps.audit import sealing
from apps.consumers import tasks as consumers
from apps.jobs import bulk, working
from apps.kernel import isolation
from apps.tenants import models as tenants
from tests import factories
from tests.accounts import calling
from tests.contracts.telling import HOST, Person, Teller

PASSWORD = "a kettle of seven words, nearly"
NEW_PASSWORD = "eight more words about a coffee pot"
STAFF = {"email": "ada@example.com", "password": PASSWORD}


def play(teller: Teller) -> None:
    """The whole story, in an empty installation."""
    with isolation.all_tenants(reason="test"):
        tenant = _open_shop()
    visitor = Person(teller)
    owner = Person(teller, visitor("login", STAFF)["access_token"])
    owner = _look_after_oneself(visitor, owner)
    _set_up(owner)
    _define_fields(owner)
    _work_with_others(visitor, owner)
    _hand_out_keys(owner)
    goods = _fill_shelves(owner)
    _sell(owner, goods)
    pages = _write(owner)
    pages["menu"] = _lead(owner, goods, pages)
    pages["asset"] = _keep_files(owner)
    _do_much_at_once(owner, goods, pages)
    _let_read_models_follow()
    _look_around(visitor, pages)
    _shop_with_account(visitor, owner)
    _look_into_books(owner, tenant)
    _clear_away(owner, goods, pages)
    owner("logout")


def _open_shop() -> tenants.Tenant:
    """What an installation has before anybody can log in: a tenant and its owner."""
    tenant = factories.make_tenant(
        slug="kiln-and-kettle",
        name="Kiln & Kettle",
        currency="EUR",
        default_locale="en",
        locales=["de"],
        domains=[HOST],
    )
    user = factories.make_user(email=STAFF["email"], password=PASSWORD, name="Ada Lindqvist")
    factories.make_member(tenant, "owner", user)
    return tenant


def _look_after_oneself(visitor: Person, owner: Person) -> Person:
    """The account of a member of staff; gives the owner who is logged in at the end."""
    owner("me")
    owner("me_update", {"name": "Ada Lindqvist-Berg"})
    owner("email_verification_request")
    visitor("email_verify", {"token": _mailed_token()})
    visitor("password_forgotten", {"email": STAFF["email"]})
    visitor("password_reset", {"token": _mailed_token(), "password": NEW_PASSWORD})
    first, _ = (visitor("login", STAFF | {"password": NEW_PASSWORD}) for _ in range(2))
    owner = Person(owner.teller, first["access_token"])
    other = next(each for each in owner("sessions")["data"] if not each["current"])
    owner("session_revoke", session_id=other["id"])
    owner("login_history")
    owner.token = visitor("refresh", {"refresh_token": first["refresh_token"]})["access_token"]
    _use_second_factor(visitor, owner)
    change = {"current_password": NEW_PASSWORD, "new_password": PASSWORD}
    owner.token = owner("password_change", change)["access_token"]
    owner("sessions_revoke_all")
    return Person(owner.teller, visitor("login", STAFF)["access_token"])


def _use_second_factor(visitor: Person, owner: Person) -> None:
    show_as = owner.teller.show_as
    enrolment = owner("totp_enrol")
    show_as(enrolment["secret"], "JBSWY3DPEHPK3PXP")
    code = show_as(pyotp.TOTP(enrolment["secret"]).now(), "492039")
    recovery_codes = owner("totp_confirm", {"code": code})["recovery_codes"]
    for number, recovery_code in enumerate(recovery_codes):
        show_as(recovery_code, f"abcd-efgh-{number:04}")
    owner("totp")
    password = {"password": NEW_PASSWORD}
    visitor("login", STAFF | password | {"code": recovery_codes[0]})
    owner("totp_disable", password | {"code": recovery_codes[1]})


def _set_up(owner: Person) -> None:
    """The tenant itself."""
    owner("tenant_get")
    settings = {"notice_email": "shop@example.com", "comments": {"are_open": True, "closed_after_days": 36500}}
    owner("tenant_update", {"name": "Kiln & Kettle Enamelware", "settings": settings})
    owner("locale_enable", {"locale": "fr", "name": "Français"})
    owner("locale_disable", locale="fr")
    owner("module_list")
    owner("module_choose", {"enabled": True}, slug="search")


def _define_fields(owner: Person) -> None:
    """What the shop wants to know of its mugs, and of its posts for a day."""
    volume = {"type": "integer", "title": "Volume in ml", "minimum": 1, "maximum": 5000}
    definition = {"type": "object", "properties": {"volume": volume}, "required": ["volume"]}
    schema = owner("field_schema_create", {"subject": "product", "name": "Mug", "definition": definition})["id"]
    definition["properties"]["dishwasher"] = {"type": "boolean"}
    owner("field_schema_get", schema_id=schema)
    owner("field_schema_update", {"definition": definition}, schema_id=schema)
    owner("field_schema_list")
    of_posts = {"subject": "node", "name": "post", "definition": {"type": "object"}}
    owner("field_schema_delete", schema_id=owner("field_schema_create", of_posts)["id"])


def _work_with_others(visitor: Person, owner: Person) -> None:
    """Roles, invitations and members."""
    grants = [{"permission": "products:read"}, {"permission": "inventory:update"}]
    role = {"slug": "packer", "name": "Packer", "description": "Packs what was ordered.", "grants": grants}
    owner("role_create", role)
    owner("role_get", slug="packer")
    owner("role_update", {"name": "Packer and counter of mugs"}, slug="packer")
    owner("role_list", query={"limit": 1})
    owner("invite", {"email": "ben@example.com", "role": "packer"})
    token = _mailed_token()
    withdrawn = owner("invite", {"email": "cleo@example.com", "role": "editor"})
    owner("invitations", query={"limit": 2})
    owner("invitation_withdraw", invitation_id=withdrawn["id"])
    visitor("invitation_accept", {"token": token, "name": "Ben Okafor", "password": PASSWORD})
    Person(owner.teller, visitor("login", STAFF | {"email": "ben@example.com"})["access_token"])("my_permissions")
    members = owner("member_list", query={"limit": 2})["data"]
    ben = next(member["user_id"] for member in members if member["roles"] == ["packer"])
    owner("member_set_roles", {"roles": ["packer", "editor"]}, user_id=ben)
    owner("member_remove", user_id=ben)
    owner("role_delete", slug="packer")


def _hand_out_keys(owner: Person) -> None:
    key = owner("api_key_create", {"name": "Till at the market", "scopes": ["products:read", "inventory:update"]})
    rotated = owner("api_key_rotate", {"overlap_hours": 2}, key_id=key["id"])
    owner("api_keys", query={"limit": 2})
    owner("api_key_revoke", key_id=rotated["id"])


def _fill_shelves(owner: Person) -> dict[str, str]:
    """Categories, locations, a product and its variants; gives their ids."""
    owner("stock_location_create", {"code": "workshop", "name": "Workshop in Tannery Lane"})
    owner("stock_location_list")
    names = [{"locale": "en", "name": "Mugs", "description": "Enamel on steel."}, {"locale": "de", "name": "Becher"}]
    category = owner("product_category_create", {"translations": names})["id"]
    owner("product_category_get", category_id=category)
    renamed = [{"locale": "en", "name": "Mugs and cups"}, names[1]]
    owner("product_category_update", {"translations": renamed, "position": 1}, category_id=category)
    owner("product_category_list")
    product = owner("product_create", _mug(category))
    owner("product_get", product_id=product["id"])
    owner("product_update", {"tags": ["camping", "gift"], "vendor": "Kiln & Kettle"}, product_id=product["id"])
    variant = owner("variant_create", _variant("MUG-GREEN", "Green", "14.50"), product_id=product["id"])["id"]
    owner("variant_get", variant_id=variant)
    owner("variant_update", {"weight_grams": 185}, variant_id=variant)
    prices = [{"currency": "EUR", "amount": "13.00", "compare_at": "14.50"}]
    owner("variant_set_prices", {"prices": prices}, variant_id=variant)
    owner("variant_list", query={"limit": 2}, product_id=product["id"])
    owner("product_publish", product_id=product["id"])
    owner("product_list")
    operations = [
        {"op": "create", "data": {"translations": [{"locale": "en", "title": "Coffee pot"}], "variants": [{}]}},
        {"op": "publish", "id": product["id"]},
    ]
    created, _ = owner("product_bulk", {"operations": operations})["results"]
    assert "id" in created, created
    pot = created["id"]
    return {"category": category, "product": product["id"], "variant": variant, "pot": pot}


def _mug(category: str) -> dict[str, Any]:
    glaze = ({"en": "Blue", "de": "Blau"}, {"en": "Green", "de": "Grün"})
    return {
        "vendor": "Kiln and Kettle",
        "product_type": "Mug",
        "fields": {"volume": 350},
        "seo": {"en": {"title": "Enamel mug, 350 ml"}},
        "tags": ["camping"],
        "category_ids": [category],
        "translations": [
            {"locale": "en", "title": "Enamel mug", "description": "Holds 350 ml and survives a fall."},
            {"locale": "de", "title": "Emaillebecher"},
        ],
        "options": [{"names": {"en": "Glaze", "de": "Glasur"}, "values": [{"names": names} for names in glaze]}],
        "images": [{"url": "https://images.example.com/mug-blue.jpg", "alt": "A blue mug on a stump"}],
        "variants": [_variant("MUG-BLUE", "Blue", "14.50", stock=[{"quantity": 40}])],
    }


def _variant(sku: str, value: str, amount: str, **more: Any) -> dict[str, Any]:
    return {"sku": sku, "values": [value], "prices": [{"currency": "EUR", "amount": amount}]} | more


def _sell(owner: Person, goods: dict[str, str]) -> None:
    """Stock, reservations and a collection."""
    variant, product = goods["variant"], goods["product"]
    owner("inventory_set", {"quantity": 24, "low_stock_threshold": 5, "reason": "Counted"}, variant_id=variant)
    owner("inventory_adjust", {"delta": -2, "reason": "Chipped"}, variant_id=variant)
    owner("inventory_get", variant_id=variant)
    wanted = {"variant_id": variant, "quantity": 3, "reference": "order 1001", "lifetime_seconds": 900}
    owner("reservation_commit", reservation_id=owner("reservation_create", wanted)["id"])
    owner("reservation_release", reservation_id=owner("reservation_create", wanted)["id"])
    titles = {"translations": [{"locale": "en", "title": "For the fireplace"}]}
    collection = owner("collection_create", titles)["id"]
    owner("collection_get", collection_id=collection)
    titles = {"translations": [{"locale": "en", "title": "Around the fire"}]}
    owner("collection_update", titles, collection_id=collection)
    owner("collection_add_product", {"product_id": product, "position": 0}, collection_id=collection)
    owner("collection_list")
    goods["collection"] = collection


def _write(owner: Person) -> dict[str, str]:
    """Tags, categories and pages of the site; gives their ids."""
    tag = owner("tag_create", {"translations": [{"locale": "en", "name": "Care"}]})["id"]
    owner("tag_get", tag_id=tag)
    owner("tag_update", {"translations": [{"locale": "de", "name": "Pflege"}]}, tag_id=tag)
    owner("tag_list")
    category = owner("content_category_create", {"translations": [{"locale": "en", "name": "From the workshop"}]})["id"]
    owner("content_category_get", category_id=category)
    owner("content_category_update", {"position": 0}, category_id=category)
    owner("content_category_list")
    owner("node_kind_list")
    post = owner("node_create", _post(category, tag))["id"]
    owner("node_get", node_id=post)
    owner("node_update", {"author_name": "Ada"}, node_id=post)
    owner("node_publish", {"published_at": "2026-03-02T08:00:00Z"}, node_id=post)
    parent, child = (
        owner("node_create", {"kind": "page", "translations": [{"locale": "en", "title": title}]})["id"]
        for title in ("About us", "How to find us")
    )
    owner("node_move", {"parent_id": parent}, node_id=child)
    owner("node_reorder_children", {"ids": [child]}, node_id=parent)
    owner("node_list", query={"limit": 2})
    return {"tag": tag, "category": category, "post": post, "parent": parent, "child": child}


def _post(category: str, tag: str) -> dict[str, Any]:
    return {
        "kind": "post",
        "translations": [
            {"locale": "en", "title": "How to look after enamel", "excerpt": "Warm water, and no steel wool."},
            {"locale": "de", "title": "Wie man Emaille pflegt"},
        ],
        "bodies": [{"locale": "en", "format": "markdown", "body": "Let it cool down **before** you wash it."}],
        "category_ids": [category],
        "tag_ids": [tag],
        "seo": {"en": {"description": "How enamel stays new for a hundred years."}},
        "author_name": "Ada Lindqvist",
        "old_paths": ["/2019/05/enamel-care"],
    }


def _keep_files(owner: Person) -> str:
    """A document comes into the library and is described; gives its id."""
    form = {"file": "%PDF-1.4 the prices of this summer", "folder": "lists", "alt": "Our prices"}
    asset = str(owner("asset_upload", form)["id"])
    owner("asset_get", asset_id=asset)
    texts = [{"locale": "en", "alt": "Our prices", "caption": "As of June"}, {"locale": "de", "alt": "Unsere Preise"}]
    owner("asset_update", {"name": "Prices.pdf", "translations": texts}, asset_id=asset)
    owner("asset_list", query={"folder": "lists"})
    owner("asset_usage", asset_id=asset)
    return asset


def _lead(owner: Person, goods: dict[str, str], pages: dict[str, str]) -> str:
    """The menu of the site; gives its id."""
    items = [
        {"titles": {"en": "Mugs", "de": "Becher"}, "target": {"type": "category", "id": goods["category"]}},
        {"target": {"type": "node", "id": pages["post"]}},
        {
            "titles": {"en": "Follow us"},
            "children": [{"titles": {"en": "Photos"}, "url": "https://photos.example.com"}],
        },
    ]
    menu = owner("menu_create", {"name": "Main menu", "location": "header", "items": items})
    owner("menu_get", menu_id=menu["id"])
    owner("menu_update", {"name": "Top of each page"}, menu_id=menu["id"])
    owner("menu_move_item", {"item_id": menu["items"][1]["id"], "position": 0}, menu_id=menu["id"])
    owner("menu_list")
    return str(menu["id"])


def _do_much_at_once(owner: Person, goods: dict[str, str], pages: dict[str, str]) -> None:
    """Bulk requests, the jobs that large ones become, and exports."""
    prices = {"prices": [{"currency": "EUR", "amount": "12.50", "compare_at": "14.50"}]}
    variant, product = goods["variant"], goods["product"]
    owner("variant_set_prices_bulk", {"operations": [{"op": "set", "id": variant, "if_match": "*", "data": prices}]})
    counted = {"quantity": 20, "reason": "Counted again"}
    owner("inventory_bulk", {"operations": [{"op": "set", "id": variant, "data": counted}]})
    owner("node_bulk", {"operations": [{"op": "publish", "id": pages["parent"]}]})
    wanted = [goods["collection"].replace("coll_", "prod_"), *[product] * bulk.AT_ONCE]
    many = {"operations": [{"op": "publish", "id": each} for each in wanted]}
    job = owner("product_bulk", many)["id"]
    with isolation.all_tenants(reason="test"):
        working.advance()
    owner("job_get", job_id=job)
    owner("job_results", job_id=job)
    owner("job_errors", job_id=job)
    owner("job_cancel", job_id=owner("product_bulk", many)["id"])
    owner("job_list", query={"limit": 2})
    owner("product_export_csv", query={"status": "published"})
    owner("product_export_ndjson", query={"status": "published"})
    owner("node_export_csv", query={"kind": "page"})
    owner("node_export_ndjson", query={"kind": "page"})


def _let_read_models_follow() -> None:
    with isolation.all_tenants(reason="test"):
        consumers.drain()


def _look_around(visitor: Person, pages: dict[str, str]) -> None:
    """The storefront, which anybody reads."""
    visitor("store_products")
    visitor("store_product", handle="enamel-mug")
    visitor("store_categories")
    visitor("store_content_list", kind="post")
    visitor("store_content", kind="post", slug="how-to-look-after-enamel")
    visitor("store_menu", location="header")
    visitor("store_asset", asset_id=pages["asset"])
    visitor("store_redirect", query={"path": "/2019/05/enamel-care/"})
    visitor("store_search", query={"q": "mug"})


def _shop_with_account(visitor: Person, owner: Person) -> None:
    """A customer's own account, and what the shop sees of it."""
    login = {"email": "dora@example.com", "password": PASSWORD}
    visitor("account_register", login | {"name": "Dora Klein"})
    visitor("account_verify", {"token": _mailed_token()})
    issued = visitor("account_login", login)
    customer = Person(visitor.teller, issued["access_token"])
    customer("account_me")
    customer("account_update", {"name": "Dora Klein-Moreau"})
    _discuss(visitor, owner, customer)
    customer.token = visitor("account_refresh", {"refresh_token": issued["refresh_token"]})["access_token"]
    visitor("account_login", login)
    other = next(each for each in customer("account_sessions")["data"] if not each["current"])
    customer("account_session_revoke", session_id=other["id"])
    change = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    customer.token = customer("account_password_change", change)["access_token"]
    customer("account_sessions_revoke_all")
    visitor("account_password_forgotten", {"email": login["email"]})
    visitor("account_password_reset", {"token": _mailed_token(), "password": PASSWORD})
    customer.token = visitor("account_login", login)["access_token"]
    customer("account_logout")
    shown = owner("customers")["data"][0]["id"]
    owner("customer_get", customer_id=shown)
    owner("customer_update", {"is_active": False}, customer_id=shown)


def _discuss(visitor: Person, owner: Person, customer: Person) -> None:
    """A customer comments on a post, and the editors look at it."""
    post = visitor("store_content", kind="post", slug="how-to-look-after-enamel")["id"]
    comments = [
        customer("account_comment_write", {"parent_id": post, "text": text})["id"]
        for text in ("And a drop of vinegar for stains.", "Cheap watches here", "First!", "Buy likes")
    ]
    customer("account_comments", query={"limit": 2})
    owner("comment_list", query={"state": "pending", "limit": 2})
    owner("comment_approve", comment_id=comments[0])
    owner("comment_spam", comment_id=comments[1])
    owner("comment_reject", comment_id=comments[2])
    owner("comment_bulk", {"operations": [{"op": "spam", "id": comments[3]}]})
    _let_read_models_follow()
    visitor("store_comments", kind="post", slug="how-to-look-after-enamel")


def _look_into_books(owner: Person, tenant: tenants.Tenant) -> None:
    """The audit log, and who of the platform's staff was here."""
    with isolation.all_tenants(reason="test"):
        staff = factories.make_user(email="support@example.com", password=None, name="Support", is_staff=True)
        staff.user_permissions.add(calling.platform_permission("accounts.open_break_glass"))
        with factories.at_work(tenant):
            opening = break_glass.Opening(reason="The owner cannot log in", ticket="T-4711", write=False)
            break_glass.open_access(user=staff, opening=opening, now=timezone.now())
        sealing.drain(now=timezone.now)
    owner("break_glass_list")
    few = {"action": "commerce.product.published"}
    entry = owner("audit_list", query={"action": "commerce.", "limit": 2})["data"][0]["id"]
    owner("audit_get", entry_id=entry)
    owner("audit_export_csv", query=few)
    owner("audit_export_ndjson", query=few)


def _clear_away(owner: Person, goods: dict[str, str], pages: dict[str, str]) -> None:
    """Everything that takes something away again."""
    owner("asset_delete", asset_id=pages["asset"])
    owner("menu_delete", menu_id=pages["menu"])
    owner("node_share", {"email": "ada@example.com", "action": "read"}, node_id=pages["post"])
    shared = owner("node_share_list", node_id=pages["post"])["data"][0]["user_id"]
    owner("node_unshare", node_id=pages["post"], user_id=shared)
    owner("node_translation_remove", node_id=pages["post"], locale="de")
    owner("node_unpublish", node_id=pages["post"])
    owner("node_archive", node_id=pages["post"])
    owner("node_delete", node_id=pages["child"])
    owner("content_category_delete", category_id=pages["category"])
    owner("tag_delete", tag_id=pages["tag"])
    owner("collection_remove_product", collection_id=goods["collection"], product_id=goods["product"])
    owner("collection_delete", collection_id=goods["collection"])
    owner("variant_delete", variant_id=goods["variant"])
    owner("product_unpublish", product_id=goods["product"])
    owner("product_archive", product_id=goods["product"])
    owner("product_delete", product_id=goods["pot"])
    owner("product_update", {"category_ids": []}, product_id=goods["product"])
    owner("product_category_delete", category_id=goods["category"])


def _mailed_token() -> str:
    """The token of the mail that is sent now."""
    with isolation.all_tenants(reason="test"):
        accounts.send_mails()
    found = re.search(r"Token: (rts_\S+)", str(mail.outbox[-1].body))
    assert found
    return found[1]
