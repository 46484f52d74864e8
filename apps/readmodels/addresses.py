"""Where the pages of a tenant's storefront are: the frontend is elsewhere, so the tenant says what its addresses look
like, in the setting `site`."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from typing import Annotated

from django.http import HttpRequest
from pydantic import AfterValidator, Field

from apps.kernel import seo, validation, wording
from apps.tenants import known_settings, scope
from apps.tenants.models import Domain

SETTING = "site"
_TEMPLATE = re.compile(r"/(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|\{(?:locale|slug|kind)\})*")


def _check_template(value: str) -> str:
    if not _TEMPLATE.fullmatch(value) or "{slug}" not in value:
        raise wording.refusal(
            "invalid_path",
            "a path starts with / and has {slug}, perhaps {locale} and {kind}, such as {example}",
            slug="{slug}",
            locale="{locale}",
            kind="{kind}",
            example="/{locale}/products/{slug}",
        )
    return value


def _check_origin(value: str) -> str:
    if value.rstrip("/").count("/") != 2 or "?" in value or "#" in value:
        raise wording.refusal("invalid_origin", "this is an address without a path, such as https://www.example.com")
    return value.rstrip("/")


Template = Annotated[
    str,
    Field(max_length=255, json_schema_extra={"pattern": r"^/.*\{slug\}"}),
    AfterValidator(_check_template),
]


class Paths(validation.Input):
    """What addresses look like; `{slug}` is the slug or handle. `node` is for kinds that are not named here."""

    page: Template = "/{locale}/{slug}"
    post: Template = "/{locale}/blog/{slug}"
    article: Template = "/{locale}/articles/{slug}"
    node: Template = "/{locale}/{kind}/{slug}"
    product: Template = "/{locale}/products/{slug}"
    category: Template = "/{locale}/categories/{slug}"
    collection: Template = "/{locale}/collections/{slug}"
    content_category: Template = "/{locale}/topics/{slug}"
    tag: Template = "/{locale}/tags/{slug}"


class Site(validation.Input):
    """The setting `site`. Without an `origin` it is the first domain of the tenant; what is not `is_indexed` asks
    search engines to stay away."""

    origin: Annotated[seo.WebAddress, AfterValidator(_check_origin)] | None = None
    paths: Paths = Paths()
    description: validation.Excerpt = ""
    image_id: Annotated[uuid.UUID, validation.TypedId("asset")] | None = None
    is_indexed: validation.Flag = True
    feed_length: Annotated[int, validation.Whole("length", 100, 1)] = 20


known_settings.register(SETTING, Site)


@dataclass(frozen=True, slots=True)
class Addresses:
    """The addresses of one tenant; `origin` is without a slash at its end."""

    site: Site
    origin: str = ""

    def path(self, type: str, slug: str, locale: str, *, kind: str | None = None) -> str:
        """Of a `node` of a kind, a `product`, or a term by its type."""
        own = type if type != "node" or kind is None or kind not in Paths.model_fields else kind
        template: str = getattr(self.site.paths, own)
        return template.replace("{locale}", locale).replace("{slug}", slug).replace("{kind}", kind or "")

    def url(self, type: str, slug: str, locale: str, *, kind: str | None = None) -> str:
        return self.origin + self.path(type, slug, locale, kind=kind)


def paths() -> Addresses:
    """Those of the tenant in scope, of which paths are wanted: one query."""
    return Addresses(known_settings.read(Site))


def whole(request: HttpRequest) -> Addresses:
    """The same with the host: that of the setting, else the tenant's first domain, else the one that was asked."""
    site = known_settings.read(Site)
    if site.origin is not None:
        return Addresses(site, site.origin)
    domains = Domain.objects.filter(tenant_id=scope.current_id()).order_by("created_at", "host")
    host = domains.values_list("host", flat=True).first()
    return Addresses(site, f"https://{host}" if host else request.build_absolute_uri("/").rstrip("/"))
