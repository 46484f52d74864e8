"""The OpenAPI document, and the same for people: Swagger UI to try it out, Redoc to read it. Both are files of ours.

The document is public: it says what there is to ask, and nothing of anybody's data.
"""

from __future__ import annotations

from functools import cache
from threading import Lock
from typing import Any

from django.conf import settings
from django.http import HttpResponse
from django.utils.decorators import method_decorator
from django.views.decorators.csp import csp_override
from django.views.decorators.http import conditional_page
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView, SpectacularRedocView, SpectacularSwaggerSplitView
from rest_framework.request import Request

_OPEN: dict[str, Any] = {"authentication_classes": [], "permission_classes": []}
# Redoc searches in a worker whose script it holds as text. What a worker may do is again the policy of the page.
_REDOC_POLICY: dict[str, list[str]] = settings.SECURE_CSP | {"worker-src": ["blob:"]}
_making = Lock()


def document() -> dict[str, Any]:
    """The OpenAPI document of this installation; the same for whoever asks. Not to be changed."""
    with _making:
        return _document()


@cache
def _document() -> dict[str, Any]:
    made: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    return made


@cache
def _rendered(media_type: str) -> str | bytes:
    renderers = {kind.media_type: kind for kind in SchemaView.renderer_classes}
    return renderers[media_type]().render(document(), renderer_context={})


@method_decorator(conditional_page, name="dispatch")
class SchemaView(SpectacularAPIView):
    """Made once in each process, since that takes a third of a second of processor time and anybody may ask."""

    public = "the API's description holds no data"

    @extend_schema(exclude=True)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        renderer = request.accepted_renderer
        return HttpResponse(
            _rendered(renderer.media_type),
            content_type=f"{renderer.media_type}; charset=utf-8",
            headers={
                "Cache-Control": "public, max-age=0, must-revalidate",
                "Content-Disposition": f'inline; filename="{settings.SPECTACULAR_SETTINGS["TITLE"]}.{renderer.format}"',
            },
        )


schema = SchemaView.as_view(**_OPEN)
# Its script comes as a file of its own, which the Content-Security-Policy asks for.
swagger = SpectacularSwaggerSplitView.as_view(url_name="api-schema", template_name="rustok/swagger.html", **_OPEN)
redoc = csp_override(_REDOC_POLICY)(
    SpectacularRedocView.as_view(url_name="api-schema", template_name="rustok/redoc.html", **_OPEN)
)
