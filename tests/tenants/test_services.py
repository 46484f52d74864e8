"""Tenants: made, changed and named in every error."""

import io
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from apps.kernel import errors, validation
from apps.outbox.models import Log
from apps.tenants import models, queries, resolution, scope, services
from tests import factories

pytestmark = pytest.mark.usefixtures("db", "over_all_tenants")


def event_types(tenant: models.Tenant) -> list[str]:
    return list(Log.objects.filter(tenant_id=tenant.id).order_by("id").values_list("type", flat=True))


def test_a_new_tenant_has_its_domains_locales_and_events() -> None:
    tenant = factories.make_tenant(default_locale="en", locales=["de"], domains=["Shop.Example.COM."])

    assert list(tenant.domains.values_list("host", flat=True)) == ["shop.example.com"]
    assert sorted(tenant.locales.values_list("locale", flat=True)) == ["de", "en"]
    assert event_types(tenant) == [
        "tenants.tenant.created",
        "tenants.domain.added",
        "tenants.locale.enabled",
        "tenants.locale.enabled",
    ]


def test_a_slug_and_a_domain_belong_to_one_tenant() -> None:
    tenant = factories.make_tenant(domains=["taken.example.com"])

    with pytest.raises(services.SlugTaken, match=tenant.slug):
        factories.make_tenant(slug=tenant.slug, domains=[])
    with pytest.raises(services.DomainTaken, match="already leads to a tenant"):
        factories.make_tenant(domains=["taken.example.com"])
    assert models.Tenant.objects.count() == 1


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("slug", "No Spaces", "a slug has only a-z"),
        ("default_locale", "english", 'a locale looks like "en"'),
        ("default_locale", "en-GB-oxendict", "a locale has 2 to 10 characters"),
        ("currency", "EURO", 'in capitals, such as EUR. Did you mean "EUR"?'),
        ("currency", "euro", '"euro": not an ISO 4217 currency code in capitals, such as EUR. Did you mean "EUR"?'),
        ("currency", "EUX", "not an ISO 4217 currency"),
        ("name", "", "at least 1 character"),
        ("domans", [], 'Did you mean "domains"?'),
    ],
)
def test_bad_input_names_the_field_the_problem_and_the_fix(field: str, value: Any, complaint: str) -> None:
    with pytest.raises(errors.ValidationFailed) as refused:
        validation.parse(services.NewTenant, {"slug": "ok", "name": "Ok", field: value})

    assert [problem.pointer for problem in refused.value.problems] == [f"/{field}"]
    assert complaint in refused.value.detail


def test_a_host_with_a_scheme_or_port_is_refused() -> None:
    for host in ("https://shop.example.com", "shop.example.com:80", "-shop.example.com", ""):
        with pytest.raises(errors.ValidationFailed, match="not a host name"):
            validation.parse(services.NewTenant, {"slug": "shop", "name": "Shop", "domains": [host]})


def test_a_change_that_changes_nothing_records_nothing() -> None:
    tenant = factories.make_tenant()
    before = event_types(tenant)

    services.update_tenant(tenant=tenant, changes=services.TenantChanges(name=tenant.name))
    assert event_types(tenant) == before

    services.update_tenant(tenant=tenant, changes=services.TenantChanges(name="Renamed", default_locale="fr"))
    assert event_types(tenant)[len(before) :] == ["tenants.tenant.updated", "tenants.locale.enabled"]


def test_locales_are_enabled_and_disabled_but_never_the_default_one() -> None:
    tenant = factories.make_tenant(default_locale="en", locales=["de"])

    services.disable_locale(tenant=tenant, locale="de")
    with pytest.raises(services.LocaleInUse):
        services.disable_locale(tenant=tenant, locale="en")
    with pytest.raises(errors.NotFound):
        services.disable_locale(tenant=tenant, locale="de")
    services.enable_locale(tenant=tenant, locale="de")

    assert event_types(tenant)[-2:] == ["tenants.locale.disabled", "tenants.locale.enabled"]
    assert queries.scope_of(tenant).locales == ("de", "en")


def test_the_name_of_a_locale_is_kept_as_long_as_it_may_be_and_refused_beyond() -> None:
    tenant = factories.make_tenant(locales=[])

    enabled = services.enable_locale(tenant=tenant, locale=" de ", name=f" {'n' * 100} ")
    with pytest.raises(errors.ValidationFailed, match="at most 100 characters"):
        services.enable_locale(tenant=tenant, locale="fr", name="n" * 101)

    assert (enabled.locale, enabled.name) == ("de", "n" * 100)


