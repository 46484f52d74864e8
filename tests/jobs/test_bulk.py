"""A bulk request does each of its operations as the single endpoint would, and none of them harms another."""

from __future__ import annotations

import dataclasses
import threading
import uuid
from typing import Any

import pytest
from django.db import connection
from django.db.models import Model

from apps.commerce import bulk as commerce_bulk
from apps.commerce import models as commerce
from apps.commerce import services
from apps.jobs import bulk
from apps.kernel import ids
from apps.tenants import models, scope
from tests import factories
from tests.accounts import calling
from tests.commerce import making
from tests.jobs.asking import PATH, made, new


@pytest.fixture
def tenant(db: None) -> models.Tenant:
    return factories.make_tenant(default_locale="en", currency="EUR")


@pytest.fixture
def owner(tenant: models.Tenant) -> calling.Caller:
    return calling.make_caller(tenant, "owner")


def ask(caller: calling.Caller, *operations: Any, path: str = PATH, **headers: str) -> Any:
    answer = caller.call("POST", path, {"operations": list(operations)}, **headers)
    assert answer.status_code == 200, answer.content
    return answer.json()


def codes(answer: Any) -> list[str | None]:
    return [result.get("problem", {}).get("code") for result in answer["results"]]


def count(tenant: models.Tenant, model: type[Model] = commerce.Product) -> int:
    with factories.at_work(tenant):
        return model._default_manager.count()


def test_each_operation_is_what_its_endpoint_does_with_the_same_events(
    tenant: models.Tenant, owner: calling.Caller
) -> None:
    shown, hidden, old, gone, changed = (made(tenant, title=f"Product {number}") for number in range(5))
    with factories.at_work(tenant):
        services.publish_product(product_id=ids.decode("prod", hidden), now=making.NOW)
        before = len(making.events())

    answer = ask(
        owner,
        {"op": "publish", "id": shown},
        {"op": "unpublish", "id": hidden},
        {"op": "archive", "id": old},
        {"op": "delete", "id": gone, "if_match": "*"},
        {"op": "update", "id": changed, "if_match": 1, "data": {"vendor": "Acme"}},
        new(),
    )

    assert (answer["succeeded"], answer["failed"]) == (6, 0)
    assert [result["index"] for result in answer["results"]] == list(range(6))
    assert [result["status"] for result in answer["results"]] == [200, 200, 200, 204, 200, 201]
    assert [result["id"] for result in answer["results"][:5]] == [shown, hidden, old, gone, changed]
    assert (
        owner.call("GET", f"products/{answer['results'][5]['id']}").json()["translations"][0]["title"] == "Blue Shoes"
    )
    assert owner.call("GET", f"products/{changed}").json()["vendor"] == "Acme"
    with factories.at_work(tenant):
        names = [name for name, _ in making.events()[before:]]
    assert names == [f"product.{what}" for what in (
        "published", "unpublished", "archived", "deleted", "updated", "created",
    )]  # fmt: skip


def test_a_bad_operation_fails_alone_and_its_pointer_leads_into_the_body(
    tenant: models.Tenant, owner: calling.Caller
) -> None:
    nobodys = ids.encode("prod", uuid.uuid4())
    sku = {"variants": [making.variant_fields(sku="A-1")]}

    answer = ask(
        owner,
        new("First", **sku),
        {"op": "publsh", "id": nobodys},
        {"op": "publish", "id": nobodys},
        {"op": "publish", "id": "var_1"},
        {"op": "publish", "id": nobodys, "data": {}},
        "publish",
        new("Second", **sku),
        {"op": "create", "data": {"translations": [{"locale": "en", "title": ""}]}},
        {"op": "create", "data": making.product_fields("x\x00y")},
        new("Third"),
    )

    assert (answer["succeeded"], answer["failed"]) == (2, 8)
    assert codes(answer) == [
        None, "validation_failed", "product_not_found", "validation_failed", "validation_failed", "validation_failed",
        "duplicate_sku", "validation_failed", "validation_failed", None,
    ]  # fmt: skip
    problems = [result.get("problem", {}).get("errors", [{}])[0] for result in answer["results"]]
    assert 'Did you mean "publish"?' in problems[1]["detail"]
    assert [problem.get("pointer") for problem in problems] == [
        None, "/operations/1/op", None, "/operations/3/id", "/operations/4/data", "/operations/5",
        "/operations/6/data/variants/0/sku", "/operations/7/data/translations/0/title",
        "/operations/8/data/translations/0/title", None,
    ]  # fmt: skip
    assert all(result["status"] == result["problem"]["status"] for result in answer["results"] if "problem" in result)
    assert count(tenant) == 2


