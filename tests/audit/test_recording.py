"""What is written down, for whom, and when not."""

from __future__ import annotations

import io
import uuid
from typing import Any

import orjson
import pytest
from django.db import transaction
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from apps.accounts import services as accounts
from apps.audit import hashing, models, recording, redacting
from apps.commerce import services as commerce
from apps.consumers import operations
from apps.kernel import context, errors, isolation, validation
from apps.outbox.append import unit_of_work
from apps.tenants import models as tenants
from apps.tenants import services as tenant_services
from tests import factories
from tests.audit import writing
from tests.commerce import making as goods
from tests.content import making as pages

SOMEBODY = uuid.UUID(int=11)


@pytest.fixture
def tenant(db: None) -> tenants.Tenant:
    return factories.make_tenant(currency="EUR")


def told(tenant: tenants.Tenant | None, action: str) -> list[dict[str, Any]]:
    """The changes of each entry of that action."""
    return [
        entry.read_changes() for entry in writing.entries_of(tenant.id if tenant else None) if entry.action == action
    ]


# --- If and only if ----------------------------------------------------------------------------------------------


def test_an_entry_outside_a_transaction_is_refused(committed_db: None) -> None:
    with pytest.raises(recording.TransactionRequired):
        recording.record(action="shelf.dusted", tenant_id=SOMEBODY, object_type="shelf")


def test_a_change_that_is_rolled_back_leaves_no_entry(committed_db: None) -> None:
    tenant = factories.make_tenant()
    before = writing.actions_of(tenant.id)

    with pytest.raises(errors.ValidationFailed), factories.at_work(tenant), unit_of_work():
        goods.make_product()
        raise errors.ValidationFailed("changed my mind")

    assert writing.actions_of(tenant.id) == before


def test_a_failed_inner_block_takes_its_entries_with_it(tenant: tenants.Tenant) -> None:
    with factories.at_work(tenant), unit_of_work():
        goods.make_product(title="Kept")
        with pytest.raises(errors.NotFound), unit_of_work(savepoint=True):
            goods.make_product(title="Dropped")
            raise errors.NotFound("no")

    [created] = told(tenant, "commerce.product.created")
    assert created["translations"][1][0]["title"] == "Kept"


def test_an_entry_in_a_savepoint_of_somebody_else_goes_with_it(tenant: tenants.Tenant) -> None:
    with unit_of_work():
        with transaction.atomic():
            writing.write(tenant.id, action="shelf.dropped")
            transaction.set_rollback(True)
        writing.write(tenant.id, action="shelf.kept")

    assert writing.actions_of(tenant.id)[-1] == "shelf.kept"
    assert "shelf.dropped" not in writing.actions_of(tenant.id)


def test_what_changes_nothing_is_not_told(tenant: tenants.Tenant) -> None:
    with factories.at_work(tenant):
        product = goods.make_product(vendor="Acme")
        goods.update(product.id, vendor="Acme")

    assert told(tenant, "commerce.product.updated") == []


def test_one_statement_writes_what_one_transaction_did(tenant: tenants.Tenant, django_assert_num_queries: Any) -> None:
    entries = [
        {"action": "shelf.dusted", "tenant_id": tenant.id, "object_type": "shelf", "object_id": number}
        for number in range(50)
    ]

    with django_assert_num_queries(3), unit_of_work():  # a savepoint and its release around it
        for entry in entries:
            recording.record(**entry)


# --- Who and what ------------------------------------------------------------------------------------------------


