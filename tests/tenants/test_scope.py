"""Without a tenant there is nothing, loudly; with one, only its own rows."""

import uuid

import pytest
from django.db import IntegrityError, connection, transaction

from apps.commerce.models import Product, Variant
from apps.kernel import isolation
from apps.tenants import scope
from tests import factories

pytestmark = pytest.mark.usefixtures("db")


def test_a_manager_without_a_scope_raises() -> None:
    with pytest.raises(scope.NoTenantScope, match="no tenant is in scope"):
        Product.objects.count()


def test_a_row_cannot_be_made_without_a_scope() -> None:
    with pytest.raises(scope.NoTenantScope):
        Product()


def test_related_managers_and_forward_references_need_the_scope_too() -> None:
    with factories.at_work(factories.make_tenant()):
        product = Product.objects.create()
        variant = Variant.objects.create(product=product, position=0)

    with pytest.raises(scope.NoTenantScope):
        list(Variant.objects.filter(product=product))
    with pytest.raises(scope.NoTenantScope):
        Variant(pk=variant.pk, tenant_id=variant.tenant_id, product_id=product.pk).product  # noqa: B018
    with pytest.raises(scope.NoTenantScope):
        product.refresh_from_db()


def test_another_tenants_rows_are_not_there() -> None:
    ours, theirs = factories.make_tenant(), factories.make_tenant()
    with factories.at_work(theirs):
        foreign = Product.objects.create()

    with factories.at_work(ours):
        Product.objects.create()
        assert Product.objects.count() == 1
        assert not Product.objects.filter(pk=foreign.pk).exists()
        assert Product.objects.filter(pk=foreign.pk).update(vendor="mine now") == 0
        assert Product.objects.filter(pk=foreign.pk).delete()[0] == 0


def test_the_database_refuses_a_reference_to_another_tenants_row() -> None:
    ours, theirs = factories.make_tenant(), factories.make_tenant()
    with factories.at_work(theirs):
        foreign = Product.objects.create()

    with factories.at_work(ours), pytest.raises(IntegrityError, match="commerce_variant"), transaction.atomic():
        Variant.objects.create(product_id=foreign.pk, position=0)


def test_the_database_refuses_it_under_raw_sql_as_well() -> None:
    ours, theirs = factories.make_tenant(), factories.make_tenant()
    with factories.at_work(theirs):
        foreign = Product.objects.create()
        variant = Variant.objects.create(product=foreign, position=0)

    with (
        isolation.all_tenants(reason="test"),
        pytest.raises(IntegrityError),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute("UPDATE commerce_variant SET tenant_id = %s WHERE id = %s", [ours.id, variant.id])


def test_all_tenants_is_loud(caplog: pytest.LogCaptureFixture) -> None:
    with factories.at_work(factories.make_tenant()):
        Product.objects.create()

    counted = isolation.EXITS.labels(reason="nightly count")
    before = counted._value.get()

    with caplog.at_level("DEBUG"), isolation.all_tenants(reason="nightly count"):
        assert Product.objects.count() == 1

    assert "nightly count" in caplog.text
    assert counted._value.get() == before + 1


def test_all_tenants_hides_the_scope_around_it() -> None:
    with factories.at_work(factories.make_tenant()) as entered:
        with isolation.all_tenants(reason="test"):
            assert scope.find() is None
            with pytest.raises(scope.NoTenantScope):
                Product()
        assert scope.current() == entered


def test_the_scope_ends_with_its_block() -> None:
    with factories.at_work(factories.make_tenant()) as entered:
        assert scope.current() == entered

    assert scope.find() is None


def test_a_scope_knows_its_locales_and_currency() -> None:
    tenant = factories.make_tenant(default_locale="de", locales=["en"], currency="EUR")

    with factories.at_work(tenant) as entered:
        assert entered.default_locale == "de"
        assert entered.locales == ("de", "en")
        assert entered.currency == "EUR"
        assert isinstance(entered.tenant_id, uuid.UUID)
