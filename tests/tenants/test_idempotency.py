"""A write that is sent again has happened once and is answered as it was, whoever dies in between."""

from __future__ import annotations

import json
import signal
import threading
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from apps.commerce import models as commerce
from apps.kernel import failpoints, ids, isolation
from apps.outbox import models as outbox
from apps.tenants import idempotency, models
from tests import factories
from tests.accounts import calling
from tests.commerce import making
from tests.faults import work

TAG = {"translations": [{"locale": "en", "name": "red"}]}
KILLED_AT = [name for name in failpoints.POINTS if name.startswith(("append.", "idempotency."))]


def key() -> str:
    return str(uuid.uuid4())


@pytest.fixture
def tenant(db: None) -> models.Tenant:
    return factories.make_tenant(default_locale="en", currency="EUR")


@pytest.fixture
def owner(tenant: models.Tenant) -> calling.Caller:
    return calling.make_caller(tenant, "owner")


def written(tenant: models.Tenant) -> int:
    with factories.at_work(tenant):
        return outbox.Log.objects.count()


def adjusted(owner: calling.Caller, variant_id: uuid.UUID, **headers: str) -> Any:
    path = f"variants/{ids.encode('var', variant_id)}/inventory/adjust"
    return owner.call("POST", path, {"delta": -1}, **headers)


def test_the_second_answer_is_the_first_and_nothing_happens_again(tenant: models.Tenant, owner: calling.Caller) -> None:
    sent = {"Idempotency-Key": key()}

    first = owner.call("POST", "tags", TAG, **sent)
    events = written(tenant)
    second = owner.call("POST", "tags", TAG, **sent)

    assert (first.status_code, second.status_code) == (201, 201)
    assert first.content == second.content
    assert "Idempotent-Replayed" not in first
    assert second["Idempotent-Replayed"] == "true"
    assert written(tenant) == events


def test_other_spaces_and_another_order_are_the_same_body_and_another_word_is_not(owner: calling.Caller) -> None:
    sent = {"Idempotency-Key": key()}
    owner.call("POST", "tags", TAG, **sent)

    reordered = json.dumps({"translations": [{"name": "red", "locale": "en"}]}, indent=2)
    path = "/api/v1/admin/tags"
    same = owner.client.post(path, reordered, content_type="application/json", headers=owner.headers | sent)
    other = owner.call("POST", "tags", {"translations": [{"locale": "en", "name": "blue"}]}, **sent)

    assert same["Idempotent-Replayed"] == "true"
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


def test_a_key_is_good_for_one_caller_one_tenant_and_one_address(tenant: models.Tenant, owner: calling.Caller) -> None:
    sent = {"Idempotency-Key": key()}
    colleague = calling.make_caller(tenant, "owner")
    stranger = calling.make_caller(factories.make_tenant(default_locale="en"), "owner")
    owner.call("POST", "tags", TAG, **sent)
    blue = {"translations": [{"locale": "en", "name": "blue"}]}

    answers = [
        colleague.call("POST", "tags", blue, **sent),
        stranger.call("POST", "tags", blue, **sent),
        owner.call("POST", "content-categories", blue, **sent),
    ]

    assert [answer.status_code for answer in answers] == [201, 201, 201]
    assert not any("Idempotent-Replayed" in answer for answer in answers)


def test_who_works_for_two_tenants_is_answered_by_each_alone(tenant: models.Tenant, owner: calling.Caller) -> None:
    sent, other = {"Idempotency-Key": key()}, factories.make_tenant(default_locale="en")
    factories.make_member(other, user=owner.user)
    there = calling.Caller(other, owner.user)
    blue = {"translations": [{"locale": "en", "name": "blue"}]}

    answers = [owner.call("POST", "tags", TAG, **sent), there.call("POST", "tags", blue, **sent)]

    assert [answer.status_code for answer in answers] == [201, 201]
    assert "Idempotent-Replayed" not in answers[1]
    assert there.call("POST", "tags", blue, **sent).json() == answers[1].json()


def test_after_an_error_the_same_key_tries_again(owner: calling.Caller) -> None:
    sent = {"Idempotency-Key": key()}

    refused = owner.call("POST", "tags", {"translations": []}, **sent)
    mended = owner.call("POST", "tags", TAG, **sent)

    assert (refused.status_code, mended.status_code) == (422, 201)


