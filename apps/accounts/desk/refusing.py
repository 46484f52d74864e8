"""What is refused: in the admin a page with a way back, everywhere else a problem as the API tells it."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from apps.kernel import api


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """`handler403`."""
    return _page(request, "You may not do this", 403) or api.forbidden(request, exception)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """`handler404`."""
    return _page(request, "There is nothing here", 404) or api.not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    """`handler500`: the page asks nothing of what may be broken."""
    problem = api.server_error(request)
    if not _is_read_by_people(request):
        return problem
    page = render(None, "desk/broken.html", {"index": reverse("admin:index")}, status=problem.status_code)
    for name, value in problem.headers.items():
        page.headers.setdefault(name, value)
    return page


def _page(request: HttpRequest, title: str, status: int) -> HttpResponse | None:
    """None for a program, for who is elsewhere, and for who has not logged in."""
    if not _is_read_by_people(request) or not hasattr(request, "user") or not admin.site.has_permission(request):
        return None
    shown = {**admin.site.each_context(request), "title": title, "status": status}
    return render(request, "desk/refused.html", shown, status=status)


def _is_read_by_people(request: HttpRequest) -> bool:
    return request.path.startswith(reverse("admin:index")) and "text/html" in request.headers.get("Accept", "")
