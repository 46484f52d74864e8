"""Whose rows a statement sees is decided by the work at hand, in the database, whatever the statement says."""

from __future__ import annotations

import random
import threading
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any

import psycopg
import pytest
from django.core.management import call_command
from django.db import IntegrityError, ProgrammingError, connection, transaction
from psycopg import sql
from psycopg_pool import ConnectionPool

from apps.commerce.models import Product
from apps.events import bus
from apps.kernel import isolation
from apps.kernel.database import base, cursors, roles
from apps.outbox import pages, relay
from apps.tenants import models as tenants
from rustok import servers
from tests import factories
from tests.outbox.recording import record_events

ALL_ROWS = "SELECT tenant_id, vendor FROM commerce_product ORDER BY vendor"


def ask(statement: str, *parameters: Any) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchall() if cursor.description else []


def vendors() -> list[str]:
    """By raw SQL without a filter."""
    return [row[1] for row in ask(ALL_ROWS)]


@pytest.fixture
def two(committed_db: None) -> list[tenants.Tenant]:
    """Two tenants with a product each, whose vendor is `first` and `second`."""
    made = [factories.make_tenant(), factories.make_tenant()]
    for tenant, vendor in zip(made, ("first", "second"), strict=True):
        with factories.at_work(tenant):
            Product.objects.create(vendor=vendor)
    return made


def test_sql_without_a_filter_sees_the_rows_of_the_tenant_at_work(two: list[tenants.Tenant]) -> None:
    with factories.at_work(two[0]):
        assert vendors() == ["first"]
        with factories.at_work(two[1]):
            assert vendors() == ["second"]
        with isolation.all_tenants(reason="test"):
            assert vendors() == ["first", "second"]
        with isolation.to_nobody():
            assert vendors() == []
        assert vendors() == ["first"]
    assert vendors() == []


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE commerce_product SET vendor = 'mine' WHERE vendor = 'second' RETURNING id",
        "DELETE FROM commerce_product WHERE vendor = 'second' RETURNING id",
        "SELECT FROM commerce_product WHERE vendor = 'second' FOR UPDATE",
        "SELECT FROM tenants_tenant OFFSET 1",
        "SELECT FROM outbox_log WHERE tenant_id <> current_setting('app.tenant_id')::uuid",
        "SELECT FROM tenants_domain OFFSET 1",
    ],
)
def test_sql_cannot_reach_another_tenants_rows(two: list[tenants.Tenant], statement: str) -> None:
    with factories.at_work(two[0]):
        assert ask(statement) == []

    with isolation.all_tenants(reason="test"):
        assert vendors() == ["first", "second"]


def test_a_row_of_another_tenant_cannot_be_written(two: list[tenants.Tenant]) -> None:
    with factories.at_work(two[0]):
        for statement in (
            "INSERT INTO commerce_product (id, tenant_id) VALUES (uuidv7(), %s)",
            "UPDATE commerce_product SET tenant_id = %s",
        ):
            with pytest.raises(ProgrammingError, match="row-level security policy"):
                ask(statement, two[1].id)


@pytest.mark.parametrize(
    "statement", ["TRUNCATE commerce_product", "DROP TABLE commerce_product", "SET ROLE rustok_owner"]
)
def test_the_application_may_not_get_out_of_it(two: list[tenants.Tenant], statement: str) -> None:
    with isolation.all_tenants(reason="test"), pytest.raises(ProgrammingError):
        ask(statement)


def test_within_a_transaction_the_tenant_may_change(two: list[tenants.Tenant]) -> None:
    with transaction.atomic():
        assert vendors() == []
        with factories.at_work(two[0]):
            assert vendors() == ["first"]
        with factories.at_work(two[1]):
            assert vendors() == ["second"]
        assert vendors() == []


