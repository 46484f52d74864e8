"""The headers that tell browsers what they must not do with our answers, on every answer there is.

docs/explanation/edge.md
"""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.request import validate_host
from django.middleware.security import SecurityMiddleware

from apps.kernel import client, errors

_HSTS = "Strict-Transport-Security"
# What no page of ours uses; a script that got in shall not use it either.
_FEATURES = (
    "accelerometer", "autoplay", "browsing-topics", "camera", "display-capture", "encrypted-media", "geolocation",
    "gyroscope", "magnetometer", "microphone", "midi", "payment", "picture-in-picture", "publickey-credentials-get",
    "screen-wake-lock", "serial", "usb", "xr-spatial-tracking",
)  # fmt: skip
_ALWAYS = {
    "Permissions-Policy": ", ".join(f"{feature}=()" for feature in _FEATURES),
    "Cross-Origin-Resource-Policy": "same-origin",
}


class HeadersMiddleware(SecurityMiddleware):
    """Outside of everything that can answer, so that refusals carry the headers too.

    Django's own SecurityMiddleware further inside redirects to HTTPS, where the scheme the client used is known.
    """

    def process_request(self, request: HttpRequest) -> None:
        return None

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        super().process_response(request, response)
        for name, value in _ALWAYS.items():
            response.headers.setdefault(name, value)
        response.headers.setdefault("Reporting-Endpoints", f'csp="{settings.CSP_REPORT_PATH}"')
        if _HSTS in response.headers and not _is_own_host(request):
            # A tenant's other hosts below its domain are not ours to force to HTTPS.
            response.headers[_HSTS] = f"max-age={settings.SECURE_HSTS_SECONDS}"
        return response


def _is_own_host(request: HttpRequest) -> bool:
    try:
        return validate_host(client.of(request).host, settings.PLATFORM_HOSTS)
    except errors.DomainError:
        return False
