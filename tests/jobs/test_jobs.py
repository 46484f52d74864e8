"""A job carries out each operation once, as whoever asked for it, whoever dies in between."""

from __future__ import annotations

import threading
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from apps.accounts import models as accounts
from apps.accounts.access import members
from apps.accounts.services import keys
from apps.audit.models import Entry
from apps.commerce import bulk as commerce_bulk
from apps.jobs import bulk, models, queries, services, tasks, working
from apps.kernel import failpoints, ids, nudges
from apps.outbox import models as outbox
from apps.tenants import models as tenants
from apps.tenants import services as tenant_services
from tests import factories
from tests.accounts import calling
from tests.commerce import making
from tests.faults import work
from tests.jobs.asking import PATH, lines, made, make_job, new, shown, titles

pytestmark = pytest.mark.usefixtures("committed_db")
KILLED_BEFORE = ["append.before_commit", "jobs.before_commit"]
KILLED_AFTER = ["append.after_commit", "jobs.after_commit"]


@pytest.fixture
def tenant(committed_db: None) -> tenants.Tenant:
    return factories.make_tenant(default_locale="en", currency="EUR")


@pytest.fixture
def owner(tenant: tenants.Tenant) -> calling.Caller:
    return calling.make_caller(tenant, "owner")


def count_jobs(tenant: tenants.Tenant) -> int:
    with factories.at_work(tenant):
        return models.Job.objects.count()


def test_more_than_a_hundred_become_a_job_that_does_them_all(tenant: tenants.Tenant, owner: calling.Caller) -> None:
    product = made(tenant)
    operations = [{"op": ("publish", "archive")[turn % 2], "id": product} for turn in range(bulk.AT_ONCE)]
    operations.append({"op": "publish", "id": "prod_x"})

    asked = owner.call("POST", PATH, {"operations": operations}, **{"X-Request-Id": str(uuid.UUID(int=7))})
    carried_out = working.advance()

    job = asked.json()
    assert asked.status_code == 202, asked.content
    assert asked["Location"] == f"/api/v1/admin/jobs/{job['id']}"
    assert (job["status"], job["kind"], job["total"], job["done"]) == ("queued", "products", 101, 0)
    assert carried_out == 101
    after = owner.call("GET", asked["Location"]).json()
    assert (after["status"], after["done"], after["failed"], after["seconds_left"]) == ("failed", 101, 1, None)
    assert after["per_second"] > 0
    assert after["expires_at"] > after["finished_at"] > after["started_at"]
    with factories.at_work(tenant):
        events = outbox.Log.objects.filter(type__startswith="commerce.product.").order_by("id")[1:]
        assert [event.type.rpartition(".")[2] for event in events] == ["published", "archived"] * 50
        assert {event.actor for event in events} == {f"user:{owner.user.pk}"}
        assert {event.correlation_id for event in events} == {uuid.UUID(int=7)}


def test_its_errors_and_results_come_line_by_line_in_the_language_of_who_asked(
    tenant: tenants.Tenant, owner: calling.Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.jobs.api.PAGE", 2)
    job = make_job(owner, new("One"), {"op": "create"}, new("Two"), "nothing", new("x\x00y"), new("Three"))

    before = lines(owner, job, "results")
    working.advance()

    errors, results = lines(owner, job, "errors"), lines(owner, job, "results")
    assert [line["index"] for line in before] == [4]  # it can't even be stored
    assert [line["index"] for line in errors] == [1, 3, 4]
    assert [line["status"] for line in results] == [201, 422, 201, 422, 422, 201]
    assert errors == [line for line in results if "problem" in line]
    assert results[0]["id"].startswith("prod_")
    problem = errors[0]["problem"]
    assert problem["title"] == "Die Eingabe ist nicht gültig"
    assert problem["errors"][0]["pointer"] == "/operations/1/data"
    assert problem["instance"] == f"/api/v1/admin/jobs/{ids.encode('job', job.id)}"
    assert problem["type"].startswith("http://x/problems/")
    assert titles(tenant) == ["One", "Two", "Three"]


def test_the_same_key_gives_the_same_job(tenant: tenants.Tenant, owner: calling.Caller) -> None:
    body = {"operations": [new("x", status="shiny")] * (bulk.AT_ONCE + 1)}
    sent = {"Idempotency-Key": str(uuid.uuid4())}

    first, second = (owner.call("POST", PATH, body, **sent) for _ in range(2))

    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json() == second.json()
    assert second["Location"] == first["Location"]
    assert second["Idempotent-Replayed"] == "true"
    assert count_jobs(tenant) == 1


def test_there_is_an_end_to_how_many_are_taken(tenant: tenants.Tenant, owner: calling.Caller) -> None:
    answer = owner.call("POST", PATH, {"operations": [0] * (bulk.AT_MOST + 1)})

    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "too_long")
    assert count_jobs(tenant) == 0


