"""The storefront API: published documents only, read as prepared, joined with the names of their terms."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, ClassVar
from urllib.parse import urlencode

import orjson
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import path
from drf_spectacular.utils import OpenApiParameter
from rest_framework.permissions import AllowAny
from rest_framework.request import Request

from apps.kernel import errors, filters, ids, operations, pagination, paths, wording
from apps.kernel.listing import Listing, View
from apps.kernel.operations import operation
from apps.readmodels import addresses, assets, grids, menus, models, queries, search, shown
from apps.tenants import modules, scope
from apps.tenants.modules import ModuleOff

# Whose words and documents these are.
MODULES = {"product": "commerce", "collection": "commerce", "content": "content", "tag": "content"}
LONGEST_QUERY = 200
LONGEST_ADDRESS = 2048
_QUERY = {"type": "string", "minLength": 1, "maxLength": LONGEST_QUERY, "pattern": r"\S"}
_LOCALE = OpenApiParameter(
    "locale", description="Language; falls back to the tenant's default. Default: Accept-Language."
)
_TAGS = filters.Reader(lambda value: [filters.text(value)], filters.text.schema)
# Prepared documents are bytes that are joined and never read, so no list of the storefront has fields or expand.
PRODUCTS = Listing(
    document=shown.StoreProduct,
    has_fields=False,
    filters={
        "vendor": filters.words(),
        "product_type": filters.words(),
        "tag": filters.Filter(_TAGS, column="tags__contains"),
        "in_stock": filters.flag(),
        "published_at": filters.moments(),
    },
    sorts={"published_at": "published_at"},
    default="-published_at",
    others=(
        _LOCALE,
        OpenApiParameter("category", description="Slug of a product category."),
        OpenApiParameter("collection", description="Slug of a collection."),
    ),
)
CONTENT = Listing(
    document=shown.StoreContent,
    has_fields=False,
    filters={"published_at": filters.moments()},
    sorts={"published_at": "published_at"},
    default="-published_at",
    others=(
        _LOCALE,
        OpenApiParameter("category", description="Slug of a category; `taxonomy` names another tree than `category`."),
        OpenApiParameter("taxonomy"),
        OpenApiParameter("tag", description="Slug of a tag."),
        OpenApiParameter("parent", description="Slug or id of the parent, in any kind by id; `root` for none."),
    ),
)
# Of one parent, where the editors' order has an index.
CHILDREN = replace(CONTENT, sorts={"position": "position", **CONTENT.sorts}, default="position")
TERMS = Listing(
    document=shown.StoreTerm,
    has_fields=False,
    filters={"taxonomy": filters.words()},
    sorts={"position": "position"},
    default="position",
    others=(
        _LOCALE,
        OpenApiParameter(
            "type",
            enum=["product", "collection", "content", "tag"],
            description="Product categories, collections, content categories or content tags; default all.",
        ),
        OpenApiParameter("parent", description="Slug of the parent; `root` for the top of the trees."),
    ),
)
COMMENTS = Listing(
    document=shown.StoreComment,
    has_fields=False,
    filters={"published_at": filters.moments()},
    sorts={"published_at": "published_at"},
    default="published_at",
    others=(_LOCALE,),
)
HITS = Listing(
    document=shown.SearchHit,
    has_fields=False,
    sorts={},
    others=(
        OpenApiParameter("q", _QUERY, required=True, description='Words, "a phrase", -without, or.'),
        OpenApiParameter("type", enum=list(search.SEARCHABLE)),
        _LOCALE,
    ),
)


_CACHED = operations.Manners(
    (
        OpenApiParameter(
            "If-None-Match", location=OpenApiParameter.HEADER, description="An ETag; the answer is 304 if it holds."
        ),
    ),
    {
        "ETag": "What the answer holds, for If-None-Match.",
        "Content-Language": "The language of the documents.",
        "Cache-Control": "Caches keep the answer and ask each time whether it still holds.",
        "Vary": "What the answer depends on.",
    },
    also={304: "What If-None-Match names still holds."},
)


class StoreView(View):
    """Public: what is published may be read by anyone. `modules` names those of which the tenant must have one."""

    modules: ClassVar[tuple[str, ...]]

    authentication_classes = ()
    permission_classes = (AllowAny,)
    public = "what is published may be read by anyone"

    @classmethod
    def manners(cls, method: str) -> operations.Manners:
        """With tags for caches: an answer is good until something in it changes."""
        return super().manners(method) | _CACHED


class ProductsView(StoreView):
    modules = ("commerce",)
    listing = PRODUCTS

    @operation("store_products", tag="store", answers=shown.StoreProduct, refuses=(queries.TermNotFound,))
    def get(self, request: Request) -> HttpResponse:
        """Published products, newest first."""
        locale = read_locale(request)
        products = queries.in_locale(models.LiveProduct.objects.all(), locale)
        if slug := request.GET.get("category"):
            products = products.filter(
                category_ids__contains=[queries.get_term(source="commerce.category", slug=slug).id]
            )
        if slug := request.GET.get("collection"):
            products = products.filter(id__in=queries.get_term(source="commerce.collection", slug=slug).member_ids)
        return _document_list(request, PRODUCTS, products, locale)


class ProductView(StoreView):
    modules = ("commerce",)
    parameters = (_LOCALE,)

    @operation(
        "store_product", tag="store", answers=shown.StoreProduct, refuses=(queries.ProductNotFound, ids.InvalidId)
    )
    def get(self, request: Request, handle: str) -> HttpResponse:
        """One published product by handle or id."""
        locale = read_locale(request)
        product = queries.get_product(handle_or_id=handle, locale=locale)
        return _json(request, _with_terms([product], locale)[0], product.locale)


class ContentListView(StoreView):
    modules = ("content",)
    listing = CONTENT

    @operation(
        "store_content_list",
        tag="store",
        answers=shown.StoreContent,
        refuses=(queries.KindNotFound, queries.TermNotFound, queries.ContentNotFound),
    )
    def get(self, request: Request, kind: str) -> HttpResponse:
        """Published content of a kind, newest first; children of a parent in their own order, or `sort`ed."""
        locale = read_locale(request)
        nodes = queries.in_locale(queries.content_of(kind), locale)
        if slug := request.GET.get("category"):
            taxonomy = request.GET.get("taxonomy", "category")
            term = queries.get_term(source="content.category", slug=slug, taxonomy=taxonomy)
            nodes = nodes.filter(category_ids__contains=[term.id])
        if slug := request.GET.get("tag"):
            nodes = nodes.filter(tag_ids__contains=[queries.get_term(source="content.tag", slug=slug).id])
        if parent := request.GET.get("parent"):
            nodes = nodes.filter(parent_id=_parent_id(kind, parent, locale))
            return _document_list(request, CHILDREN, nodes, locale)
        return _document_list(request, CONTENT, nodes, locale)


class ContentView(StoreView):
    modules = ("content",)
    parameters = (_LOCALE,)

    @operation(
        "store_content",
        tag="store",
        answers=shown.StoreContent,
        also={301: "The slug is an old one; Location has the present address."},
        refuses=(queries.ContentNotFound, queries.KindNotFound, ids.InvalidId),
    )
    def get(self, request: Request, kind: str, slug: str) -> HttpResponse:
        """One published node by slug or id; an old slug answers 301 with the present address."""
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


class CommentsView(StoreView):
    modules = ("content",)
    listing = COMMENTS

    @operation(
        "store_comments",
        tag="store",
        answers=shown.StoreComment,
        refuses=(queries.ContentNotFound, queries.KindNotFound, ids.InvalidId),
    )
    def get(self, request: Request, kind: str, slug: str) -> HttpResponse:
        """Approved comments on a node and answers to them, oldest first; `count=exact` says how many there are."""
        locale = read_locale(request)
        rows = queries.comments_on(queries.get_content(kind=kind, slug_or_id=slug, locale=locale))
        page = pagination.paginate(COMMENTS.narrow(request, rows), order=COMMENTS.order(request), request=request)
        return _list(request, page, [orjson.dumps(_comment(row)) for row in page.rows], locale)


class CategoriesView(StoreView):
    modules = ("commerce", "content")
    listing = TERMS

    @operation("store_categories", tag="store", answers=shown.StoreTerm, refuses=(ModuleOff,))
    def get(self, request: Request) -> HttpResponse:
        """Categories, collections and tags in the editors' order."""
        locale = read_locale(request)
        terms = queries.in_locale(models.LiveTerm.objects.filter(source__in=_sources(request)), locale)
        if parent := request.GET.get("parent"):
            if parent == "root":
                terms = terms.filter(parent_id=None)
            else:
                owners = models.LiveTerm.objects.filter(slug=parent)
                terms = terms.filter(parent_id__in=owners.values("id"))
        page = pagination.paginate(TERMS.narrow(request, terms), order=TERMS.order(request), request=request)
        return _list(request, page, [row.document.encode() for row in page.rows], locale)


