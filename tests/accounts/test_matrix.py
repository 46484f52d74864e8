"""Every role × every route × every method, held against the committed table, and shown to notice a wrong one."""

from __future__ import annotations

import copy
import re
import tomllib
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from rest_framework.views import APIView

from apps.accounts.access import catalogue, declaring, matrix
from apps.tenants import models as tenants
from tests.accounts import calling

type Table = dict[str, dict[str, Any]]

TABLE: Table = tomllib.loads(matrix.TABLE.read_text())
ROUTES = declaring.routes()
# Pages that are no API: what they show is nobody's in particular, or they ask by themselves.
OPEN_PAGES = {
    "/robots.txt": "what a tenant publishes",
    "/sitemap.xml": "what a tenant publishes",
    "/sitemaps/<str:name>/<str:locale>/<str:start>.xml": "what a tenant publishes",
    "/feeds/<str:locale>.<slug:format>": "what a tenant publishes",
    "/feeds/<str:locale>/<slug:term>/<str:slug>.<slug:format>": "what a tenant publishes",
    "/": "leads to the API's description",
    "/favicon.ico": "has no data",
    "/media/<path:path>": "files at addresses nobody guesses",
    "/health/": "for balancers, tells no data",
    "/health/live": "for balancers, tells no data",
    "/health/ready": "for balancers, tells no data",
    "/metrics": "for Prometheus, kept inside by the proxy",
    "/problems/": "the errors of the program",
    "/problems/<str:code>": "the errors of the program",
    "/docs/<path:name>": "the manual of the program",
    "/llms.txt": "tells where public things are",
    "/llms-full.txt": "tells where public things are, with the manual",
    "/csp-reports": "browsers send here unasked, and nothing is answered",
    "/schemas/": "schemas hold no data",
    "/schemas/<str:name>/<int:version>": "schemas hold no data",
    "/asyncapi.json": "schemas hold no data",
    "/events/catalogue": "schemas hold no data",
}


def table_holds(table: Table, role: str, permission: str) -> bool:
    """Read straight from the lines of the table, by other means than the engine's."""
    resource, action = permission.split(":")
    for line in table[role]["grants"]:
        name, _, rest = line.partition(":")
        actions = {word.strip() for word in rest.partition("(")[0].split(",")}
        is_about_it = name == resource or (resource == "nodes" and name in catalogue.KIND_OF)
        if is_about_it and actions & {action, "manage"}:
            return True
    return False


def address(path: str) -> str:
    return re.sub(r"<(?:\w+:)?(\w+)>", lambda found: "de" if found[1] == "locale" else str(uuid.uuid4()), path)


@pytest.fixture(scope="module")
def answers(django_db_setup: None, django_db_blocker: Any) -> Iterator[dict[tuple[str, str, str], int]]:
    """The status of every role on every route and method: called once for all tests, and rolled back."""
    from django.db import transaction

    from tests import factories

    with django_db_blocker.unblock(), transaction.atomic():
        tenant = factories.make_tenant()
        callers = {name: caller_as(tenant, name) for name in [*TABLE, "nobody"]}
        yield {
            (name, route.method, route.path): caller.call(route.method, address(route.path), body_of(route)).status_code
            for route in ROUTES
            if route.permission is not None
            for name, caller in callers.items()
        }
        transaction.set_rollback(True)


def body_of(route: declaring.Route) -> Any:
    return None if route.method in {"GET", "DELETE"} else {"no_such_field": True}


def caller_as(tenant: tenants.Tenant, role: str) -> calling.Caller:
    """Somebody with exactly this role, whichever way it is given."""
    from django.utils import timezone

    from apps.accounts.access import break_glass
    from tests import factories

    if role == "nobody":
        return calling.make_caller(tenant)
    if role == matrix.SUPER_ADMIN:
        return calling.make_caller(tenant, is_superuser=True)
    if role in matrix.assignable():
        return calling.make_caller(tenant, role)
    caller = calling.make_caller(tenant, is_staff=True)
    caller.user.user_permissions.add(calling.platform_permission(catalogue.OPEN_BREAK_GLASS))
    opening = break_glass.Opening(reason="matrix of permissions", write=role == matrix.SUPPORT_WRITER)
    with factories.at_work(tenant):
        break_glass.open_access(user=caller.user, opening=opening, now=timezone.now())
    return caller