@pytest.mark.parametrize("fails", [True, False])
def test_a_savepoint_that_is_rolled_back_takes_what_it_was_told_with_it(two: list[tenants.Tenant], fails: bool) -> None:
    with transaction.atomic(), factories.at_work(two[0]):
        assert vendors() == ["first"]
        with factories.at_work(two[1]), pytest.raises(ZeroDivisionError), transaction.atomic():
            assert vendors() == ["second"]
            if fails:
                with pytest.raises(IntegrityError):
                    Product.objects.create(id=Product.objects.get().id)
            raise ZeroDivisionError
        assert vendors() == ["first"]
        assert ask("SELECT current_setting('app.tenant_id')") == [(str(two[0].id),)]


def test_it_costs_no_statement_of_its_own(two: list[tenants.Tenant], monkeypatch: pytest.MonkeyPatch) -> None:
    messages: list[bytes] = []
    send = psycopg.ClientCursor._execute_send

    def watch(cursor: Any, query: Any, **options: Any) -> None:
        messages.append(query.query)
        send(cursor, query, **options)

    with factories.at_work(two[0]):
        monkeypatch.setattr(psycopg.ClientCursor, "_execute_send", watch)
        assert vendors() == ["first"]
        with transaction.atomic():
            assert vendors() == ["first"]
            assert vendors() == ["first"]

    told = [message.startswith(b"SET LOCAL") for message in messages]
    assert told == [True, True, False]


def test_the_connection_keeps_nothing_of_it(two: list[tenants.Tenant]) -> None:
    for work in (ask, atomically(ask)):
        with factories.at_work(two[0]):
            work("SELECT 1")
        assert ask("SELECT NULLIF(current_setting('app.tenant_id', true), '')") == [(None,)]


def atomically(work: Any) -> Any:
    return transaction.atomic(work)


def test_a_transaction_begun_past_django_is_told_too(two: list[tenants.Tenant]) -> None:
    for number, expected in ((0, "first"), (1, "second"), (1, "second")):
        with factories.at_work(two[number]):
            connection.ensure_connection()
            with connection.connection.transaction():
                assert vendors() == [expected]
                assert vendors() == [expected]


@pytest.mark.parametrize("is_atomic", [True, False])
def test_a_cursor_of_the_server_sees_the_same(two: list[tenants.Tenant], is_atomic: bool) -> None:
    with ExitStack() as stack:
        stack.enter_context(factories.at_work(two[0]))
        if is_atomic:
            stack.enter_context(transaction.atomic())
        with connection.chunked_cursor() as cursor:
            cursor.execute(ALL_ROWS)
            assert [row[1] for row in cursor.fetchall()] == ["first"]
        assert [product.vendor for product in Product.objects.iterator(chunk_size=1)] == ["first"]


def test_copy_and_many_at_once_see_the_same_in_a_transaction_and_refuse_without(two: list[tenants.Tenant]) -> None:
    copied = "COPY (SELECT vendor FROM commerce_product) TO STDOUT"
    with factories.at_work(two[0]), connection.cursor() as cursor:
        for work in (lambda: cursor.copy(copied).__enter__(), lambda: cursor.executemany("SELECT %s", [[1]])):
            with pytest.raises(cursors.TransactionRequired):
                work()
        with transaction.atomic():
            with cursor.copy(copied) as copy:
                assert list(copy.rows()) == [("first",)]
            cursor.executemany("UPDATE commerce_product SET vendor = %s", [["one"], ["uno"]])

    with isolation.all_tenants(reason="test"):
        assert vendors() == ["second", "uno"]


def test_composed_and_encoded_statements_are_told_too(two: list[tenants.Tenant]) -> None:
    with factories.at_work(two[0]), connection.cursor() as cursor:
        for statement in (sql.SQL(ALL_ROWS), ALL_ROWS.encode()):
            cursor.execute(statement)
            assert [row[1] for row in cursor.fetchall()] == ["first"]