class MenuView(StoreView):
    modules = ("content",)
    parameters = (_LOCALE,)

    @operation("store_menu", tag="store", answers=shown.StoreMenu, refuses=(menus.MenuNotFound, ids.InvalidId))
    def get(self, request: Request, location: str) -> HttpResponse:
        """The menu of a location, or of an id, with what its items lead to; what is not published is left out."""
        locale = read_locale(request)
        return _json(request, orjson.dumps(menus.get_menu(location_or_id=location, locale=locale)), locale)


class AssetView(StoreView):
    modules = ("content", "commerce")
    parameters = (_LOCALE,)

    @operation("store_asset", tag="store", answers=shown.StoreAsset, refuses=(assets.AssetNotFound,))
    def get(self, request: Request, asset_id: str) -> HttpResponse:
        """A file of the media library by the id that blocks and others name it by."""
        locale = read_locale(request)
        asset = assets.get_asset(asset_id=ids.decode("asset", asset_id), locale=locale)
        return _json(request, orjson.dumps(asset), locale)


class RedirectView(StoreView):
    modules = ("content",)
    parameters = (
        OpenApiParameter(
            "path",
            {"type": "string", "minLength": 1, "maxLength": LONGEST_ADDRESS},
            required=True,
            description="What was asked for: a path with its query, or a whole address.",
        ),
        _LOCALE,
    )

    @operation("store_redirect", tag="store", answers=shown.StoreRedirect, refuses=(queries.ContentNotFound,))
    def get(self, request: Request) -> HttpResponse:
        """Where a page of a former site is now: frontends ask before they answer 404, and lead there with 301."""
        locale = read_locale(request)
        path = _read_old_path(request)
        node = queries.find_by_old_path(path=path, locale=locale)
        found: shown.StoreRedirect = {
            "path": path,
            "location": addresses.paths().path("node", node.slug, node.locale, kind=node.kind),
            "id": ids.encode("node", node.id),
            "kind": node.kind,
            "slug": node.slug,
            "locale": node.locale,
        }
        return _json(request, orjson.dumps(found), node.locale)


