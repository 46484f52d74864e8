"""Imports in the admin: a file is sent, looked through, taken, watched, stopped, and taken back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import batched
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseNotAllowed,
    HttpResponseRedirect,
    JsonResponse,
    StreamingHttpResponse,
)
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html

from apps.accounts.access.backend import rights_here
from apps.accounts.access.rights import ANY
from apps.accounts.desk import dashboard
from apps.imports import formats, models, queries, serving
from apps.kernel import errors, streaming
from apps.tenants import scope
from apps.tenants.admin import TenantReadOnlyAdmin

SHOWN_PROBLEMS, PAGE = 20, 500
COLUMNS = ("row", "column", "value", "problem")
PROBLEMS = streaming.csv_of(COLUMNS)
_CHOICES = ("locale", "currency", "location", "encoding")


class UploadForm(forms.Form):
    """What can be chosen; what a format has no use for is left alone."""

    file = forms.FileField()
    format = forms.ChoiceField()
    locale = forms.ChoiceField(label="Language of the texts")
    currency = forms.CharField(label="Currency of the prices", max_length=3)
    location = forms.CharField(label="Stock location", initial="default", max_length=64)
    encoding = forms.CharField(
        label="Encoding",
        required=False,
        max_length=40,
        help_text="Only where accents come out wrong: it is told by the bytes.",
    )
    is_dry_run = forms.BooleanField(
        label="Only look for problems first",
        required=False,
        initial=True,
        help_text="Nothing is written; import it afterwards.",
    )

    def __init__(self, offered: list[formats.Format], *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        at_work = scope.current()
        choices: dict[str, list[tuple[str, str]]] = {
            "format": [(format.name, format.title) for format in offered],
            "locale": [(locale, locale) for locale in at_work.locales],
        }
        for name, given in choices.items():
            field = self.fields[name]
            if isinstance(field, forms.ChoiceField):
                field.choices = given
        most = min(serving.LARGEST_FILE, settings.LARGEST_UPLOAD) >> 20
        self.fields["file"].help_text = f"Up to {most} MiB; it may be gzipped."
        self.fields["locale"].initial = at_work.default_locale
        self.fields["currency"].initial = at_work.currency

    def options_for(self, format: formats.Format) -> dict[str, Any]:
        return {name: self.cleaned_data[name] for name in _CHOICES if name in format.options.model_fields}


def offered_to(request: HttpRequest) -> list[formats.Format]:
    """The formats whoever asks may import in the tenant of the host: with the permission, and without limits to it."""
    at_work = scope.find()
    if at_work is None:
        return []
    user: Any = request.user
    held = rights_here(user)
    return [
        format
        for format in formats.formats().values()
        if format.is_offered
        and all(module in at_work.modules for module in format.modules)
        and (user.is_superuser or ANY in held.on(format.permission))
    ]


def seen_by(request: HttpRequest) -> list[str]:
    """The formats whose runs whoever asks may see; from outside of a tenant the superuser sees all."""
    user: Any = request.user
    offered = formats.formats().values() if scope.find() is None and user.is_superuser else offered_to(request)
    return [format.name for format in offered]


@admin.register(models.Run)
class RunAdmin(TenantReadOnlyAdmin):
    """For those who may import something. Files are sent, and runs acted on, on the tenant's host only."""

    called = ("import", "imports")
    list_display = ("file_name", "format", "state", "progress", "written", "skipped", "notes", "created_at", "actor")
    list_filter = ("status", "format", "is_dry_run")
    search_fields = ("file_name", "actor")
    ordering = ("-id",)

    @admin.display(description="status", ordering="status")
    def state(self, run: models.Run) -> str:
        return format_html('<span class="pill pill-{}">{}</span>', run.status, run.get_status_display())

    @admin.display(description="progress")
    def progress(self, run: models.Run) -> str:
        return f"{run.done:,} of {run.total:,}"

    @admin.display(description="written")
    def written(self, run: models.Run) -> str:
        return "dry run" if run.is_dry_run else f"{run.touched:,}"

    @admin.display(description="skipped")
    def skipped(self, run: models.Run) -> int:
        return run.skipped

    def has_module_permission(self, request: HttpRequest) -> bool:
        return bool(seen_by(request))

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        seen = seen_by(request)
        return bool(seen) if obj is None else obj.format in seen

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).filter(format__in=seen_by(request))

    def get_urls(self) -> list[URLPattern]:
        def at(address: str, view: Callable[..., HttpResponseBase], name: str) -> URLPattern:
            return path(address, self.admin_site.admin_view(view), name=f"imports_run_{name}")

        return [
            at("upload/", self.upload, "upload"),
            at("<uuid:run_id>/progress/", self.shown_progress, "progress"),
            at("<uuid:run_id>/problems.csv", self.problems, "problems"),
            at("<uuid:run_id>/do/<str:verb>/", self.act, "act"),
            *super().get_urls(),
        ]

    change_list_template = "imports/list.html"

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return super().changelist_view(request, {**(extra_context or {}), "may_import": bool(offered_to(request))})

    def upload(self, request: HttpRequest) -> HttpResponse:
        """Send a file, and come to the page where it can be watched."""
        offered = offered_to(request)
        if not offered:
            raise PermissionDenied
        form = UploadForm(offered, request.POST or None, request.FILES or None)
        if request.method == "POST" and form.is_valid():
            try:
                run = self._ask(request, form)
            except errors.DomainError as refusal:
                for problem in refusal.problems:
                    form.add_error(_field_of(problem.pointer), problem.detail)
                if not refusal.problems:
                    form.add_error("file", refusal.detail)
            else:
                return HttpResponseRedirect(reverse("admin:imports_run_change", args=[run.id]))
        return self._page(request, "imports/upload.html", {"form": form, "title": "Import a file"})

    def _ask(self, request: HttpRequest, form: UploadForm) -> models.Run:
        format, file, user = formats.formats()[form.cleaned_data["format"]], form.cleaned_data["file"], request.user
        return serving.ask(
            format=format,
            file=file,
            name=file.name,
            options=form.options_for(format),
            is_dry_run=form.cleaned_data["is_dry_run"],
            by=user,  # type: ignore[arg-type] # the admin is open to users only
            now=timezone.now(),
        )

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """How far it is, what was not taken as it stood, and what can be done about it."""
        run = self._run(request, object_id)
        shown = {
            "title": run.file_name,
            "run": run,
            "format": formats.formats()[run.format].title,
            "tally": _tally(run),
            "steps": _steps(run) if scope.find() else [],
            "problems": run.problems.order_by("id")[:SHOWN_PROBLEMS],
            "left_over": queries.left_of(run.id)[:SHOWN_PROBLEMS],
            "options": {name: value for name, value in run.options.items() if value},
        }
        return self._page(request, "imports/run.html", shown)

    def shown_progress(self, request: HttpRequest, run_id: Any) -> HttpResponse:
        """For the page that watches it."""
        run = self._run(request, run_id)
        return JsonResponse(
            run.shown() | {"steps": [verb for verb, _ in _steps(run) if scope.find()], "lines": _tally(run)}
        )

    def problems(self, request: HttpRequest, run_id: Any) -> StreamingHttpResponse:
        """All that was not taken as it stood, one a row."""
        run = self._run(request, run_id)
        return streaming.respond(_lines(run), PROBLEMS, name=f"{run}-problems")

    def act(self, request: HttpRequest, run_id: Any, verb: str) -> HttpResponse:
        """Cancel, resume, undo, or import what was only looked through."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if scope.find() is None:
            raise PermissionDenied
        run, now = self._run(request, run_id), timezone.now()
        if verb not in dict(_steps(run)):
            messages.error(request, f"The import is {run.status}; that can't be done now.")
            return HttpResponseRedirect(reverse("admin:imports_run_change", args=[run.id]))
        try:
            if verb == "repeat":
                run = serving.repeat(run, by=request.user, now=now)  # type: ignore[arg-type] # as above
            else:
                {"cancel": serving.cancel, "resume": serving.resume, "undo": serving.undo}[verb](run, now=now)
        except errors.DomainError as refusal:
            messages.error(request, refusal.detail)
        return HttpResponseRedirect(reverse("admin:imports_run_change", args=[run.id]))

    def _run(self, request: HttpRequest, run_id: Any) -> models.Run:
        if not self.has_view_permission(request):
            raise PermissionDenied
        try:
            found: models.Run = self.get_queryset(request).get(pk=run_id)
        except (models.Run.DoesNotExist, ValueError, forms.ValidationError):
            raise Http404 from None
        return found

    def _page(self, request: HttpRequest, template: str, shown: dict[str, Any]) -> HttpResponse:
        return TemplateResponse(
            request, template, {**self.admin_site.each_context(request), "opts": self.opts, **shown}
        )


@dashboard.panel(order=60)
def panel(request: HttpRequest) -> dashboard.Panel | None:
    """The latest imports, and where to begin one."""
    offered = offered_to(request)
    if not offered:
        return None
    runs = models.Run.objects.filter(format__in=[format.name for format in offered])[:5]
    return dashboard.Panel(
        title="Imports",
        address=reverse("admin:imports_run_changelist"),
        lines=[
            dashboard.Line(
                text=run.file_name,
                address=reverse("admin:imports_run_change", args=[run.id]),
                remark=f"{run.status}{', dry run' if run.is_dry_run else ''}",
                percent=run.done * 100 // run.total if run.total and run.finished_at is None else None,
            )
            for run in runs
        ],
        nothing="Nothing was imported yet.",
        steps=[dashboard.Step(label="Import a file", address=reverse("admin:imports_run_upload"))],
    )


def _steps(run: models.Run) -> list[tuple[str, str]]:
    """What can be done with the run as it is."""
    is_served = run.asked_by_id is not None
    if run.status in (models.Status.QUEUED, models.Status.RUNNING):
        return [("cancel", "Cancel")] if is_served else []
    found = []
    if run.status == models.Status.STOPPED and is_served and not run.undo_asked_at:
        found.append(("resume", "Go on"))
    if run.status == models.Status.DONE and run.is_dry_run and is_served:
        found.append(("repeat", "Import it now"))
    if run.status in (models.Status.STOPPED, models.Status.DONE) and not run.is_dry_run and is_served:
        found.append(("undo", "Take it back"))
    return found


def _tally(run: models.Run) -> list[dict[str, Any]]:
    return [
        {"kind": kind, "counts": {name: count for name, count in counts.items() if count}}
        for kind, counts in run.tally.items()
    ]


def _lines(run: models.Run) -> Iterator[bytes]:
    for page in batched(queries.problems_of(run.id), PAGE):
        yield PROBLEMS.lines([{name: getattr(problem, name) for name in COLUMNS} for problem in page])


def _field_of(pointer: str) -> str:
    name = pointer.strip("/").partition("/")[0]
    return name if name in _CHOICES else "file"
