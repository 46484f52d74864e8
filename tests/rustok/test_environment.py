import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.utils.module_loading import import_string

from rustok import environment, mailing, servers
from rustok.environment import CHECKOUT, EnvironmentInvalid, Profile

SAFE_IN_PRODUCTION = {
    "RUSTOK_PROFILE": "production",
    "RUSTOK_SECRET_KEY": "k" * 50,
    "RUSTOK_ALLOWED_HOSTS": "shop.example",
    "DATABASE_URL": "postgresql://rustok:s3cret@db.example/rustok",
    "VALKEY_URL": "redis://:s3cret@valkey.example:6379/0",
    "RUSTOK_MAIL_URL": "smtp://shop:s3cret@mail.example",
    "RUSTOK_MAIL_FROM": "Shop <shop@shop.example>",
}


@pytest.fixture
def clean(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment without any of our variables."""
    for variable in list(os.environ):
        if variable.startswith("RUSTOK_") or variable in ("DATABASE_URL", "VALKEY_URL", "NATS_URL"):
            monkeypatch.delenv(variable)
    return monkeypatch


def problems_of(monkeypatch: pytest.MonkeyPatch, **variables: str) -> list[str]:
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    with pytest.raises(EnvironmentInvalid) as refusal:
        environment.load()
    return refusal.value.problems


def test_everything_has_a_default(clean):
    settings = environment.load()

    assert settings.profile is Profile.DEVELOPMENT
    assert settings.port == 5150
    assert settings.data_dir == CHECKOUT / ".rustok"


def test_an_empty_variable_counts_as_not_set(clean):
    clean.setenv("RUSTOK_PORT", "")

    assert "port" not in environment.load().model_fields_set


def test_a_relative_data_dir_starts_at_the_checkout_wherever_the_command_is_run(clean, tmp_path):
    clean.setenv("RUSTOK_DATA_DIR", "elsewhere")
    clean.chdir(tmp_path)

    assert environment.load().data_dir == CHECKOUT / "elsewhere"


def test_lists_are_separated_by_commas(clean):
    clean.setenv("RUSTOK_ALLOWED_HOSTS", "a.example, .b.example,")

    assert environment.load().allowed_hosts == ["a.example", ".b.example"]


def test_base_domains_and_trusted_proxies_are_read_and_judged(clean):
    clean.setenv("RUSTOK_BASE_DOMAINS", ".Shops.example, sites.example")
    clean.setenv("RUSTOK_TRUSTED_PROXIES", "10.0.0.0/8, 2001:db8::1, unix")

    settings = environment.load()

    assert settings.base_domains == ["shops.example", "sites.example"]
    assert settings.trusted_proxies == ["10.0.0.0/8", "2001:db8::1", "unix"]


def test_an_unknown_variable_is_refused_and_the_right_name_suggested(clean):
    problems = problems_of(clean, RUSTOK_EVENT_BATCH_SIZE="10", RUSTOK_XYZZY="1")

    assert problems == [
        "RUSTOK_EVENT_BATCH_SIZE is not a setting; did you mean RUSTOK_EVENTS_BATCH_SIZE?",
        "RUSTOK_XYZZY is not a setting; see docs/reference/settings.md for all of them.",
    ]


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("RUSTOK_PORT", "80a", "valid integer"),
        ("RUSTOK_PORT", "70000", "less than or equal to 65535"),
        ("RUSTOK_EVENTS_TRANSPORT", "kafka", "'valkey', 'nats' or 'memory'"),
        ("RUSTOK_EVENTS_RELAY_SHARDS", "0", "greater than or equal to 1"),
        ("RUSTOK_PROFILE", "staging", "'development', 'test' or 'production'"),
        ("RUSTOK_EVENTS_TIME_SLICE_SECONDS", "0", "greater than 0"),
        ("RUSTOK_TRUSTED_PROXIES", "10.0.0.1/8", "host bits set"),
        ("RUSTOK_TRUSTED_PROXIES", "proxy.example", "IPv4 or IPv6"),
        ("RUSTOK_BASE_DOMAINS", "https://shops.example", "is not a host"),
        ("RUSTOK_MAIL_FROM", "the shop", "must be an address: shop@example.com"),
    ],
)
def test_a_bad_value_is_named_with_its_variable_and_what_would_be_right(clean, variable, value, told):
    (problem,) = problems_of(clean, **{variable: value})

    assert problem.startswith(f"{variable}={value!r}: ")
    assert told in problem
    assert problem.endswith("Correct or unset it.")


def test_all_mistakes_are_told_at_once(clean):
    problems = problems_of(clean, RUSTOK_PORT="x", RUSTOK_PROT="1", RUSTOK_WEB_WORKERS="0")

    assert len(problems) == 3


@pytest.mark.parametrize("variable", ["DATABASE_URL", "VALKEY_URL", "RUSTOK_MAIL_URL"])
def test_secrets_are_never_shown(clean, variable):
    (problem,) = problems_of(clean, **{variable: "mysql://root:s3cret@db/x"})

    assert variable in problem
    assert "s3cret" not in problem


def test_a_database_url_that_libpq_does_not_understand_is_told_without_its_password(clean):
    clean.setenv("DATABASE_URL", "postgresql://u:s3cret@db:port:7/x?nonsense=1")

    with pytest.raises(EnvironmentInvalid) as refusal:
        servers.connection_facts(environment.load())

    assert "DATABASE_URL" in str(refusal.value)
    assert "s3cret" not in str(refusal.value)


def test_production_with_nats_needs_a_nats_of_its_own(clean):
    (problem,) = problems_of(clean, **SAFE_IN_PRODUCTION, RUSTOK_EVENTS_TRANSPORT="nats")
    assert problem.startswith("NATS_URL is not set")

    clean.setenv("NATS_URL", "tls://rustok:s3cret@nats.example:4222")
    assert environment.load().events_transport == "nats"


def test_production_refuses_every_unsafe_default_at_once(clean):
    problems = problems_of(clean, RUSTOK_PROFILE="production", RUSTOK_DEBUG="1", RUSTOK_EVENTS_TRANSPORT="memory")

    named = {problem.split()[0].split("=")[0] for problem in problems}
    assert named == {
        "RUSTOK_SECRET_KEY",
        "RUSTOK_ALLOWED_HOSTS",
        "DATABASE_URL",
        "VALKEY_URL",
        "RUSTOK_MAIL_URL",
        "RUSTOK_MAIL_FROM",
        "RUSTOK_DEBUG",
        "RUSTOK_EVENTS_TRANSPORT",
    }


def test_production_refuses_a_short_secret_key(clean):
    (problem,) = problems_of(clean, **SAFE_IN_PRODUCTION | {"RUSTOK_SECRET_KEY": "short"})

    assert "RUSTOK_SECRET_KEY is too short" in problem
    assert "'short'" not in problem


def test_production_refuses_to_trust_everybody_as_a_proxy(clean):
    (problem,) = problems_of(clean, **SAFE_IN_PRODUCTION, RUSTOK_TRUSTED_PROXIES="10.0.0.0/8,0.0.0.0/0")

    assert "RUSTOK_TRUSTED_PROXIES trusts every address" in problem


def test_production_starts_with_safe_settings(clean):
    for variable, value in SAFE_IN_PRODUCTION.items():
        clean.setenv(variable, value)

    settings = environment.load()

    assert settings.chosen_log_format == "json"
    assert servers.status(settings) == {
        "postgres": {"state": "external", "set_by": "DATABASE_URL"},
        "valkey": {"state": "external", "set_by": "VALKEY_URL"},
    }


@pytest.mark.parametrize(
    ("url", "port", "use_tls", "use_ssl"),
    [
        ("smtp://shop:s3cret%21@mail.example", 587, True, False),
        ("smtps://shop:s3cret%21@mail.example", 465, False, True),
        ("smtp://shop:s3cret%21@mail.example?starttls=no", 25, False, False),
        ("smtp://shop:s3cret%21@mail.example:2525", 2525, True, False),
    ],
)
def test_mails_go_to_the_server_of_the_url(url: str, port: int, use_tls: bool, use_ssl: bool) -> None:
    mailer = mailing.mailer(url)

    backend = import_string(mailer["BACKEND"])(alias="default", **mailer["OPTIONS"])

    assert (backend.host, backend.port, backend.use_tls, backend.use_ssl) == ("mail.example", port, use_tls, use_ssl)
    assert (backend.username, backend.password, backend.timeout) == ("shop", "s3cret!", mailing.TIMEOUT_SECONDS)


@pytest.mark.parametrize(
    "url",
    ["mail.example", "smtp://", "smtp://h:x1", "smtp://h?starttls=yes", "smtps://h?starttls=no", "smtp://h?tls=1"],
)
def test_a_mail_url_that_says_something_else_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"must be smtp://|its port|knows one option"):
        mailing.options(url)


def test_urls_replace_the_embedded_servers(clean):
    clean.setenv("DATABASE_URL", "postgresql://me:pw@db.example:6543/shop?sslmode=require")
    clean.setenv("VALKEY_URL", "rediss://valkey.example:6380/4")

    facts = servers.connection_facts(environment.load())

    assert facts.database == servers.DatabaseFacts("db.example", "6543", "shop", "me", "pw", {"sslmode": "require"})
    assert facts.valkey_url == "rediss://valkey.example:6380/4"
    assert facts.valkey_url_of(5) == "rediss://valkey.example:6380/5"
    assert facts.celery_broker_url == "rediss://valkey.example:6380/6"


def test_facts_are_told_without_starting_or_writing_anything(clean, tmp_path):
    clean.setenv("RUSTOK_DATA_DIR", str(tmp_path / "none"))

    facts = servers.connection_facts(environment.load())

    assert facts.valkey_url.startswith("unix:///tmp/rustok-")
    assert facts.valkey_url.endswith("?db=0")
    assert facts.celery_broker_url.startswith("redis+socket:///tmp/rustok-")
    assert facts.celery_broker_url.endswith("?virtual_host=2")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(("url", "number"), [("redis://h/3", 3), ("unix:///s.sock?db=7", 7), ("redis://h", 0)])
def test_the_database_number_of_the_url_is_used_unless_one_is_set(clean, url, number):
    clean.setenv("VALKEY_URL", url)
    assert servers.connection_facts(environment.load()).valkey_database == number

    clean.setenv("RUSTOK_VALKEY_DATABASE", "9")
    assert servers.connection_facts(environment.load()).valkey_database == 9


def test_a_valkey_url_with_a_name_for_a_number_is_refused(clean):
    clean.setenv("VALKEY_URL", "redis://h/first")

    with pytest.raises(EnvironmentInvalid, match="'first' is not a database number"):
        servers.connection_facts(environment.load())


def test_a_command_with_a_wrong_variable_ends_with_a_message_and_not_a_traceback(tmp_path: Path):
    ended = subprocess.run(
        [sys.executable, str(CHECKOUT / "manage.py"), "migrate"],
        env=os.environ | {"RUSTOK_PROT": "80"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 2
    assert "did you mean RUSTOK_PORT?" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_failpoints_are_for_tests_only_and_known_by_name(clean):
    known = {"RUSTOK_FAILPOINT": "append.before_commit"}

    assert "RUSTOK_FAILPOINT kills processes" in problems_of(clean, **known)[0]
    assert len(problems_of(clean, **SAFE_IN_PRODUCTION, **known)) == 1
    assert "did you mean append.before_commit?" in problems_of(clean, RUSTOK_FAILPOINT="append.before_comit")[0]
    for variable in SAFE_IN_PRODUCTION:
        clean.delenv(variable)
    clean.setenv("RUSTOK_PROFILE", "test")
    clean.setenv("RUSTOK_FAILPOINT", "append.before_commit")
    assert environment.load().failpoint == "append.before_commit"


def test_the_audit_log_is_sealed_with_its_own_key_and_verified_with_the_old_ones_too(clean):
    derived = environment.load().audit_keys
    clean.setenv("RUSTOK_AUDIT_KEY", "a" * 50)
    clean.setenv("RUSTOK_AUDIT_OLD_KEYS", "b,c")

    keys = environment.load().audit_keys

    assert keys[:3] == [b"a" * 50, b"b", b"c"]
    assert derived[0] in keys
    assert environment.load().secret_key.get_secret_value().encode() not in keys


def test_a_replaced_secret_key_still_verifies_what_was_sealed_with_it(clean):
    clean.setenv("RUSTOK_SECRET_KEY", "old")
    before = environment.load().audit_keys[0]
    clean.setenv("RUSTOK_SECRET_KEY", "new")
    clean.setenv("RUSTOK_AUDIT_OLD_KEYS", "old")

    assert before != environment.load().audit_keys[0]
    assert before in environment.load().audit_keys


def test_a_short_audit_key_is_refused_in_production(clean):
    (problem,) = problems_of(clean, **SAFE_IN_PRODUCTION, RUSTOK_AUDIT_KEY="short")

    assert problem == "RUSTOK_AUDIT_KEY is too short: use at least 50 random characters."