class SearchView(StoreView):
    modules = ("search",)
    limit_cost = 2
    listing = HITS

    @operation("store_search", tag="store", answers=shown.SearchHit, refuses=(ModuleOff,))
    def get(self, request: Request) -> HttpResponse:
        """Full-text search over products and content, best first: `{"type", "rank", "document"}`."""
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


def _read_old_path(request: Request) -> str:
    """Raises ValidationFailed for what is no path, and without one."""
    asked = request.GET.get("path", "")
    if not asked or len(asked) > LONGEST_ADDRESS:
        said = wording.say("send the path that was asked for, at most {limit} characters.", limit=LONGEST_ADDRESS)
        raise errors.ValidationFailed.for_field("/path", "invalid_path", said)
    try:
        return paths.plain(asked)
    except paths.NoPath:
        raise queries.ContentNotFound(
            wording.say('Nothing that is published was at "{path}".', path=asked[:200])
        ) from None


def read_locale(request: HttpRequest | Request) -> str:
    """`locale`, else the first enabled one of `Accept-Language`, else the default. Raises ValidationFailed."""
    tenant = scope.current()
    asked = request.GET.get("locale")
    if asked is not None:
        if asked not in tenant.locales:
            said = wording.say(
                '"{value}" is not enabled here; use one of {known}.',
                value=asked[:60],
                known=", ".join(sorted(tenant.locales)),
            )
            raise errors.ValidationFailed.for_field("/locale", "unknown_locale", said)
        return asked
    for tag in request.headers.get("Accept-Language", "").split(","):
        wanted = tag.split(";")[0].strip()
        for known in (wanted, wanted[:2].lower()):
            if known in tenant.locales:
                return known
    return tenant.default_locale