def test_what_fails_half_way_leaves_nothing_behind(
    tenant: models.Tenant, owner: calling.Caller, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    perform = commerce_bulk.CreateProduct.perform

    def break_afterwards(operation: commerce_bulk.CreateProduct, **options: Any) -> str:
        found = perform(operation, **options)
        if operation.data.vendor == "broken":
            raise RuntimeError("a fault of the program")
        return found

    monkeypatch.setattr(commerce_bulk.CreateProduct, "perform", break_afterwards)

    answer = ask(owner, new("First"), new("Second", vendor="broken"), new("Third"))

    assert codes(answer) == [None, "internal_error", None]
    assert "fault" not in str(answer)
    assert count(tenant) == 2
    with factories.at_work(tenant):
        assert making.event_names() == ["product.created", "product.created"]


def test_an_edit_needs_the_version_it_replaces_and_counts_those_of_the_same_request(
    tenant: models.Tenant, owner: calling.Caller
) -> None:
    product = made(tenant)

    def to(vendor: str, **versions: Any) -> dict[str, Any]:
        return {"op": "update", "id": product, "data": {"vendor": vendor}, **versions}

    answer = ask(
        owner, to("A"), to("B", if_match=1), to("C", if_match=1), to("D", if_match=2), to("E", if_match="v3"),
        {"op": "publish", "id": product, "if_match": 2}, {"op": "publish", "id": product, "if_match": 3},
        {"op": "delete", "id": product},
    )  # fmt: skip

    assert codes(answer) == [
        "precondition_required", None, "precondition_failed", None, "validation_failed", "precondition_failed", None,
        "precondition_required",
    ]  # fmt: skip
    assert answer["results"][2]["problem"]["current_version"] == 2
    read = owner.call("GET", f"products/{product}")
    assert (read.json()["vendor"], read.json()["status"], read["ETag"]) == ("D", "published", '"v4"')


def test_each_operation_asks_for_its_own_permission(tenant: models.Tenant, owner: calling.Caller) -> None:
    grants = [{"permission": f"products:{action}"} for action in ("read", "list", "update")]
    owner.call("POST", "roles", {"slug": "arranger", "name": "Arranger", "grants": grants})
    arranger = calling.make_caller(tenant, "arranger")
    product = made(tenant)

    answer = ask(
        arranger, {"op": "publish", "id": product}, new(), {"op": "archive", "id": product},
        {"op": "delete", "id": product, "if_match": "*"},
    )  # fmt: skip

    assert codes(answer) == [None, "not_permitted", None, "not_permitted"]
    assert answer["results"][1]["problem"]["permission"] == "products:create"
    assert count(tenant) == 1


def test_another_tenants_product_is_one_that_is_not_there(tenant: models.Tenant, owner: calling.Caller) -> None:
    foreign = made(factories.make_tenant(default_locale="en", currency="EUR"))

    answer = ask(owner, {"op": "publish", "id": foreign}, {"op": "publish", "id": ids.encode("prod", uuid.uuid4())})

    assert codes(answer) == ["product_not_found", "product_not_found"]


def test_one_key_is_good_for_the_whole_request(tenant: models.Tenant, owner: calling.Caller) -> None:
    sent = {"Idempotency-Key": str(uuid.uuid4())}

    first = ask(owner, new("First"), new("Second", vendor=7), **sent)
    second = ask(owner, new("First"), new("Second", vendor=7), **sent)
    other = owner.call("POST", PATH, {"operations": [new("Third")]}, **sent)

    assert first == second
    assert count(tenant) == 1
    assert other.json()["code"] == "idempotency_key_reused"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/operations"),
        ({"operations": []}, "/operations"),
        ({"operations": {}}, "/operations"),
        ({"operations": [{}], "op": "create"}, "/op"),
    ],
)
def test_a_body_that_is_no_list_of_operations_is_refused_whole(owner: calling.Caller, body: Any, pointer: str) -> None:
    answer = owner.call("POST", PATH, body)

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)


def test_a_module_that_is_off_takes_no_operation(tenant: models.Tenant) -> None:
    with factories.at_work(tenant) as at_work, scope.use(dataclasses.replace(at_work, modules=("content",))):
        outcome = bulk.carry_out(commerce_bulk.PRODUCTS, new(), index=0, now=making.NOW)

    assert (outcome.status, outcome.problem and outcome.problem["code"]) == (404, "module_off")


@pytest.mark.usefixtures("committed_db")
def test_of_two_that_hold_what_the_other_needs_one_operation_fails_and_all_others_hold(
    tenant: models.Tenant, owner: calling.Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = made(tenant, title="One"), made(tenant, title="Other")
    publish, both_hold_one, answers = commerce_bulk.PublishProduct.perform, threading.Barrier(2), list[Any]()

    def publish_and_wait(operation: commerce_bulk.PublishProduct, **options: Any) -> str:
        found = publish(operation, **options)
        both_hold_one.wait(30)
        return found

    def send(first: str, second: str) -> None:
        try:
            answers.append(ask(owner, {"op": "publish", "id": first}, {"op": "archive", "id": second}))
        finally:
            connection.close()

    monkeypatch.setattr(commerce_bulk.PublishProduct, "perform", publish_and_wait)
    monkeypatch.setattr(bulk, "_ATTEMPTS", 1)
    threads = [threading.Thread(target=send, args=order) for order in ((one, other), (other, one))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(code or "" for answer in answers for code in codes(answer)) == ["", "", "", "overtaken"]
    with factories.at_work(tenant):
        names = making.event_names()
    assert sorted(names)[:1] + sorted(names)[3:] == ["product.archived", "product.published", "product.published"]