def test_an_entry_tells_who_where_from_and_by_what_right(tenant: tenants.Tenant) -> None:
    correlation_id = uuid.uuid4()
    with (
        context.use(
            actor="user:ann", correlation_id=correlation_id, authority="break_glass:7", client_address="192.0.2.1"
        ),
        transaction.atomic(),
    ):
        recording.record(
            action="shelf.moved",
            tenant_id=tenant.id,
            object_type="shelf",
            object_id=7,
            before={"room": "A", "height": 2},
            after={"room": "B", "height": 2},
        )

    entry = writing.entries_of(tenant.id)[-1]
    assert (entry.actor, entry.authority, entry.correlation_id) == ("user:ann", "break_glass:7", correlation_id)
    assert (entry.action, entry.object_type, entry.object_id) == ("shelf.moved", "shelf", "7")
    assert entry.read_changes() == {"room": ["A", "B"]}
    with isolation.to_tenant(tenant.id):
        assert models.Personal.objects.get(entry_id=entry.id).client_address == "192.0.2.1"


def test_products_variants_prices_and_stock_are_told_with_before_and_after(tenant: tenants.Tenant) -> None:
    with factories.at_work(tenant):
        product = goods.make_product(vendor="Old")
        variant_id = product.variants[0].row.id
        goods.update(product.id, vendor="New")
        goods.update_variant(variant_id, sku="S-1")
        goods.set_prices(variant_id, {"currency": "EUR", "amount": "21.00"})
        goods.adjust(variant_id, 5)
        commerce.publish_product(product_id=product.id, now=goods.NOW)
        commerce.archive_product(product_id=product.id, now=goods.NOW)
        commerce.delete_product(product_id=product.id)

    assert told(tenant, "commerce.product.updated") == [{"vendor": ["Old", "New"]}]
    assert told(tenant, "commerce.variant.updated") == [{"id": [None, str(variant_id)], "sku": [None, "S-1"]}]
    [price] = told(tenant, "commerce.price.updated")
    assert (price["amount"], price["currency"]) == ([1990, 2100], [None, "EUR"])
    [stock] = told(tenant, "commerce.inventory.updated")
    assert stock["quantity"] == [0, 5]
    [published] = told(tenant, "commerce.product.published")
    assert published["status"] == ["draft", "published"]
    [deleted] = told(tenant, "commerce.product.deleted")
    assert (deleted["vendor"], deleted["status"]) == (["New", None], ["archived", None])


def test_categories_and_collections_are_told(tenant: tenants.Tenant) -> None:
    with factories.at_work(tenant):
        category = goods.make_category("Shoes")
        changes = validation.parse(commerce.CategoryChanges, {"is_active": False})
        commerce.update_category(category_id=category.id, changes=changes)
        commerce.delete_category(category_id=category.id)

    assert told(tenant, "commerce.category.updated") == [{"is_active": [True, False]}]
    [deleted] = told(tenant, "commerce.category.deleted")
    assert deleted["translations"][0][0]["name"] == "Shoes"


def test_content_is_told_with_before_and_after_and_without_what_follows_from_it(tenant: tenants.Tenant) -> None:
    with factories.at_work(tenant):
        node = pages.make_node("Old title", bodies=[{"locale": "en", "body": "Old text"}])
        pages.make_node("A sibling")
        pages.update(node, translations=[{"locale": "en", "title": "New title", "slug": "new"}])
        pages.update(node, bodies=[{"locale": "en", "body": "New text"}], author_name="Ann")
        tag = pages.make_tag("red")
        pages.update(node, tag_ids=[tag.id])
        pages.services.delete_tag(tag_id=tag.id)
        pages.services.move_node(node_id=node.id, position=1)
        pages.services.delete_node(node_id=node.id)

    [title] = told(tenant, "content.translation.updated")
    assert title | {"slug": []} == {"locale": [None, "en"], "title": ["Old title", "New title"], "slug": []}
    [body] = told(tenant, "content.body.updated")
    assert body["body"] == ["Old text", "New text"]
    assert told(tenant, "content.node.updated") == [{"author_name": ["", "Ann"]}]
    assert [entry["position"] for entry in told(tenant, "content.node.moved")] == [[0, 2]]
    [deleted] = told(tenant, "content.node.deleted")
    assert deleted["titles"] == [{"en": "New title"}, None]
    actions = writing.actions_of(tenant.id)
    assert actions.count("content.tag.attached") == 1
    assert not [action for action in actions if "redirect" in action or action == "content.tag.detached"]


