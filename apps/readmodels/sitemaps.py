"""`/sitemap.xml`, its parts, and `/robots.txt` (sitemaps.org, RFC 9309): what a tenant publishes, for search engines.

A part begins with an id and ends a few thousand further. Ids grow with time, so what is added comes into the last part,
and all others stay as they are and are not fetched again.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any, ClassVar
from xml.sax.saxutils import escape

from django.db.models import F, QuerySet, Value, Window
from django.db.models.functions import Right, RowNumber
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import path
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.http import conditional_page

from apps.content import kinds
from apps.kernel import ids
from apps.readmodels import addresses, models
from apps.tenants import scope

# Far below the 50,000 that are allowed: each has its alternates in all languages.
IN_A_PART = 5_000
KEPT_SECONDS = 3600
# As documents have it: apps.readmodels.projections.shared.seo.
HIDDEN = '"noindex":true,"image_id":'
# The end of a document: "2026-01-31T12:00:00.000000Z"}
_MOMENT = 29


@dataclass(frozen=True, slots=True)
class Source:
    """What is listed together. `type` is as the addresses call it, `slug` the column; terms know no moment."""

    name: str
    type: str
    prefix: str
    module: str
    model: Any
    slug: str = "slug"
    term: str = ""

    def rows(self) -> QuerySet[Any]:
        """Everything of it that search engines may know."""
        rows: QuerySet[Any] = self.model.objects.exclude(document__contains=HIDDEN)
        if self.term:
            return rows.filter(source=self.term)
        return rows.exclude(kind__in=kinds.following_parents()) if self.type == "node" else rows


SOURCES = {
    source.name: source
    for source in (
        Source("content", "node", "node", "content", models.LiveContent),
        Source("topics", "content_category", "cat", "content", models.LiveTerm, term="content.category"),
        Source("tags", "tag", "tag", "content", models.LiveTerm, term="content.tag"),
        Source("products", "product", "prod", "commerce", models.LiveProduct, slug="handle"),
        Source("categories", "category", "cat", "commerce", models.LiveTerm, term="commerce.category"),
        Source("collections", "collection", "coll", "commerce", models.LiveTerm, term="commerce.collection"),
    )
}


@method_decorator(conditional_page, name="dispatch")
class PublicFile(View):
    """A file that anybody may fetch, and caches may keep."""

    tenancy = "tenant"
    modules: ClassVar[tuple[str, ...]] = ("content", "commerce")

    def answer(self, text: str, media_type: str) -> HttpResponse:
        headers = {"Cache-Control": f"public, max-age={KEPT_SECONDS}", "Vary": "X-Tenant"}
        return HttpResponse(text, content_type=f"{media_type}; charset=utf-8", headers=headers)


class RobotsView(PublicFile):
    def get(self, request: HttpRequest) -> HttpResponse:
        """Where the sitemap is, or that nothing is to be indexed."""
        found = addresses.whole(request)
        rules = "Allow: /" if found.site.is_indexed else "Disallow: /"
        lines = ["User-agent: *", rules, *([f"Sitemap: {found.origin}/sitemap.xml"] if found.site.is_indexed else [])]
        return self.answer("\n".join(lines) + "\n", "text/plain")


class IndexView(PublicFile):
    def get(self, request: HttpRequest) -> HttpResponse:
        """Every part of the sitemap, with one query for each source."""
        origin = addresses.whole(request).origin
        parts = [
            f"<sitemap><loc>{escape(f'{origin}/sitemaps/{source.name}/{locale}/{start}.xml')}</loc></sitemap>"
            for source in SOURCES.values()
            if scope.current().has_one_of([source.module])
            for locale, start in _starts(source)
        ]
        return self.answer(_whole("sitemapindex", parts), "application/xml")


class PartView(PublicFile):
    def get(self, request: HttpRequest, name: str, locale: str, start: str) -> HttpResponse:
        """A few thousand addresses, each with its alternates in other languages."""
        source = SOURCES.get(name)
        if source is None or not scope.current().has_one_of([source.module]) or locale not in scope.current().locales:
            raise Http404
        try:
            first = ids.decode(source.prefix, start)
        except ids.InvalidId:
            raise Http404 from None
        found = list(_urls(source, locale, first, addresses.whole(request)))
        if not found:
            raise Http404
        return self.answer(_whole("urlset", found), "application/xml")


def _starts(source: Source) -> Iterator[tuple[str, str]]:
    """Locale and first id of each part."""
    place = Window(RowNumber(), partition_by=F("locale"), order_by=F("id").asc())
    rows = source.rows().filter(locale__in=scope.current().locales)
    firsts = rows.annotate(place=place).annotate(rest=F("place") % Value(IN_A_PART)).filter(rest=1)
    for locale, found in sorted(firsts.values_list("locale", "id")):
        yield locale, ids.encode(source.prefix, found)


def _urls(source: Source, locale: str, first: uuid.UUID, found: addresses.Addresses) -> Iterator[str]:
    """Each object from `first` on that is in this language."""
    listed = source.rows().filter(locale=locale, id__gte=first).order_by("id")
    wanted = list(listed.values_list("id", flat=True)[:IN_A_PART])
    columns = ["id", "locale", source.slug]
    columns += ["kind"] if source.type == "node" else []
    rows = source.rows().filter(id__in=wanted, locale__in=scope.current().locales)
    rows = rows.annotate(end=Right("document", _MOMENT)).order_by("id", "locale")
    for _, group in groupby(rows.values("end", *columns), key=lambda row: row["id"]):
        by_locale = {row["locale"]: row for row in group}
        yield _url(source, locale, by_locale, found)


def _url(source: Source, locale: str, by_locale: dict[str, Any], found: addresses.Addresses) -> str:
    links = {
        each: escape(found.url(source.type, row[source.slug], each, kind=row.get("kind")), {'"': "&quot;"})
        for each, row in by_locale.items()
    }
    default = scope.current().default_locale
    named = {**links, **({"x-default": links[default]} if default in links else {})} if len(links) > 1 else {}
    alternates = "".join(
        f'<xhtml:link rel="alternate" hreflang="{each}" href="{link}"/>' for each, link in named.items()
    )
    changed = "" if source.term else f"<lastmod>{by_locale[locale]['end'].strip(chr(34) + '}')}</lastmod>"
    return f"<url><loc>{links[locale]}</loc>{changed}{alternates}</url>"


def _whole(element: str, parts: Iterable[str]) -> str:
    spaces = 'xmlns="http://www.sitemaps.org/schemas/sitemap/0.9" xmlns:xhtml="http://www.w3.org/1999/xhtml"'
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<{element} {spaces}>\n{"\n".join(parts)}\n</{element}>\n'


urlpatterns = [
    path("robots.txt", RobotsView.as_view()),
    path("sitemap.xml", IndexView.as_view()),
    path("sitemaps/<str:name>/<str:locale>/<str:start>.xml", PartView.as_view()),
]
