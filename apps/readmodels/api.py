"""The storefront API: published documents only, read as prepared, joined with the names of their terms."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar
from urllib.parse import urlencode

import orjson
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.views import APIView

from apps.kernel import errors, pagination, wording
from apps.readmodels import models, queries, search
from apps.tenants import modules, scope

PAGE_PARAMETERS = ("limit", "cursor", "count", "locale")
# Whose words and documents these are.
MODULES = {"product": "commerce", "collection": "commerce", "content": "content", "tag": "content"}
_LIST = [
    OpenApiParameter("locale", description="Language; falls back to the tenant's default. Default: Accept-Language."),
    OpenApiParameter("limit", int, description="Page size, 1 to 100, default 20."),
    OpenApiParameter("cursor", description="From the `next` or `prev` link of another page."),
    OpenApiParameter("count", enum=["none", "exact"], description="`exact` counts all rows of the list."),
]
_DETAIL = _LIST[:1]


class StoreView(APIView):
    """Public: what is published may be read by anyone. `modules` names those of which the tenant must have one."""

    modules: ClassVar[tuple[str, ...]]

    authentication_classes = ()
    permission_classes = (AllowAny,)
    public = "what is published may be read by anyone"


class ProductsView(StoreView):
    modules = ("commerce",)

    @extend_schema(
        operation_id="store_products",
        tags=["store"],
        responses=OpenApiTypes.OBJECT,
        parameters=[
            *_LIST,
            OpenApiParameter("category", description="Slug of a product category."),
            OpenApiParameter("collection", description="Slug of a collection."),
            OpenApiParameter("tag"),
            OpenApiParameter("vendor"),
            OpenApiParameter("product_type"),
            OpenApiParameter("in_stock", bool),
        ],
    )
    def get(self, request: Request) -> HttpResponse:
        """Published products, newest first."""
        filters = ("category", "collection", "tag", "vendor", "product_type", "in_stock")
        _refuse_unknown(request, *PAGE_PARAMETERS, *filters)
        locale = read_locale(request)
        products = queries.in_locale(models.LiveProduct.objects.all(), locale)
        if slug := request.GET.get("category"):
            products = products.filter(
                category_ids__contains=[queries.get_term(source="commerce.category", slug=slug).id]
            )
        if slug := request.GET.get("collection"):
            products = products.filter(id__in=queries.get_term(source="commerce.collection", slug=slug).member_ids)
        if tag := request.GET.get("tag"):
            products = products.filter(tags__contains=[tag])
        for name in ("vendor", "product_type"):
            if value := request.GET.get(name):
                products = products.filter(**{name: value})
        if (in_stock := _read_bool(request, "in_stock")) is not None:
            products = products.filter(in_stock=in_stock)
        return _document_list(request, products, locale, ("-published_at", "-id"))


class ProductView(StoreView):
    modules = ("commerce",)

    @extend_schema(operation_id="store_product", tags=["store"], responses=OpenApiTypes.OBJECT, parameters=_DETAIL)
    def get(self, request: Request, handle: str) -> HttpResponse:
        """One published product by handle or id."""
        _refuse_unknown(request, "locale")
        locale = read_locale(request)
        product = queries.get_product(handle_or_id=handle, locale=locale)
        return _json(request, _with_terms([product], locale)[0], product.locale)


class ContentListView(StoreView):
    modules = ("content",)

    @extend_schema(
        operation_id="store_content_list",
        tags=["store"],
        responses=OpenApiTypes.OBJECT,
        parameters=[
            *_LIST,
            OpenApiParameter(
                "category", description="Slug of a category; `taxonomy` names another tree than `category`."
            ),
            OpenApiParameter("taxonomy"),
            OpenApiParameter("tag", description="Slug of a tag."),
            OpenApiParameter("parent", description="Slug or id of the parent, in any kind by id; `root` for none."),
        ],
    )
    def get(self, request: Request, kind: str) -> HttpResponse:
        """Published content of a kind, newest first; children of a parent in their own order."""
        _refuse_unknown(request, *PAGE_PARAMETERS, "category", "taxonomy", "tag", "parent")
        locale = read_locale(request)
        nodes = queries.in_locale(queries.content_of(kind), locale)
        if slug := request.GET.get("category"):
            taxonomy = request.GET.get("taxonomy", "category")
            term = queries.get_term(source="content.category", slug=slug, taxonomy=taxonomy)
            nodes = nodes.filter(category_ids__contains=[term.id])
        if slug := request.GET.get("tag"):
            nodes = nodes.filter(tag_ids__contains=[queries.get_term(source="content.tag", slug=slug).id])
        order: tuple[str, ...] = ("-published_at", "-id")
        if parent := request.GET.get("parent"):
            nodes = nodes.filter(parent_id=_parent_id(kind, parent, locale))
            order = ("position", "id")
        return _document_list(request, nodes, locale, order)


class ContentView(StoreView):
    modules = ("content",)

    @extend_schema(
        operation_id="store_content",
        tags=["store"],
        responses={200: OpenApiTypes.OBJECT, 301: None},
        parameters=_DETAIL,
    )
    def get(self, request: Request, kind: str, slug: str) -> HttpResponse:
        """One published node by slug or id; an old slug answers 301 with the present address."""
        _refuse_unknown(request, "locale")
        locale = read_locale(request)
        try:
            node = queries.get_content(kind=kind, slug_or_id=slug, locale=locale)
        except queries.ContentNotFound:
            present = queries.find_redirect(kind=kind, slug=slug, locale=locale)
            if present is None or present == slug:
                raise
            query = f"?{urlencode(request.GET)}" if request.GET else ""
            address = f"{request.path.rpartition('/')[0]}/{present}{query}"
            return HttpResponse(status=301, headers={"Location": request.build_absolute_uri(address)})
        return _json(request, _with_terms([node], locale)[0], node.locale)


class CategoriesView(StoreView):
    modules = ("commerce", "content")

    @extend_schema(
        operation_id="store_categories",
        tags=["store"],
        responses=OpenApiTypes.OBJECT,
        parameters=[
            *_LIST,
            OpenApiParameter(
                "type",
                enum=["product", "collection", "content", "tag"],
                description="Product categories, collections, content categories or content tags; default all.",
            ),
            OpenApiParameter("taxonomy"),
            OpenApiParameter("parent", description="Slug of the parent; `root` for the top of the trees."),
        ],
    )
    def get(self, request: Request) -> HttpResponse:
        """Categories, collections and tags in the editors' order."""
        _refuse_unknown(request, *PAGE_PARAMETERS, "type", "taxonomy", "parent")
        locale = read_locale(request)
        terms = queries.in_locale(models.LiveTerm.objects.filter(source__in=_sources(request)), locale)
        if taxonomy := request.GET.get("taxonomy"):
            terms = terms.filter(taxonomy=taxonomy)
        if parent := request.GET.get("parent"):
            if parent == "root":
                terms = terms.filter(parent_id=None)
            else:
                owners = models.LiveTerm.objects.filter(slug=parent)
                terms = terms.filter(parent_id__in=owners.values("id"))
        page = pagination.paginate(terms, order=("position", "id"), request=request)
        return _list(request, page, [row.document.encode() for row in page.rows], locale)