@pytest.mark.parametrize("failpoint", KILLED_AFTER)
def test_killed_after_each_commit_every_operation_has_exactly_one_effect(
    tenant: tenants.Tenant, owner: calling.Caller, failpoint: str
) -> None:
    job = make_job(owner, new("One"), new("Two"), {"op": "create"}, new("Three"))

    deaths = 0
    while work.start("jobs", failpoint=failpoint) < 0:
        deaths += 1

    assert deaths == (4 if failpoint.startswith("jobs.") else 3)
    assert titles(tenant) == ["One", "Two", "Three"]
    assert [line["index"] for line in lines(owner, job, "results")] == [0, 1, 2, 3]
    assert (shown(owner, job)["status"], shown(owner, job)["done"]) == ("failed", 4)


@pytest.mark.parametrize("failpoint", KILLED_BEFORE)
def test_killed_before_a_commit_the_next_worker_begins_with_the_same_operation(
    tenant: tenants.Tenant, owner: calling.Caller, failpoint: str
) -> None:
    job = make_job(owner, new("One"), new("Two"))

    died = [work.start("jobs", failpoint=failpoint) for _ in range(2)]
    half_way = (shown(owner, job)["status"], shown(owner, job)["done"], titles(tenant))
    working.advance()

    assert all(code < 0 for code in died)
    assert half_way == ("running", 0, [])
    assert titles(tenant) == ["One", "Two"]
    assert shown(owner, job)["status"] == "succeeded"


def test_a_job_that_kills_its_worker_each_time_is_given_up(tenant: tenants.Tenant, owner: calling.Caller) -> None:
    job, other = make_job(owner, new("One"), new("Two")), make_job(owner, new("Other"))
    with factories.at_work(tenant):
        models.Job.objects.filter(id=job.id).update(attempts=working.ATTEMPTS, done=1)

    working.advance()

    told = shown(owner, job)
    assert (told["status"], told["done"]) == ("interrupted", 1)
    assert told["reason"] == "Operation 1 hat seinen Arbeiter 5-mal angehalten."
    assert shown(owner, other)["status"] == "succeeded"
    assert titles(tenant) == ["Other"]


def test_every_failpoint_of_jobs_is_among_the_tests() -> None:
    assert {name for name in failpoints.POINTS if name.startswith("jobs.")} <= {*KILLED_BEFORE, *KILLED_AFTER}