@contextmanager
def logged_in_as(facts: Any) -> Iterator[base.DatabaseWrapper]:
    settings = connection.settings_dict | {"USER": facts.user, "PASSWORD": facts.password}
    with closing(base.DatabaseWrapper(settings, alias="other")) as wrapper:
        yield wrapper


@pytest.mark.parametrize(("role", "reason"), [("superuser", "a superuser"), ("migrator", "BYPASSRLS and the owner")])
def test_roles_above_the_policies_are_refused(two: list[tenants.Tenant], role: str, reason: str) -> None:
    facts = getattr(servers.connection_facts(), role)

    with logged_in_as(facts) as wrapper, pytest.raises(roles.RoleTooPowerful, match=f"{reason}.*database_roles"):
        wrapper.ensure_connection()


def test_an_owner_of_tables_is_refused(two: list[tenants.Tenant], _superuser: psycopg.Connection[Any]) -> None:
    facts = servers.connection_facts().database
    owner = sql.Identifier(roles.OWNER)
    _superuser.execute(sql.SQL("GRANT {} TO {}").format(owner, sql.Identifier(facts.user)))
    try:
        base.DatabaseWrapper._judged.clear()
        with logged_in_as(facts) as wrapper, pytest.raises(roles.RoleTooPowerful, match="the owner of tables"):
            wrapper.ensure_connection()
    finally:
        _superuser.execute(sql.SQL("REVOKE {} FROM {}").format(owner, sql.Identifier(facts.user)))


REWRITE = "UPDATE commerce_product SET vendor = 'rewritten'"


def test_a_migration_that_writes_rows_writes_those_of_all_tenants(two: list[tenants.Tenant]) -> None:
    with connection.as_migrator(), connection.cursor() as cursor:
        cursor.execute(REWRITE)
        assert cursor.rowcount == 2

    with isolation.all_tenants(reason="test"):
        assert vendors() == ["rewritten", "rewritten"]


def test_a_migration_whose_role_is_held_by_policies_fails_and_writes_none(
    two: list[tenants.Tenant], _superuser: psycopg.Connection[Any]
) -> None:
    migrator = sql.Identifier(roles.MIGRATOR)
    _superuser.execute(sql.SQL("ALTER ROLE {} NOBYPASSRLS").format(migrator))
    _superuser.commit()
    try:
        refused = pytest.raises(ProgrammingError, match="would be affected by row-level security policy")
        with connection.as_migrator(), connection.cursor() as cursor, refused:
            cursor.execute(REWRITE)
    finally:
        _superuser.execute(sql.SQL("ALTER ROLE {} BYPASSRLS").format(migrator))
        _superuser.commit()

    with isolation.all_tenants(reason="test"):
        assert vendors() == ["first", "second"]