def test_tenants_domains_and_locales_are_told_to_the_tenant(tenant: tenants.Tenant) -> None:
    tenant_services.update_tenant(tenant=tenant, changes=tenant_services.TenantChanges(name="Renamed"))
    tenant_services.add_domain(tenant=tenant, host="new.test")
    tenant_services.remove_domain(tenant=tenant, host="new.test")
    tenant_services.disable_locale(tenant=tenant, locale="de")

    [renamed] = told(tenant, "tenants.tenant.updated")
    assert renamed["name"][1] == "Renamed"
    assert told(tenant, "tenants.domain.added")[-1] == {"host": [None, "new.test"]}
    assert told(tenant, "tenants.domain.removed") == [{"host": ["new.test", None]}]
    assert told(tenant, "tenants.locale.disabled") == [{"locale": ["de", None]}]


def test_roles_and_logins_are_told_without_a_word_of_the_password(tenant: tenants.Tenant, client: Client) -> None:
    user = factories.make_user()
    accounts.grant_role(user=user, tenant=tenant, role="editor")
    accounts.grant_role(user=user, tenant=tenant, role="owner")

    def log_in(email: str, password: str) -> Any:
        credentials = {"email": email, "password": password}
        return client.post("/api/v1/auth/token", credentials, content_type="application/json")

    issued = log_in(user.email, factories.PASSWORD).json()
    session = str(user.sessions.get().pk)
    assert log_in(user.email, "wr0ng-canary").status_code == 401
    assert log_in(user.email, "wr0ng-canary").status_code == 429
    assert log_in("canary@nowhere.test", "wr0ng-canary").status_code == 401
    client.post("/api/v1/auth/logout", headers={"Authorization": f"Bearer {issued['access_token']}"})

    [added] = told(tenant, "accounts.member.added")
    [changed] = told(tenant, "accounts.member.roles_changed")
    assert (added["roles"], changed["roles"]) == ([None, ["editor"]], [["editor"], ["owner"]])
    platform = [(entry.action, entry.object_id) for entry in writing.entries_of(None)]
    assert platform[-5:] == [
        ("accounts.login.succeeded", str(user.pk)),
        ("accounts.login.failed", str(user.pk)),
        ("accounts.login.locked_out", str(user.pk)),
        ("accounts.login.failed", "unknown"),
        ("accounts.session.revoked", str(user.pk)),
    ]
    ended = writing.entries_of(None)[-1]
    assert (ended.actor, ended.authority) == (f"user:{user.pk}", f"token:{session}")
    assert ended.read_changes() == {"session": [None, session], "because": [None, "logout"]}
    with isolation.all_tenants(reason="test"):
        stored = repr([entry.__dict__ for entry in models.Entry.objects.all()])
        stored += repr([row.changes for row in models.Personal.objects.all()])
    for secret in ("canary", issued["access_token"], issued["refresh_token"], user.email, factories.PASSWORD):
        assert secret not in stored


def test_what_operators_do_to_consumers_is_told_in_both_places(db: None) -> None:
    with context.use(actor="user:ann"):
        operations.pause(consumer="products", reason="to look into it")

    entry = writing.entries_of(None)[-1]
    assert (entry.action, entry.object_id, entry.actor) == ("events.consumer.pause", "products", "user:ann")
    assert entry.read_changes()["reason"] == [None, "to look into it"]
    assert operations.models.OperatorAction.objects.get().reason == "to look into it"


# --- Runs --------------------------------------------------------------------------------------------------------


def test_an_import_is_told_as_one(tenant: tenants.Tenant) -> None:
    from django.core.management import call_command

    before = len(writing.entries_of(tenant.id))
    shop = "rustok/demo/shop.csv"
    call_command("import_shopify", shop, tenant=tenant.slug, dry_run=True, quiet=True, stdout=io.StringIO())
    assert len(writing.entries_of(tenant.id)) == before

    call_command("import_shopify", shop, tenant=tenant.slug, quiet=True, stdout=io.StringIO())

    started, finished = writing.entries_of(tenant.id)[before:]
    assert (started.action, finished.action) == ("commerce.import.started", "commerce.import.finished")
    assert finished.object_id == "shop.csv"
    assert finished.actor == "command:import_shopify"
    assert finished.read_changes()["actions"][1]["commerce.product.created"] == 12
    assert finished.read_changes()["products"][1]["created"] == 12


