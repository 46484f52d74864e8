"""The database holds tenants apart by itself, and the check that it does says no."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from django.db import connection

from apps.consumers import generations, projections
from tests.architecture import catalogue

pytestmark = pytest.mark.usefixtures("db")


def app() -> str:
    return str(connection.settings_dict["USER"])


def test_policies_grants_keys_views_and_functions_are_as_they_must_be() -> None:
    for projection in projections.all_projections():  # a kept database has what a killed run was building
        generations.retire(projection, *generations.UNFINISHED)
        assert generations.sweep(projection)
    with connection.cursor() as cursor:
        assert catalogue.problems(cursor, app=app()) == []


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        ("CREATE TABLE forgotten (id uuid, tenant_id uuid)", "forgotten has a tenant, and row-level security"),
        ("ALTER TABLE commerce_product NO FORCE ROW LEVEL SECURITY", "commerce_product has a tenant, and row-level"),
        ("ALTER TABLE commerce_product DISABLE ROW LEVEL SECURITY", "commerce_product has a tenant, and row-level"),
        ("DROP POLICY tenant_delete ON commerce_product", "commerce_product has other policies"),
        ("CREATE POLICY open ON commerce_product USING (true)", "commerce_product has other policies"),
        ("ALTER POLICY tenant_select ON commerce_product USING (true)", "commerce_product has other policies"),
        ("ALTER TABLE commerce_product OWNER TO {app}", "commerce_product belongs to"),
        ("GRANT TRUNCATE ON commerce_product TO {app}", "may TRUNCATE commerce_product"),
        ("GRANT INSERT ON outbox_log_default TO {app}", "may INSERT outbox_log_default"),
        ("GRANT SELECT ON commerce_product TO PUBLIC", "commerce_product is open to"),
        ("CREATE VIEW leak AS SELECT * FROM commerce_product", "view leak is not asked with the rights"),
        ("CREATE MATERIALIZED VIEW leak AS SELECT * FROM commerce_product", "materialised view leak"),
        (
            "CREATE FUNCTION leak() RETURNS bigint LANGUAGE sql SECURITY DEFINER "
            "AS 'SELECT count(*) FROM commerce_product'",
            "function leak acts as its owner",
        ),
        (
            "ALTER FUNCTION readmodels_search RESET search_path",
            "readmodels_search acts as its owner with a search path",
        ),
        ("GRANT EXECUTE ON FUNCTION readmodels_search TO PUBLIC", "readmodels_search acts as its owner for everybody"),
        (
            "CREATE UNIQUE INDEX everywhere ON commerce_product (vendor)",
            "everywhere on commerce_product is unique over",
        ),
        (
            "ALTER TABLE commerce_variant ADD CONSTRAINT astray "
            "FOREIGN KEY (product_id) REFERENCES commerce_product (id)",
            "astray: commerce_variant may refer to",
        ),
        ("ALTER ROLE {app} BYPASSRLS", "is past row policies"),
        ("ALTER ROLE {app} SUPERUSER", "is a superuser"),
    ],
)
def test_what_is_wrong_is_named(_superuser: psycopg.Connection[Any], damage: str, complaint: str) -> None:
    with _superuser.transaction(force_rollback=True), _superuser.cursor() as cursor:
        cursor.execute(damage.format(app=app()))
        found = catalogue.problems(cursor, app=app())

    assert any(complaint in line for line in found), found