def _document_list(request: Request, listing: Listing, rows: QuerySet[Any], locale: str) -> HttpResponse:
    order = listing.order(request)
    needed = ["tenant_id", "id", "locale", "document", "category_ids", *(name.removeprefix("-") for name in order)]
    if rows.model is models.LiveContent:
        needed.append("tag_ids")
    page = pagination.paginate(listing.narrow(request, rows).only(*needed), order=order, request=request)
    return _list(request, page, _with_terms(page.rows, locale), locale)


def _with_terms(rows: Sequence[Any], locale: str) -> list[bytes]:
    """Each prepared document with `categories`, and for content `content_tags`, spliced in: one query for all.

    Two more where bodies show products.
    """
    wanted = {term_id for row in rows for term_id in _term_ids(row)}
    labels = queries.term_labels(term_ids=wanted, locale=locale)
    documents = []
    for row, document in zip(rows, grids.filled([row.document for row in rows], locale), strict=True):
        parts = [document[:-1].encode(), b',"categories":', _array(labels, row.category_ids)]
        if _is_content(row):
            parts += [b',"content_tags":', _array(labels, row.tag_ids)]
        documents.append(b"".join([*parts, b"}"]))
    return documents


def _term_ids(row: Any) -> list[uuid.UUID]:
    return [*row.category_ids, *(row.tag_ids if _is_content(row) else ())]


def _is_content(row: Any) -> bool:
    return row.kind == "content" if isinstance(row, search.Hit) else isinstance(row, models.LiveContent)


def _array(labels: dict[uuid.UUID, bytes], term_ids: Iterable[uuid.UUID]) -> bytes:
    return b"[" + b",".join(labels[term_id] for term_id in term_ids if term_id in labels) + b"]"


def _comment(row: models.LiveContent) -> shown.StoreComment:
    """Of the document only what is to be seen of a comment."""
    document = orjson.loads(row.document)
    return {
        "id": document["id"],
        "parent_id": document["parent_id"],
        "author": document["author"],
        "locale": document["locale"],
        "html": (document["body"] or {}).get("html", ""),
        "published_at": document["published_at"],
    }


def _list(request: Request, page: pagination.Page[Any], rows: list[bytes], locale: str) -> HttpResponse:
    links = pagination.links(request, page)
    tail = orjson.dumps({**links, "count": page.count})
    answer = _json(request, b'{"data":[' + b",".join(rows) + b"]," + tail[1:], locale)
    if named := pagination.link_header(links):
        answer["Link"] = named
    return answer


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


def _choice(request: Request, name: str, choices: Sequence[str]) -> str:
    text = request.GET.get(name, "")
    if text not in choices:
        said = wording.say(
            '"{value}" is not one of {known}.{hint}',
            value=text[:60],
            known=", ".join(choices),
            hint=errors.did_you_mean(text, choices),
        )
        raise errors.ValidationFailed.for_field(f"/{name}", "unknown_value", said)
    return text


def _read_query(request: Request) -> str:
    text = request.GET.get("q", "").replace("\x00", "").strip()
    if not 1 <= len(text) <= LONGEST_QUERY:
        said = wording.say("give 1 to 200 characters to search for.")
        raise errors.ValidationFailed.for_field("/q", "invalid_query", said)
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
    if "type" not in request.GET:
        return [source for kind, source in sources.items() if scope.current().has_one_of([MODULES[kind]])]
    kind = _choice(request, "type", tuple(sources))
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
    path("content/<slug:kind>/<str:slug>/comments", CommentsView.as_view()),
    path("categories", CategoriesView.as_view()),
    path("menus/<str:location>", MenuView.as_view()),
    path("assets/<str:asset_id>", AssetView.as_view()),
    path("redirects", RedirectView.as_view()),
    path("search", SearchView.as_view()),
]