def test_a_key_is_forgotten_after_a_day(
    owner: calling.Caller, tenant: models.Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = {"Idempotency-Key": key()}
    first = owner.call("POST", "tags", TAG, **sent).json()["id"]
    now = timezone.now()
    monkeypatch.setattr(timezone, "now", lambda: now + idempotency.KEPT - timedelta(minutes=1))
    kept = idempotency.forget_old(now=timezone.now())
    with factories.at_work(tenant):
        row = models.IdempotencyRecord.objects.get()
        row.created_at = now - idempotency.KEPT
        row.save()
    second = owner.call("POST", "tags", {"translations": [{"locale": "en", "name": "blue"}]}, **sent)
    monkeypatch.undo()

    assert kept == 0
    assert second.status_code == 201
    assert second.json()["id"] != first
    assert idempotency.forget_old(now=now + 3 * idempotency.KEPT) == 1


@pytest.mark.parametrize("sent", ["", " ", "x" * 256, "ключ", "a\tb"])
def test_a_key_that_cannot_be_used_is_refused(owner: calling.Caller, sent: str) -> None:
    answer = owner.call("POST", "tags", TAG, **{"Idempotency-Key": sent.encode().decode("latin-1")})

    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency_key_malformed")


def test_stock_moves_only_with_a_key(tenant: models.Tenant, owner: calling.Caller) -> None:
    with factories.at_work(tenant):
        variant = making.make_variant()
        making.count(variant.id, 5)
    path = f"/api/v1/admin/variants/{ids.encode('var', variant.id)}/inventory/adjust"

    without = owner.client.post(path, {"delta": -1}, content_type="application/json", headers=owner.headers)
    sent = {"Idempotency-Key": key()}
    twice = [adjusted(owner, variant.id, **sent), adjusted(owner, variant.id, **sent)]

    assert (without.status_code, without.json()["code"]) == (400, "idempotency_key_missing")
    assert [answer.json()["stocked"] for answer in twice] == [4, 4]


def test_what_is_shown_once_is_not_shown_again(owner: calling.Caller) -> None:
    sent = {"Idempotency-Key": key()}
    body = {"name": "Till", "scopes": ["nodes:read"]}

    first, second = (owner.call("POST", "api-keys", body, **sent) for _ in range(2))

    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json()["key"]
    assert second.json() == first.json() | {"key": None}
    with isolation.all_tenants(reason="test"):
        assert first.json()["key"].encode() not in bytes(models.IdempotencyRecord.objects.get().body)


@pytest.mark.usefixtures("committed_db")
def test_of_many_at_once_one_has_an_effect_and_the_others_hear_of_it(
    tenant: models.Tenant, owner: calling.Caller
) -> None:
    with factories.at_work(tenant):
        variant = making.make_variant()
        making.count(variant.id, 50)
    sent = {"Idempotency-Key": key()}
    answers: list[Any] = []

    def send() -> None:
        try:
            answers.append(adjusted(owner, variant.id, **sent))
        finally:
            connection.close()

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    last = adjusted(owner, variant.id, **sent)

    first = [answer for answer in answers if answer.status_code == 200 and "Idempotent-Replayed" not in answer]
    others = [answer for answer in answers if answer not in first]
    assert len(answers) == 8
    assert len(first) == 1
    for answer in others:
        if answer.status_code == 409:
            assert (answer.json()["code"], answer["Retry-After"]) == ("request_in_flight", "1")
        else:
            assert answer["Idempotent-Replayed"] == "true"
    assert (last.status_code, last.json()["stocked"]) == (200, 49)


@pytest.mark.usefixtures("committed_db")
def test_while_the_first_is_at_work_the_second_is_told_so(tenant: models.Tenant, owner: calling.Caller) -> None:
    sent = {"Idempotency-Key": key()}
    inside, go_on, answers = threading.Event(), threading.Event(), list[Any]()
    original = idempotency._keep

    def keep_slowly(*args: Any, **columns: Any) -> None:
        inside.set()
        go_on.wait(30)
        original(*args, **columns)

    def send() -> None:
        try:
            answers.append(owner.call("POST", "tags", TAG, **sent))
        finally:
            connection.close()

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(idempotency, "_keep", keep_slowly)
        first = threading.Thread(target=send)
        first.start()
        inside.wait(30)
        second = owner.call("POST", "tags", TAG, **sent)
        go_on.set()
        first.join()

    assert (second.status_code, second.json()["code"]) == (409, "request_in_flight")
    assert [answer.status_code for answer in answers] == [201]
    assert owner.call("POST", "tags", TAG, **sent)["Idempotent-Replayed"] == "true"


@pytest.mark.usefixtures("committed_db")
@pytest.mark.parametrize("failpoint", KILLED_AT)
def test_killed_anywhere_the_same_key_leads_to_exactly_one_effect(
    tenant: models.Tenant, owner: calling.Caller, failpoint: str
) -> None:
    with factories.at_work(tenant):
        variant = making.make_variant()
        making.count(variant.id, 5)
    sent = key()
    path = f"/api/v1/admin/variants/{ids.encode('var', variant.id)}/inventory/adjust"
    token = owner.headers["Authorization"].removeprefix("Bearer ")

    died = work.start("post", tenant.slug, token, sent, path, '{"delta": -1}', failpoint=failpoint)
    again = adjusted(owner, variant.id, **{"Idempotency-Key": sent})

    assert died == -signal.SIGKILL
    assert (again.status_code, again.json()["stocked"]) == (200, 4)
    assert ("Idempotent-Replayed" in again) == failpoint.endswith("after_commit")
    with factories.at_work(tenant):
        assert commerce.InventoryLevel.objects.get().stocked == 4
