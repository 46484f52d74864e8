"""Feeds of posts: RSS 2.0 and Atom (RFC 4287), in each language, of all or of one category or tag."""

from __future__ import annotations

from typing import Any

import orjson
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import path
from django.utils import feedgenerator

from apps.content import kinds
from apps.kernel import text
from apps.readmodels import addresses, models, queries
from apps.readmodels.sitemaps import HIDDEN, PublicFile
from apps.tenants import queries as tenants
from apps.tenants import scope

_FORMATS: dict[str, type[feedgenerator.SyndicationFeed]] = {
    "rss": feedgenerator.Rss201rev2Feed,
    "atom": feedgenerator.Atom1Feed,
}
_SOURCES = {"category": "content.category", "tag": "content.tag"}


class FeedView(PublicFile):
    modules = ("content",)

    def get(self, request: HttpRequest, locale: str, format: str, term: str = "", slug: str = "") -> HttpResponse:
        """The newest posts, as many as the tenant's setting `site` says."""
        if locale not in scope.current().locales or format not in _FORMATS or (term and term not in _SOURCES):
            raise Http404
        found = addresses.whole(request)
        posts = queries.content_of(kinds.POST).filter(locale=locale).exclude(document__contains=HIDDEN)
        title = tenants.current_name()
        if term:
            label = _term(term, slug, locale)
            title = f"{title}: {label.name}"
            posts = posts.filter(**{f"{'category' if term == 'category' else 'tag'}_ids__contains": [label.id]})
        feed = _FORMATS[format](
            title=text.for_xml(title),
            link=f"{found.origin}/",
            description=found.site.description or title,
            language=locale,
            feed_url=f"{found.origin}{request.path}",
        )
        for post in posts.order_by("-published_at", "-id")[: found.site.feed_length]:
            _add(feed, post, found)
        return self.answer(feed.writeString("utf-8"), f"application/{format}+xml")


def _term(term: str, slug: str, locale: str) -> models.LiveTerm:
    """The category or tag, by its slug in any language, called as in this one."""
    try:
        named = queries.get_term(source=_SOURCES[term], slug=slug)
    except queries.TermNotFound:
        raise Http404 from None
    return queries.in_locale(models.LiveTerm.objects.filter(id=named.id), locale).first() or named


def _add(feed: feedgenerator.SyndicationFeed, post: models.LiveContent, found: addresses.Addresses) -> None:
    document: dict[str, Any] = orjson.loads(post.document)
    body = document["body"] or {}
    feed.add_item(
        title=text.for_xml(document["title"]),
        link=found.url("node", post.slug, post.locale, kind=post.kind),
        description=text.for_xml(document["excerpt"] or body.get("html", "")),
        unique_id=f"urn:uuid:{post.id}",
        unique_id_is_permalink=False,
        pubdate=post.published_at,
        author_name=text.for_xml(document["author"] or "") or None,
    )


urlpatterns = [
    path("feeds/<str:locale>.<slug:format>", FeedView.as_view()),
    path("feeds/<str:locale>/<slug:term>/<str:slug>.<slug:format>", FeedView.as_view()),
]
