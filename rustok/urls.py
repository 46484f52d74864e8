"""Every address of the installation. Each has one owner, and the owner's `api.py` lists what is below."""

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import include, path
from django.views.generic import RedirectView

from apps.content import comment_api
from apps.kernel import csp_reports
from apps.media import serving
from rustok import api_docs, guides, health, llms


def no_icon(request: HttpRequest) -> HttpResponse:
    """Browsers ask for it unasked; they keep the answer for a month."""
    return HttpResponse(status=204, headers={"Cache-Control": "public, max-age=2592000"})


urlpatterns = [
    path("", RedirectView.as_view(pattern_name="api-docs"), name="home"),
    path("favicon.ico", no_icon, name="favicon"),
    path(settings.CSP_REPORT_PATH.removeprefix("/"), csp_reports.receive, name="csp-reports"),
    path("health/", health.ready, name="health"),
    path("health/live", health.live, name="health-live"),
    path("health/ready", health.ready, name="health-ready"),
    path("", include("django_prometheus.urls")),
    path("admin/", admin.site.urls),
    path(f"{settings.MEDIA_URL.strip('/')}/<path:path>", serving.serve, name="media"),
    path("api/v1/store/account/", include("apps.accounts.api.account")),
    path("api/v1/store/account/", include(comment_api.customers)),
    path("api/v1/store/", include("apps.readmodels.api")),
    path("api/v1/admin/", include("apps.content.bulk_api")),  # ahead of the addresses of one node
    path("api/v1/admin/", include("apps.content.api")),
    path("api/v1/admin/", include("apps.content.menu_api")),
    path("api/v1/admin/", include(comment_api.editors)),
    path("api/v1/admin/", include("apps.commerce.api")),
    path("api/v1/admin/", include("apps.tenants.api")),
    path("api/v1/admin/", include("apps.tenants.field_api")),
    path("api/v1/admin/", include("apps.audit.api")),
    path("api/v1/admin/", include("apps.jobs.api")),
    path("api/v1/admin/", include("apps.media.api")),
    path("api/v1/admin/", include("apps.accounts.access.api")),
    path("api/v1/admin/", include("apps.accounts.api.management")),
    path("api/v1/admin/", include("apps.accounts.api.customers")),
    path("api/v1/auth/", include("apps.accounts.api.auth")),
    path("api/v1/auth/", include("apps.accounts.api.mailed")),
    path("api/v1/auth/", include("apps.accounts.api.totp")),
    path("", include("apps.readmodels.sitemaps")),
    path("", include("apps.readmodels.feeds")),
    path("", include("apps.kernel.problems")),
    path("", include("apps.events.api")),
    path("", include("apps.consumers.catalogue")),
    path("api/schema", api_docs.schema, name="api-schema"),
    path("api/docs", api_docs.swagger, name="api-docs"),
    path("api/redoc", api_docs.redoc, name="api-redoc"),
    path("docs/<path:name>", guides.page, name="guide"),
    path("llms.txt", llms.IndexView.as_view(), name="llms"),
    path("llms-full.txt", llms.FullView.as_view(), name="llms-full"),
]

handler400 = "apps.kernel.api.bad_request"
handler403 = "apps.accounts.desk.refusing.forbidden"
handler404 = "apps.accounts.desk.refusing.not_found"
handler500 = "apps.accounts.desk.refusing.server_error"