class SearchView(StoreView):
    modules = ("search",)
    limit_cost = 2

    @extend_schema(
        operation_id="store_search",
        tags=["store"],
        responses=OpenApiTypes.OBJECT,
        parameters=[
            OpenApiParameter("q", required=True, description='Words, "a phrase", -without, or.'),
            OpenApiParameter("type", enum=list(search.SEARCHABLE)),
            *_LIST,
        ],
    )
    def get(self, request: Request) -> HttpResponse:
        """Full-text search over products and content, best first: `{"type", "rank", "document"}`."""
        _refuse_unknown(request, *PAGE_PARAMETERS, "q", "type")
        locale = read_locale(request)
        query = _read_query(request)
        kinds = _searched(request)
        page = search.find_page(query=query, kinds=kinds, locale=locale, request=request)
        documents = _with_terms(page.rows, locale)
        rows = [
            b'{"type":"%s","rank":%s,"document":%s}' % (hit.kind.encode(), orjson.dumps(hit.rank), document)
            for hit, document in zip(page.rows, documents, strict=True)
        ]
        return _list(request, page, rows, locale)


def read_locale(request: HttpRequest | Request) -> str:
    """`locale`, else the first enabled one of `Accept-Language`, else the default. Raises ValidationFailed."""
    tenant = scope.current()
    asked = request.GET.get("locale")
    if asked is not None:
        if asked not in tenant.locales:
            raise errors.ValidationFailed.for_field(
                "/locale",
                "unknown_locale",
                wording.say(
                    '"{asked}" is not enabled here; use one of {locales}.',
                    asked=asked,
                    locales=", ".join(tenant.locales),
                ),
            )
        return asked
    for tag in request.headers.get("Accept-Language", "").split(","):
        wanted = tag.split(";")[0].strip()
        for known in (wanted, wanted[:2].lower()):
            if known in tenant.locales:
                return known
    return tenant.default_locale


def _document_list(request: Request, rows: QuerySet[Any], locale: str, order: tuple[str, ...]) -> HttpResponse:
    needed = ["tenant_id", "id", "locale", "document", "category_ids", *(name.removeprefix("-") for name in order)]
    if rows.model is models.LiveContent:
        needed.append("tag_ids")
    page = pagination.paginate(rows.only(*needed), order=order, request=request)
    return _list(request, page, _with_terms(page.rows, locale), locale)


