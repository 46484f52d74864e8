"""The OpenAPI document for people: Swagger UI to try it out, Redoc to read it. Both are files of ours.

The document itself is public: it says what there is to ask, and nothing of anybody's data.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.views.decorators.csp import csp_override
from drf_spectacular.views import SpectacularAPIView, SpectacularRedocView, SpectacularSwaggerSplitView

_OPEN: dict[str, Any] = {"authentication_classes": [], "permission_classes": []}
# Redoc searches in a worker whose script it holds as text. What a worker may do is again the policy of the page.
_REDOC_POLICY: dict[str, list[str]] = settings.SECURE_CSP | {"worker-src": ["blob:"]}

schema = SpectacularAPIView.as_view(**_OPEN)
# Its script comes as a file of its own, which the Content-Security-Policy asks for.
swagger = SpectacularSwaggerSplitView.as_view(url_name="api-schema", template_name="rustok/swagger.html", **_OPEN)
redoc = csp_override(_REDOC_POLICY)(
    SpectacularRedocView.as_view(url_name="api-schema", template_name="rustok/redoc.html", **_OPEN)
)