def test_a_site_is_told_as_one(tenant: tenants.Tenant) -> None:
    from django.core.management import call_command

    before = len(writing.entries_of(tenant.id))

    call_command("import_wordpress", "rustok/demo/site.xml", tenant=tenant.slug, quiet=True, stdout=io.StringIO())

    actions = [entry.action for entry in writing.entries_of(tenant.id)[before:]]
    assert actions == ["content.import.started", "content.import.finished"]


def test_a_run_that_fails_says_so_and_what_it_had_done(tenant: tenants.Tenant) -> None:
    before = len(writing.entries_of(tenant.id))

    with (
        pytest.raises(KeyboardInterrupt),
        recording.run(action="shelf.sweep", tenant_id=tenant.id, object_type="room", object_id="A"),
    ):
        writing.write(tenant.id, 2)
        with pytest.raises(KeyError), unit_of_work():
            recording.record(action="shelf.undone", tenant_id=tenant.id, object_type="shelf")
            raise KeyError
        with transaction.atomic():
            recording.record(action="elsewhere.touched", tenant_id=None, object_type="shelf")
        raise KeyboardInterrupt

    started, stopped = writing.entries_of(tenant.id)[before:]
    assert (started.action, stopped.action) == ("shelf.sweep.started", "shelf.sweep.stopped")
    assert stopped.read_changes() == {
        "actions": [None, {"shelf.dusted": 2}],
        "stopped_by": [None, "KeyboardInterrupt"],
    }
    assert writing.actions_of(None)[-1] == "elsewhere.touched"


# --- Secrets and what is personal --------------------------------------------------------------------------------

CANARY = "canary-7d1f"


@pytest.mark.parametrize(
    "fields",
    [
        {"password": CANARY},
        {"new_password": CANARY},
        {"apiKey": CANARY},
        {"metadata": {"payment": {"secret-key": CANARY}}},
        {"metadata": [{"Authorization": CANARY}]},
        {"note": f"use rtk_{CANARY}0123456789abcdef"},
        {"note": f"use rtr_{CANARY}0123456789abcdef"},
        {"note": f"follow /reset#rts_{CANARY}0123456789abcdef"},
        {"note": f"eyJhbGciOiJIUzI1NiJ9.eyJ{CANARY}.{CANARY}"},
        {"webhook": f"https://user:{CANARY}@hooks.test/in"},
        {"pin": CANARY},
    ],
)
def test_what_looks_secret_is_covered(tenant: tenants.Tenant, fields: dict[str, Any]) -> None:
    with transaction.atomic():
        recording.record(
            action="shelf.locked",
            tenant_id=tenant.id,
            object_type="shelf",
            before=fields,
            after=dict.fromkeys(fields, "x"),
        )
        recording.record(action="shelf.locked", tenant_id=tenant.id, object_type="shelf", after=fields)

    for entry in writing.entries_of(tenant.id)[-2:]:
        assert CANARY not in entry.changes
        assert redacting.REDACTED in entry.changes


def test_secrets_by_the_callers_word_are_covered_and_their_change_shows(tenant: tenants.Tenant) -> None:
    with transaction.atomic():
        recording.record(
            action="door.locked",
            tenant_id=tenant.id,
            object_type="door",
            before={"combination": CANARY, "colour": "red"},
            after={"combination": "other", "colour": "red"},
            redact={"combination", "colour"},
        )

    entry = writing.entries_of(tenant.id)[-1]
    assert entry.read_changes() == {"combination": [redacting.REDACTED, redacting.REDACTED]}