def disagreements(table: Table, answers: dict[tuple[str, str, str], int]) -> list[str]:
    """Where an answer is not what the table says: refused although held, or let through although not."""
    found = []
    permissions = {(route.method, route.path): route.permission for route in ROUTES}
    for (role, method, path), status in answers.items():
        permission = permissions[method, path] or ""
        is_held = role in table and table_holds(table, role, permission)
        if is_held and (status in {401, 403} or status >= 500):
            found.append(f"{role} holds {permission}, but {method} {path} answers {status}")
        if not is_held and status != 403:
            found.append(f"{role} lacks {permission}, but {method} {path} answers {status}")
    return found


def test_every_role_on_every_route_is_answered_as_the_table_says(answers: dict[tuple[str, str, str], int]) -> None:
    assert len(answers) > 600
    assert disagreements(TABLE, answers) == []


def test_a_wrong_table_is_noticed_both_ways(answers: dict[tuple[str, str, str], int]) -> None:
    generous, stingy = copy.deepcopy(TABLE), copy.deepcopy(TABLE)
    generous["merchandiser"]["grants"].append("tags: delete")
    stingy["editor"]["grants"].remove("tags: manage")

    assert disagreements(generous, answers) == [
        "merchandiser holds tags:delete, but DELETE /api/v1/admin/tags/<str:tag_id> answers 403"
    ]
    noticed = disagreements(stingy, answers)
    assert len(noticed) == 5
    assert all(line.startswith("editor lacks tags:") for line in noticed)


def test_every_method_of_the_api_declares_one_permission_or_why_it_needs_none() -> None:
    views = declaring.api_views()

    assert len(views) > 50
    assert declaring.problems(views) == []


def test_a_forgotten_wrong_or_double_declaration_is_found() -> None:
    class Forgotten(APIView):
        permissions = {"GET": "nodes:list"}

        def get(self) -> None: ...

        def post(self) -> None: ...

    class Wrong(APIView):
        permissions = {"GET": "nodes:look", "PUT": "nodes:update"}

        def get(self) -> None: ...

    class Both(APIView):
        permissions = {"GET": "nodes:list"}
        public = "because"

        def get(self) -> None: ...

    assert declaring.problems([("/a", Forgotten), ("/b", Wrong), ("/c", Both)]) == [
        "POST /a declares no permission and is not public",
        "GET /b needs nodes:look, which is in no catalogue",
        "/b declares a permission for PUT, which it does not answer",
        "/c is public and declares permissions",
    ]


def test_pages_that_are_no_api_are_known_and_say_why_they_are_open() -> None:
    def walk(patterns: list[Any], prefix: str) -> Iterator[str]:
        for entry in patterns:
            path = prefix + str(entry.pattern)
            if isinstance(entry, URLResolver):
                yield from walk(entry.url_patterns, path)
            elif isinstance(entry, URLPattern) and getattr(entry.callback, "cls", None) is None:
                yield path

    pages = {path for path in walk(get_resolver().url_patterns, "/") if not path.startswith("/admin/")}

    assert pages == set(OPEN_PAGES)


def test_without_a_token_everything_that_needs_a_permission_is_closed(tenant: tenants.Tenant) -> None:
    client = Client(headers={"X-Tenant": tenant.slug})

    statuses = {
        client.generic(route.method, address(route.path)).status_code
        for route in ROUTES
        if route.permission is not None
    }

    assert statuses == {401}


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("nodes read", "does not read as"),
        ("nodes: look", '"nodes:look" is no permission'),
        ("tags: read (own)", '"own" is no constraint on tags; it takes none'),
    ],
)
def test_a_line_that_says_nothing_is_refused(line: str, complaint: str) -> None:
    with pytest.raises(matrix.TableUnreadable, match=re.escape(complaint)):
        matrix.read({"somebody": {"description": "", "grants": [line]}})


def test_the_gaps_of_the_old_matrix_are_closed() -> None:
    assert all(table_holds(TABLE, "manager", f"pages:{action}") for action in ("create", "read", "update", "delete"))
    assert table_holds(TABLE, "customer", "pages:read")
    assert table_holds(TABLE, "customer", "comments:create")
    published_only = [grant for grant in matrix.system_roles()["customer"].grants if grant.permission == "posts:read"]
    assert all(grant.constraint.published for grant in published_only)