def test_a_job_ends_before_the_next_operation_when_it_is_cancelled(
    tenant: tenants.Tenant, owner: calling.Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make_job(owner, new("One"), new("Two"), new("Three"))
    perform, answers = commerce_bulk.CreateProduct.perform, list[Any]()

    def cancel() -> None:
        try:
            answers.append(owner.call("POST", f"jobs/{ids.encode('job', job.id)}/cancel"))
        finally:
            connection.close()

    def perform_and_cancel(operation: commerce_bulk.CreateProduct, **options: Any) -> str:
        found = perform(operation, **options)
        if operation.data.translations[0].title == "Two":
            thread = threading.Thread(target=cancel)
            thread.start()
            thread.join()  # it waits for nothing that is at work
        return found

    monkeypatch.setattr(commerce_bulk.CreateProduct, "perform", perform_and_cancel)
    working.advance()
    again = owner.call("POST", f"jobs/{ids.encode('job', job.id)}/cancel")

    assert [answer.status_code for answer in answers] == [200]
    assert (shown(owner, job)["status"], shown(owner, job)["done"]) == ("cancelled", 2)
    assert titles(tenant) == ["One", "Two"]
    assert (again.status_code, again.json()["code"]) == (409, "job_finished")
    with factories.at_work(tenant):
        told = Entry.objects.filter(object_id=ids.encode("job", job.id)).order_by("id")
        assert [entry.action for entry in told] == ["jobs.job.asked", "jobs.job.cancelled"]


def test_two_workers_share_the_jobs_and_do_nothing_twice(tenant: tenants.Tenant, owner: calling.Caller) -> None:
    names = [[f"{job}-{number}" for number in range(4)] for job in range(3)]
    jobs = [make_job(owner, *map(new, each)) for each in names]

    def advance() -> None:
        try:
            working.advance()
        finally:
            connection.close()

    workers = [threading.Thread(target=advance) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    working.advance()  # each may have left one because another had it at that moment

    assert sorted(titles(tenant)) == sorted(name for each in names for name in each)
    for job, each in zip(jobs, names, strict=True):
        assert [title for title in titles(tenant) if title in each] == each
        assert shown(owner, job)["status"] == "succeeded"


def test_operations_are_carried_out_with_the_rights_of_the_moment(
    tenant: tenants.Tenant, owner: calling.Caller
) -> None:
    grants = [{"permission": f"products:{action}"} for action in ("read", "list", "update")]
    owner.call("POST", "roles", {"slug": "arranger", "name": "Arranger", "grants": grants})
    maker = calling.make_caller(tenant, "merchandiser")
    job = make_job(maker, new("One"), {"op": "publish", "id": made(tenant)})
    with factories.at_work(tenant):
        members.put_member(user=maker.user, roles=["arranger"], by=None)

    working.advance()

    assert [line.get("problem", {}).get("code") for line in lines(maker, job, "results")] == ["not_permitted", None]


@pytest.mark.parametrize("end", ["removed", "switched off", "key revoked", "key without the scope"])
def test_a_job_whose_asker_may_not_do_it_any_more_is_interrupted(
    tenant: tenants.Tenant, owner: calling.Caller, end: str
) -> None:
    maker = calling.make_caller(tenant, "merchandiser")
    job = make_job(maker, new("One"))
    with factories.at_work(tenant):
        if end.startswith("key"):
            scopes = ["products:update" if end == "key revoked" else "products:create"]
            key = keys.create_key(new=keys.NewApiKey(name="Till", scopes=scopes), by=maker.user, now=making.NOW).row
            models.Job.objects.filter(id=job.id).update(actor=f"key:{key.pk}", authority=f"key:{key.pk}")
            accounts.ApiKey.objects.update(expires_at="2100-01-01T00:00Z")
            if end == "key revoked":
                keys.revoke_key(key_id=key.pk, now=making.NOW)
        elif end == "removed":
            accounts.Membership.objects.filter(user=maker.user).delete()
        else:
            accounts.User.objects.filter(pk=maker.user.pk).update(is_active=False)

    working.advance()

    told = shown(owner, job)
    assert (told["status"], told["done"]) == ("interrupted", 0)
    assert told["reason"] == "Wer ihn in Auftrag gab, darf dies nicht mehr."
    assert titles(tenant) == []


def test_a_job_of_a_key_is_held_to_its_scopes(tenant: tenants.Tenant, owner: calling.Caller) -> None:
    scopes = ["products:update", "products:create", "products:read"]
    key = owner.call("POST", "api-keys", {"name": "Till", "scopes": scopes}).json()["key"]
    machine = {"Authorization": f"Bearer {key}"}
    product = made(tenant)
    body = {"operations": [{"op": "delete", "id": product, "if_match": "*"}] * (bulk.AT_ONCE + 1)}

    asked = owner.call("POST", PATH, body, **machine)
    working.advance()

    assert asked.status_code == 202, asked.content
    told = owner.call("GET", asked["Location"], **machine).json()
    assert (told["status"], told["failed"]) == ("failed", bulk.AT_ONCE + 1)
    assert told["actor"].startswith("key:")
    assert len(titles(tenant)) == 1


def test_jobs_of_a_tenant_that_is_switched_off_wait(tenant: tenants.Tenant, owner: calling.Caller) -> None:
    job = make_job(owner, new("One"))
    suspension = tenant_services.Suspension(reason="unpaid")
    tenant_services.suspend_tenant(tenant=tenant, suspension=suspension, now=making.NOW)

    while_off = working.advance()
    tenant_services.resume_tenant(tenant=tenant)
    working.advance()

    assert while_off == 0
    assert shown(owner, job)["status"] == "succeeded"


def test_a_fault_of_one_job_does_not_stop_the_others(
    tenant: tenants.Tenant, owner: calling.Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, sound = make_job(owner, new("One")), make_job(owner, new("Two"))
    carry_out_next = working._carry_out_next

    def fail_for_one(job_id: uuid.UUID, **options: Any) -> bool:
        if job_id == broken.id:
            raise RuntimeError("a fault of the program")
        return carry_out_next(job_id, **options)

    monkeypatch.setattr(working, "_carry_out_next", fail_for_one)
    working.advance()

    assert (shown(owner, broken)["status"], shown(owner, sound)["status"]) == ("running", "succeeded")
    with factories.at_work(tenant):
        assert models.Job.objects.get(id=broken.id).attempts == 1


def test_a_step_leaves_room_for_other_jobs(
    tenant: tenants.Tenant, owner: calling.Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(working, "STEP", 2)
    make_job(owner, *(new(f"Long {number}") for number in range(5)))
    make_job(calling.make_caller(factories.make_tenant(default_locale="en"), "owner"), new("Neighbour"))
    other = calling.make_caller(tenant, "owner")
    make_job(other, new("Short"))

    working.advance()

    assert titles(tenant) == ["Long 0", "Long 1", "Short", "Long 2", "Long 3", "Long 4"]


def test_whoever_could_do_all_the_same_sees_the_job_and_others_do_not(
    tenant: tenants.Tenant, owner: calling.Caller
) -> None:
    grants = [
        {"permission": f"products:{action}", "constraint": {"category": [str(uuid.uuid4())]}}
        for action in ("read", "update")
    ]
    created = owner.call("POST", "roles", {"slug": "limited", "name": "Limited", "grants": grants})
    assert created.status_code == 201, created.content
    maker, limited = calling.make_caller(tenant, "merchandiser"), calling.make_caller(tenant, "limited")
    editor = calling.make_caller(tenant, "editor")
    stranger = calling.make_caller(factories.make_tenant(), "owner")
    job = make_job(maker, new("One"))
    address = f"jobs/{ids.encode('job', job.id)}"

    def seen_by(caller: calling.Caller) -> tuple[int, int]:
        return len(caller.call("GET", "jobs").json()["data"]), caller.call("GET", address).status_code

    assert {seen_by(caller) for caller in (maker, owner)} == {(1, 200)}
    assert {seen_by(caller) for caller in (limited, editor, stranger)} == {(0, 404)}
    for what, method in (("cancel", "POST"), ("errors", "GET"), ("results", "GET")):
        refused = editor.call(method, f"{address}/{what}")
        assert (refused.status_code, refused.json()["code"]) == (404, "job_not_found")
    assert editor.call("GET", address, Authorization="").status_code == 401


def test_jobs_are_forgotten_a_week_after_their_end(tenant: tenants.Tenant, owner: calling.Caller) -> None:
    ended, fresh, stuck = make_job(owner, new("One")), make_job(owner, new("Two")), make_job(owner, new("Three"))
    week = services.KEPT
    with factories.at_work(tenant):
        now = making.NOW + week
        services.finish(ended, models.Status.SUCCEEDED, now=making.NOW)
        services.finish(fresh, models.Status.SUCCEEDED, now=making.NOW + timedelta(hours=1))

    gone = services.forget_old(now=now)

    assert gone == 1
    assert (shown(owner, stuck)["status"], count_jobs(tenant)) == ("interrupted", 2)
    with factories.at_work(tenant):
        assert {row.job_id for row in models.Operation.objects.all()} == {fresh.id, stuck.id}
        with pytest.raises(queries.JobNotFound):
            queries.get_job(job_id=ended.id)


def test_a_worker_is_told_when_the_job_is_committed_and_goes_on_after_its_slice(
    tenant: tenants.Tenant, owner: calling.Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    monkeypatch.setattr(nudges, "send", lambda task, name: sent.append(name))
    job = make_job(owner, new("One"))
    monkeypatch.setattr(tasks, "SLICE_SECONDS", 0)

    tasks.advance.apply()
    in_no_time = shown(owner, job)["status"]
    monkeypatch.setattr(tasks, "SLICE_SECONDS", 60)
    tasks.advance.apply()

    assert in_no_time == "queued"
    assert sent.count(tasks.NUDGE) == 2
    assert shown(owner, job)["status"] == "succeeded"
    assert tasks.forget.apply().get() == 0