def _with_terms(rows: Sequence[Any], locale: str) -> list[bytes]:
    """Each prepared document with `categories`, and for content `content_tags`, spliced in: one query for all."""
    wanted = {term_id for row in rows for term_id in _term_ids(row)}
    labels = queries.term_labels(term_ids=wanted, locale=locale)
    documents = []
    for row in rows:
        parts = [row.document[:-1].encode(), b',"categories":', _array(labels, row.category_ids)]
        if getattr(row, "tag_ids", None) is not None and not isinstance(row, models.LiveProduct):
            parts += [b',"content_tags":', _array(labels, row.tag_ids)]
        documents.append(b"".join([*parts, b"}"]))
    return documents


def _term_ids(row: Any) -> list[uuid.UUID]:
    return [*row.category_ids, *(getattr(row, "tag_ids", None) or [])]


def _array(labels: dict[uuid.UUID, bytes], term_ids: Iterable[uuid.UUID]) -> bytes:
    return b"[" + b",".join(labels[term_id] for term_id in term_ids if term_id in labels) + b"]"


def _list(request: Request, page: pagination.Page[Any], rows: list[bytes], locale: str) -> HttpResponse:
    tail = orjson.dumps(
        {
            "next": pagination.link(request, page.next),
            "prev": pagination.link(request, page.previous),
            "count": page.count,
        }
    )
    return _json(request, b'{"data":[' + b",".join(rows) + b"]," + tail[1:], locale)


def _json(request: Request, body: bytes, locale: str) -> HttpResponse:
    """JSON with an ETag; `If-None-Match` answers 304."""
    etag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    headers = {
        "ETag": etag,
        "Content-Language": locale,
        "Cache-Control": "public, max-age=0, must-revalidate",
        "Vary": "Accept-Language, X-Tenant",
    }
    known = {tag.strip().removeprefix("W/") for tag in request.headers.get("If-None-Match", "").split(",")}
    if etag in known or "*" in known:
        return HttpResponse(status=304, headers=headers)
    headers["Content-Length"] = str(len(body))
    return HttpResponse(body, content_type="application/json", headers=headers)


def _refuse_unknown(request: Request, *known: str) -> None:
    for name in request.GET:
        if name not in known:
            raise errors.ValidationFailed.for_field(
                f"/{name}",
                "unknown_parameter",
                wording.say("there is no such parameter.{hint}", hint=errors.did_you_mean(name, known)),
            )


def _read_bool(request: Request, name: str) -> bool | None:
    text = request.GET.get(name)
    if text is None:
        return None
    return _choice(request, name, ("true", "false")) == "true"


def _choice(request: Request, name: str, choices: Sequence[str]) -> str:
    text = request.GET.get(name, "")
    if text not in choices:
        raise errors.ValidationFailed.for_field(
            f"/{name}",
            "unknown_value",
            wording.say('"{value}" is not one of {known}.', value=text, known=", ".join(choices)),
        )
    return text


def _read_query(request: Request) -> str:
    text = request.GET.get("q", "").replace("\x00", "").strip()
    if not text or len(text) > 200:
        raise errors.ValidationFailed.for_field(
            "/q", "invalid_query", wording.say("give 1 to 200 characters to search for.")
        )
    return text


def _searched(request: Request) -> list[str]:
    """What to look for: the type asked for, else all the tenant has. Raises ModuleOff, ValidationFailed."""
    if "type" in request.GET:
        kind = _choice(request, "type", search.SEARCHABLE)
        modules.require(MODULES[kind])
        return [kind]
    modules.require(*dict.fromkeys(MODULES[kind] for kind in search.SEARCHABLE))
    return [kind for kind in search.SEARCHABLE if scope.current().has_one_of([MODULES[kind]])]


def _sources(request: Request) -> list[str]:
    """Whose terms are asked for: those of `type`, else all the tenant has. Raises ModuleOff, ValidationFailed."""
    sources = {
        "product": "commerce.category",
        "collection": "commerce.collection",
        "content": "content.category",
        "tag": "content.tag",
    }
    kind = request.GET.get("type")
    if not kind:
        return [source for kind, source in sources.items() if scope.current().has_one_of([MODULES[kind]])]
    if kind not in sources:
        raise errors.ValidationFailed.for_field(
            "/type",
            "unknown_value",
            wording.say('"{value}" is not one of {known}.', value=kind, known=", ".join(sources)),
        )
    modules.require(MODULES[kind])
    return [sources[kind]]


def _parent_id(kind: str, parent: str, locale: str) -> uuid.UUID | None:
    if parent == "root":
        return None
    return queries.get_parent(kind=kind, slug_or_id=parent, locale=locale).id


urlpatterns = [
    path("products", ProductsView.as_view()),
    path("products/<str:handle>", ProductView.as_view()),
    path("content/<slug:kind>", ContentListView.as_view()),
    path("content/<slug:kind>/<str:slug>", ContentView.as_view()),
    path("categories", CategoriesView.as_view()),
    path("search", SearchView.as_view()),
]