def test_a_secret_in_the_metadata_of_a_product_is_covered(tenant: tenants.Tenant) -> None:
    with factories.at_work(tenant):
        product = goods.make_product(metadata={"supplier": {"api_key": CANARY}})
        goods.update(product.id, metadata={"supplier": {"api_key": f"{CANARY}-2", "name": "Acme"}})

    assert CANARY not in "".join(entry.changes for entry in writing.entries_of(tenant.id))
    [changed] = told(tenant, "commerce.product.updated")
    assert changed["metadata"][1] == {"supplier": {"api_key": redacting.REDACTED, "name": "Acme"}}


def test_personal_values_are_kept_apart(tenant: tenants.Tenant) -> None:
    with transaction.atomic():
        recording.record(
            action="accounts.user.updated",
            tenant_id=tenant.id,
            object_type="user",
            before={"email": "ann@old.test"},
            after={"email": "ann@new.test"},
            personal={"email"},
        )

    entry = writing.entries_of(tenant.id)[-1]
    assert entry.read_changes() == {"email": [redacting.PERSONAL, redacting.PERSONAL]}
    with isolation.to_tenant(tenant.id):
        apart = models.Personal.objects.get(entry_id=entry.id)
    assert orjson.loads(apart.changes) == {"email": ["ann@old.test", "ann@new.test"]}
    assert entry.personal_digest


def test_long_names_within_values_are_kept_by_their_fingerprint() -> None:
    shown, _ = redacting.difference({}, {"metadata": {"k" * 5_000: 1, "k" * 5_001: 2, "api_key" * 1_000: "secret"}})

    [_, after] = shown["metadata"]
    assert sorted(map(str, after.values())) == ["1", "2", redacting.REDACTED]
    assert all(len(name) < 300 for name in after)


def test_long_values_are_kept_by_their_fingerprint() -> None:
    shown, _ = redacting.difference({"body": "a" * 5_000}, {"body": "b" * 5_000, "ids": list(range(1_000))})

    assert shown["body"][0]["length"] == 5_000
    assert shown["body"][0]["sha256"] != shown["body"][1]["sha256"]
    assert shown["ids"][1]["items"] == 1_000
    assert len(orjson.dumps(shown)) < 2_000


@pytest.mark.parametrize("name", ["handle", "sku", "pinned", "shipping", "keyboard", "title", "author_name", "option"])
def test_ordinary_names_are_shown(name: str) -> None:
    assert redacting.difference({}, {name: "x"})[0] == {name: [None, "x"]}


# --- The hash ----------------------------------------------------------------------------------------------------

PARTS = st.lists(st.binary(max_size=6), max_size=5)


@given(PARTS, PARTS)
def test_no_two_lists_of_parts_have_the_same_bytes(one: list[bytes], other: list[bytes]) -> None:
    assert (hashing.joined(one) == hashing.joined(other)) == (one == other)


@given(
    st.dictionaries(
        st.text(max_size=5),
        st.recursive(
            st.none()
            | st.booleans()
            | st.integers(-(2**63), 2**63 - 1)
            | st.floats(allow_nan=False)
            | st.text(max_size=9),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
            max_leaves=6,
        ),
        max_size=4,
    )
)
def test_any_value_is_written_as_json_that_reads_back_the_same(after: dict[str, Any]) -> None:
    shown, _ = redacting.difference({}, after)

    text = hashing.canonical(shown)

    assert hashing.canonical(orjson.loads(text)) == text


def test_an_entry_read_back_has_the_hash_it_was_written_with(tenant: tenants.Tenant) -> None:
    writing.write(tenant.id)

    entry = writing.entries_of(tenant.id)[-1]

    fields = ("id", "tenant_id", "occurred_at", "actor", "authority", "action", "object_type", "object_id", "changes")
    again = hashing.of_entry(
        **{name: getattr(entry, name) for name in fields},
        correlation_id=entry.correlation_id,
        personal_digest=bytes(entry.personal_digest),
    )
    assert again == bytes(entry.hash)