def test_domains_are_removed_with_their_event() -> None:
    tenant = factories.make_tenant(domains=["old.example.com"])

    services.remove_domain(tenant=tenant, host="old.example.com")

    assert event_types(tenant)[-1] == "tenants.domain.removed"
    assert resolution.find_by_host("old.example.com") is None
    with pytest.raises(errors.NotFound):
        services.remove_domain(tenant=tenant, host="old.example.com")


def test_the_command_creates_a_tenant() -> None:
    out = io.StringIO()

    call_command(
        "create_tenant",
        "acme",
        "--name",
        "Acme",
        "--domain",
        "acme.test",
        "--locale",
        "de",
        "--currency",
        "EUR",
        stdout=out,
    )

    tenant = models.Tenant.objects.get(slug="acme")
    assert (tenant.name, tenant.default_locale, tenant.currency) == ("Acme", "de", "EUR")
    assert "acme.test" in out.getvalue()


def test_the_command_refuses_bad_input_readably() -> None:
    with pytest.raises(CommandError, match=r'currency: "EUX": not an ISO 4217'):
        call_command("create_tenant", "acme", "--currency", "EUX")
    assert not models.Tenant.objects.exists()


def test_an_unknown_tenant_is_named_with_the_nearest_one() -> None:
    factories.make_tenant(slug="acme-shop")

    with pytest.raises(scope.TenantNotFound, match=r'"acme-shp".*Did you mean "acme-shop"'):
        queries.scope_for_command(slug_or_id="acme-shp")


@pytest.mark.parametrize(
    ("count", "hint"),
    [
        (0, " Make one with create_tenant."),
        (2, " There are: shop-00, shop-01."),
        (10, " There are: shop-00, .*, shop-09."),
        (15, " There are: shop-00, .*, shop-09 and 5 more."),
    ],
)
def test_an_unknown_tenant_is_named_with_those_there_are_and_how_many_more(count: int, hint: str) -> None:
    for number in range(count):
        factories.make_tenant(slug=f"shop-{number:02}")

    with pytest.raises(scope.TenantNotFound, match=f'^There is no tenant "nobody"\\.{hint}$'):
        queries.scope_for_command(slug_or_id="nobody")


def test_a_locale_is_enabled_by_command() -> None:
    tenant, out = factories.make_tenant(locales=["de"]), io.StringIO()

    call_command("enable_locale", tenant.slug, "fr", "--name", "Français", stdout=out)
    before = event_types(tenant)
    call_command("enable_locale", str(tenant.id), "fr", stdout=out)

    assert models.TenantLocale.objects.get(tenant=tenant, locale="fr").name == "Français"
    assert out.getvalue().splitlines() == [f"{tenant.slug} publishes in de, en, fr."] * 2
    assert event_types(tenant) == before


def test_the_locale_command_refuses_readably() -> None:
    tenant = factories.make_tenant()

    with pytest.raises(CommandError, match=r'locale: "french": .*a locale looks like "en"'):
        call_command("enable_locale", tenant.slug, "french")
    with pytest.raises(CommandError, match="There is no tenant"):
        call_command("enable_locale", "nobody-there", "fr")


def test_a_domain_given_twice_is_one_domain() -> None:
    out = io.StringIO()
    call_command("create_tenant", "twice", "--domain", "b.test", "--domain", "B.test.", stdout=out)

    assert list(models.Domain.objects.values_list("host", flat=True)) == ["b.test"]
    assert out.getvalue().endswith("en: b.test.\n")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--locale", "xx-YY-zz"], '--locale: "xx-YY-zz": a locale looks like "en" or "en-GB"'),
        (["--currency", "euro"], '--currency: "euro": not an ISO 4217 currency code in capitals'),
        (["--domain", "https://a.test"], '--domain: "https://a.test": this is not a host name'),
        (["--name", "x" * 256], "--name: "),
        (["--locale", "english", "--currency", "euro"], '"euro": not an ISO 4217'),
    ],
)
def test_the_command_speaks_of_its_options(arguments: list[str], complaint: str) -> None:
    with pytest.raises(CommandError) as refused:
        call_command("create_tenant", "shop", *arguments)

    assert complaint in str(refused.value)
    assert "default_locale" not in str(refused.value)
    assert not models.Tenant.objects.exists()


def test_the_command_speaks_of_its_argument() -> None:
    with pytest.raises(CommandError, match=r'^SLUG: "No Spaces": a slug has only a-z'):
        call_command("create_tenant", "No Spaces")