def test_ten_thousand_transactions_over_one_pool_see_no_foreign_row(two: list[tenants.Tenant]) -> None:
    """Two tenants take turns on three connections, with errors, cancelled statements and savepoints in between."""
    parameters = connection.get_connection_params()
    keywords = ("host", "port", "dbname", "user", "password", "passfile")
    chosen = {name: parameters[name] for name in keywords if parameters.get(name)}
    foreign: list[Any] = []
    seen = [0, 0]

    def take_turns(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(2_500):
            number = chance.randrange(2)
            tenant_id = two[number].id
            with pool.connection() as taken, isolation.to_tenant(tenant_id):
                rows = one_turn(taken, chance)
            foreign.extend(row for row in rows if row[0] != tenant_id)
            seen[number] += len(rows)

    with ConnectionPool(
        kwargs=chosen | {"cursor_factory": cursors.IsolatedCursor}, min_size=3, max_size=3, open=True
    ) as pool:
        threads = [threading.Thread(target=take_turns, args=(seed,)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with pool.connection() as taken:
            left = taken.execute("SELECT NULLIF(current_setting('app.tenant_id', true), '')").fetchone()

    assert foreign == []
    assert min(seen) > 3_000
    assert left == (None,)


def one_turn(taken: psycopg.Connection[Any], chance: random.Random) -> list[Any]:
    """The rows a transaction saw, however it went and ended."""
    rows = taken.execute(ALL_ROWS).fetchall()
    event = chance.random()
    if event < 0.1:
        with pytest.raises(psycopg.errors.DivisionByZero):
            taken.execute("SELECT 1 / 0")
        taken.rollback()
    elif event < 0.13:
        taken.execute("SET LOCAL statement_timeout = '1ms'")
        with pytest.raises(psycopg.errors.QueryCanceled):
            taken.execute("SELECT pg_sleep(5)")
        taken.rollback()
    elif event < 0.3:
        taken.execute("SAVEPOINT before")
        with isolation.to_tenant(uuid.uuid4()):
            assert taken.execute(ALL_ROWS).fetchall() == []
        taken.execute("ROLLBACK TO SAVEPOINT before")
    return [*rows, *taken.execute(ALL_ROWS).fetchall()]


def test_the_relay_reads_ahead_with_the_rows_of_all_tenants(
    committed_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its thread begins with nobody's rows, and a page without events would be passed over for good."""
    monkeypatch.setattr(pages, "EVENTS", 2)
    transport = bus.connect("memory")
    with isolation.all_tenants(reason="test"):
        record_events(7)

    assert relay.publish_pending(transport) == 7
    assert [message.position for message in transport.read(0, limit=10)] == list(range(1, 8))


CATALOGUE = """
SELECT oid::regclass::text, xmin::text, relacl::text FROM pg_class WHERE relnamespace = 'public'::regnamespace
UNION ALL
SELECT oid::regprocedure::text, xmin::text, proacl::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace
UNION ALL SELECT polname || polrelid::regclass::text, xmin::text, '' FROM pg_policy ORDER BY 1
"""


def test_a_migrate_with_nothing_to_do_writes_nothing_into_the_catalogue(committed_db: None) -> None:
    call_command("migrate", verbosity=0)
    before = ask(CATALOGUE)

    call_command("migrate", verbosity=0)

    assert len(before) > 200
    assert ask(CATALOGUE) == before


@pytest.mark.parametrize(
    "wrong",
    [
        "GRANT SELECT ON commerce_product TO PUBLIC",
        "GRANT UPDATE ON audit_entry TO {app}",
        "GRANT UPDATE (vendor) ON commerce_product TO PUBLIC",
        "REVOKE DELETE ON commerce_product FROM {app}",
        "REVOKE SELECT ON readmodels_productdocument_live FROM {app}",
        "GRANT EXECUTE ON FUNCTION audit_prune TO PUBLIC",
        "REVOKE USAGE ON SEQUENCE django_content_type_id_seq FROM {app}",
    ],
)
def test_a_migrate_sets_right_what_somebody_granted_or_took_away(
    committed_db: None, _superuser: psycopg.Connection[Any], wrong: str
) -> None:
    call_command("migrate", verbosity=0)
    rights = "SELECT oid::regclass::text, relacl::text, NULL FROM pg_class WHERE relnamespace = 'public'::regnamespace"
    rights += " UNION SELECT oid::regprocedure::text, proacl::text, NULL FROM pg_proc WHERE prosecdef"
    rights += " UNION SELECT attrelid::regclass::text, attacl::text, attname FROM pg_attribute WHERE attacl IS NOT NULL"
    before = sorted(map(_sorted_acl, ask(rights)))
    app = sql.Identifier(connection.settings_dict["USER"])
    _superuser.execute(sql.SQL(wrong).format(app=app))
    _superuser.commit()
    assert sorted(map(_sorted_acl, ask(rights))) != before

    call_command("migrate", verbosity=0)

    assert sorted(map(_sorted_acl, ask(rights))) == before


def _sorted_acl(row: tuple[str, str | None, str | None]) -> tuple[str, list[str], str]:
    name, acl, column = row
    return name, sorted((acl or "{}").strip("{}").split(",")), column or ""
