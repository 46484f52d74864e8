"""What is known of tenants costs no query, and is forgotten everywhere when it changes."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from prometheus_client import REGISTRY
from pytest_django.fixtures import Settings

from apps.consumers import effects, tasks
from apps.kernel.cache import shared
from apps.tenants import consumers, models, resolution, services
from tests import factories
from tests.kernel import caching
from tests.kernel.caching import Elsewhere, processes

pytestmark = pytest.mark.usefixtures("committed_db", "patience")

BOUND_SECONDS = 1.0
HOST = "shop.example.com"


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(shared, "DEADLINE_SECONDS", caching.ENOUGH_SECONDS)
    shared.link.cache_clear()
    yield
    shared.link.cache_clear()


@pytest.fixture
def tenant(committed_db: None) -> models.Tenant:
    return factories.make_tenant(domains=[HOST], locales=["en", "de"], currency="EUR")


@pytest.fixture
def elsewhere(committed_db: None) -> Iterator[Elsewhere]:
    with processes(resolver(), 1) as [process]:
        yield process


def resolver() -> list[str]:
    return ["tests.tenants.resolver", str(connection.settings_dict["NAME"])]


def within_the_bound(is_so: Callable[[], bool]) -> None:
    began = time.monotonic()
    while not is_so():
        assert time.monotonic() - began < BOUND_SECONDS, "the old state is still seen"


def change(**changes: Any) -> Callable[[models.Tenant], object]:
    return lambda tenant: services.update_tenant(tenant=tenant, changes=services.TenantChanges(**changes))


def suspend(tenant: models.Tenant) -> object:
    return services.suspend_tenant(tenant=tenant, suspension=services.Suspension(reason="unpaid"), now=timezone.now())


CHANGES: dict[str, tuple[Callable[[models.Tenant], object], Callable[[Any], bool]]] = {
    "tenant changed": (change(currency="CHF"), lambda found: found["currency"] == "CHF"),
    "tenant suspended": (suspend, lambda found: not found["is_active"]),
    "domain removed": (
        lambda tenant: services.remove_domain(tenant=tenant, host=HOST),
        lambda found: found is None,
    ),
    "locale disabled": (
        lambda tenant: services.disable_locale(tenant=tenant, locale="de"),
        lambda found: found["locales"] == ["en"],
    ),
    "locale enabled": (
        lambda tenant: services.enable_locale(tenant=tenant, locale="fr"),
        lambda found: found["locales"] == ["de", "en", "fr"],
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_seen_here_at_once_and_in_other_processes_within_a_second(
    name: str, tenant: models.Tenant, elsewhere: Elsewhere
) -> None:
    make, is_seen = CHANGES[name]
    assert not is_seen(elsewhere.do("find", HOST))
    assert not is_seen(elsewhere.do("find", HOST))  # from its memory
    assert not is_seen(_shown(resolution.find_by_host(HOST)))

    make(tenant)

    assert is_seen(_shown(resolution.find_by_host(HOST)))
    within_the_bound(lambda: is_seen(elsewhere.do("find", HOST)))


def test_a_tenant_is_seen_at_once_where_its_absence_was_known(elsewhere: Elsewhere) -> None:
    assert resolution.find_by_host(HOST) is None
    assert elsewhere.do("find", HOST) is None

    created = factories.make_tenant(domains=[HOST])

    known = resolution.find_by_host(HOST)
    assert known is not None
    assert known.scope.tenant_id == created.id
    within_the_bound(lambda: elsewhere.do("find", HOST) is not None)


def test_a_domain_moves_from_one_tenant_to_another(tenant: models.Tenant) -> None:
    assert _slug(HOST) == tenant.slug
    heir = factories.make_tenant()

    services.remove_domain(tenant=tenant, host=HOST)
    assert _slug(HOST) is None
    services.add_domain(tenant=heir, host=HOST)

    assert _slug(HOST) == heir.slug


def test_a_thousand_requests_at_once_for_a_tenant_nobody_knows_yet_are_one_query(tenant: models.Tenant) -> None:
    with processes(resolver(), 2) as both:
        for process in both:
            process.ask("storm", HOST, 500, 1000)
        answers = [process.answer() for process in both]

    expected = {"slug": tenant.slug, "locales": ["de", "en"], "currency": "EUR", "is_active": True}
    assert answers == [[500, expected]] * 2
    assert caching.valkey().get("queries") == b"1"


def test_a_writer_killed_after_its_commit_is_made_up_for_by_its_event(
    tenant: models.Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _slug(HOST) == tenant.slug
    with monkeypatch.context() as killed:
        killed.setattr(resolution, "forget", lambda tenant_id, *, names: None)
        services.remove_domain(tenant=tenant, host=HOST)
    assert _slug(HOST) == tenant.slug  # nobody was told

    tasks.drain()

    assert _slug(HOST) is None


def test_the_event_is_worked_off_only_once_valkey_has_heard(
    tenant: models.Tenant, settings: Settings, tmp_path: Path
) -> None:
    task = effects.Task("key", tenant.id, "names", {"names": []}, 1)
    assert consumers.TENANT_RESOLUTION.perform(task) == "forgotten"

    settings.CACHE_URL = f"unix://{tmp_path}/nobody.sock"
    shared.link.cache_clear()

    with pytest.raises(consumers.NotHeard):
        consumers.TENANT_RESOLUTION.perform(task)


def test_a_transaction_that_rolls_back_drops_nothing_and_one_sees_its_own_changes(tenant: models.Tenant) -> None:
    from apps.outbox.append import unit_of_work

    assert _slug(HOST) == tenant.slug

    with pytest.raises(LookupError), unit_of_work():
        services.remove_domain(tenant=tenant, host=HOST)
        assert _slug(HOST) is None
        raise LookupError

    with CaptureQueriesContext(connection) as queries:
        assert _slug(HOST) == tenant.slug
    assert not queries.captured_queries


def test_a_storefront_request_costs_no_query_to_find_its_tenant(tenant: models.Tenant, client: Client) -> None:
    def asked() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert client.get("/api/v1/store/products", headers={"host": HOST}).status_code == 200
        return sum("tenants_" in query["sql"] for query in queries.captured_queries)

    assert [asked(), asked()] == [1, 0]


def test_all_of_a_scope_survives_the_cache(tenant: models.Tenant) -> None:
    loaded = resolution.find_by_host(HOST)
    resolution._known.drop_all()

    cached = resolution.find_by_host(HOST)

    assert cached == loaded
    assert cached is not loaded
    assert replace(cached.scope) == cached.scope if cached else False


def test_without_valkey_tenants_are_found_and_changes_of_this_process_are_seen(
    tenant: models.Tenant, client: Client, settings: Settings, tmp_path: Path
) -> None:
    settings.CACHE_URL = f"unix://{tmp_path}/nobody.sock"
    shared.link.cache_clear()
    before = _degraded_reads()

    assert client.get("/api/v1/store/products", headers={"host": HOST}).status_code == 200
    suspend(tenant)
    assert client.get("/api/v1/store/products", headers={"host": HOST}).status_code == 403

    assert _degraded_reads() == before + 2


def test_no_key_of_a_tenant_is_left_once_it_is_forgotten(tenant: models.Tenant) -> None:
    for name in resolution.names_of(tenant.id):
        resolution._find(name)
    assert len(_keys_of(tenant)) == 3  # id, slug and host

    resolution.forget(tenant.id)

    assert not _keys_of(tenant)


def _keys_of(tenant: models.Tenant) -> list[bytes]:
    return [key for key in caching.valkey().keys("rustok:cache:tenants:*:*:*") if b":absent:" not in key]


def _degraded_reads() -> float:
    return REGISTRY.get_sample_value("rustok_cache_degraded_reads_total", {"kind": "tenants"}) or 0


def _slug(host: str) -> str | None:
    known = resolution.find_by_host(host)
    return known.scope.slug if known else None


def _shown(known: resolution.Known | None) -> dict[str, Any] | None:
    if known is None:
        return None
    facts = {"slug": known.scope.slug, "locales": list(known.scope.locales), "currency": known.scope.currency}
    return facts | {"is_active": known.is_active}
