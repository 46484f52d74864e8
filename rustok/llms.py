"""`/llms.txt` (llmstxt.org): what there is to read here, for language models; `/llms-full.txt` has the guides as well.

A host of the installation tells of the whole API, the host of a tenant of what that tenant publishes.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import URLResolver, get_resolver
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.http import conditional_page

from apps.content import kinds
from apps.kernel import context
from apps.readmodels import api as store
from apps.tenants import modules, queries, scope
from rustok import api_docs, guides

# For whoever calls the API of an installation, and for whoever reads a tenant's storefront.
GUIDES = (
    "how-to/call-the-api.md",
    "explanation/errors.md",
    "explanation/lists.md",
    "explanation/writes.md",
    "explanation/rate-limits.md",
    "how-to/api-keys.md",
    "how-to/second-factor.md",
    "explanation/permissions.md",
    "explanation/events.md",
)
STORE_GUIDES = ("explanation/errors.md", "explanation/lists.md")
# Long tables, for who needs them.
TABLES = ("reference/errors.md", "reference/permissions.md", "reference/events.md")


@method_decorator(conditional_page, name="dispatch")
class IndexView(View):
    """`/llms.txt`."""

    tenancy = "tenant"  # where one is asked

    def get(self, request: HttpRequest) -> HttpResponse:
        at_work = scope.find()
        return _text(_of_tenant(at_work) if at_work else _of_installation())


class FullView(IndexView):
    """`/llms-full.txt`: the same, the operations of the API and the guides in full."""

    def get(self, request: HttpRequest) -> HttpResponse:
        at_work = scope.find()
        if at_work:
            return _text([*_of_tenant(at_work), *_in_full(STORE_GUIDES)])
        return _text([*_of_installation(), "## Operations", *_operations(), *_in_full(GUIDES)])


def _of_installation() -> Iterator[str]:
    about = settings.SPECTACULAR_SETTINGS
    yield f"# {about['TITLE']}"
    yield f"> {about['DESCRIPTION']} One HTTP API with JSON; every error is a problem document (RFC 9457)."
    yield (
        "A tenant is named by the host that is asked, or by `X-Tenant` with its slug on a host of the installation. "
        "`/api/v1/store/` needs no login, `/api/v1/admin/` an access token or an API key as "
        "`Authorization: Bearer …`. Unknown parameters and members are refused, naming the nearest valid one."
    )
    yield "## API"
    yield from (
        _link("OpenAPI document", "/api/schema?format=json", "every operation with its parameters, bodies and answers"),
        _link("Redoc", "/api/redoc", "the same to read"),
        _link("Swagger UI", "/api/docs", "the same to try out"),
        _link("Errors", "/problems/", "each code, its status, and what to do about it"),
        _link("Events", "/events/catalogue", "what is published, with fields and examples"),
        _link("AsyncAPI document", "/asyncapi.json", "the same for programs"),
    )
    yield "## Guides"
    yield from map(_guide, GUIDES)
    yield "## Optional"
    yield _link("All of it in one text", "/llms-full.txt", "this page, the operations and the guides in full")
    yield from map(_guide, TABLES)


def _of_tenant(tenant: scope.Scope) -> Iterator[str]:
    yield f"# {queries.current_name()}"
    yield "> What is published here, as JSON for programs: no login, no key."
    yield (
        f"Languages: {', '.join(sorted(tenant.locales))}; `locale` or `Accept-Language` chooses, else it is "
        f"{tenant.default_locale}. The shop's own currency is {tenant.currency}. Lists are pages of 20 (`limit`, at "
        "most 100), with the address of the next page in `next`."
    )
    yield "## What there is to read"
    yield from _store_operations()
    if tenant.has_one_of(["content"]):
        yield "Kinds of content:"
        yield from (f"- `{kind.name}`: {kind.description}" for kind in kinds.all_kinds())
    yield "## How to ask"
    yield _link("OpenAPI document", "/api/schema?format=json", "parameters and answers; these are tagged `store`")
    yield from map(_guide, STORE_GUIDES)
    yield "## Optional"
    yield _link("All of it in one text", "/llms-full.txt", "this page with the guides in full")


def _store_operations() -> Iterator[str]:
    """The addresses of the storefront that the tenant's modules answer."""
    for resolver in get_resolver().url_patterns:
        if isinstance(resolver, URLResolver) and resolver.urlconf_name is store:
            for pattern in store.urlpatterns:
                if not modules.are_off(modules.owners_of(pattern.callback)):
                    path = "/" + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", f"{resolver.pattern}{pattern.pattern}")
                    said = inspect.getdoc(getattr(pattern.callback, "cls").get) or ""  # noqa: B009 # of DRF's views
                    yield _link(f"GET {path}", path, said.partition("\n")[0])


def _operations() -> Iterator[str]:
    for path, methods in api_docs.document()["paths"].items():
        for method, operation in methods.items():
            if method in {"get", "post", "put", "patch", "delete"}:
                said = " ".join(operation.get("description", "").split("\n\n")[0].split())
                yield f"- `{method.upper()} {path}` ({operation['operationId']}): {said}"


def _in_full(names: Iterable[str]) -> Iterator[str]:
    yield from (guides.get(name).text.strip() for name in names)


def _guide(name: str) -> str:
    guide = guides.get(name)
    return _link(guide.title, f"{guides.ADDRESS}{name}", guide.summary)


def _link(title: str, path: str, about: str) -> str:
    return f"- [{title}]({context.current().origin}{path}): {about}"


def _text(parts: Iterable[str]) -> HttpResponse:
    """Markdown with an empty line between parts, but none between the entries of a list."""
    text = ""
    for part in parts:
        text += part if not text else ("\n" if part[0] == "-" == text.rpartition("\n")[2][:1] else "\n\n") + part
    return HttpResponse(
        text + "\n",
        content_type="text/plain; charset=utf-8",
        headers={"Cache-Control": guides.CACHED, "Vary": "X-Tenant"},
    )
