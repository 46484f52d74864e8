"""The log in the admin: on a tenant's host its own entries, elsewhere those of all. Looking is recorded."""

from __future__ import annotations

from typing import Any

import orjson
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.functional import cached_property
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from apps.audit import api, exporting, models, queries
from apps.kernel import context, isolation
from apps.kernel.admin import ReadOnlyAdmin


class ModuleFilter(admin.SimpleListFilter):
    """By the first word of the action, a fixed list: asking the log for its words would read all of it."""

    title = "module"
    parameter_name = "module"
    modules = ("accounts", "audit", "commerce", "content", "events", "tenants")

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in self.modules]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(action__startswith=f"{self.value()}.") if self.value() else queryset


class CappedPaginator(Paginator[Any]):
    """Counts no further than anybody turns pages: the log is long, and filters lead further back than pages do."""

    most = 5_000

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        return int(rows.order_by()[: self.most].count())


@admin.register(models.Entry)
class EntryAdmin(ReadOnlyAdmin):
    resource = "audit"
    called = ("entry of the audit log", "audit log")
    list_display = ("occurred_at", "actor", "action", "object_type", "object_id", "tenant_id")
    list_filter = (ModuleFilter, "occurred_at")
    search_fields = ("actor__exact", "object_id__exact", "action__startswith")
    search_help_text = "A whole actor (user:<uuid>), a whole object id, or the beginning of an action."
    fields = (
        "occurred_at", "actor", "authority", "action", "object_type", "object_id", "tenant_id", "before_and_after",
        "client_address", "correlation_id", "fingerprint",
    )  # fmt: skip
    readonly_fields = ("before_and_after", "client_address", "fingerprint")
    show_full_result_count = False
    paginator = CappedPaginator
    list_per_page = 50

    def get_list_display(self, request: HttpRequest) -> tuple[str, ...]:
        """Whose it is goes without saying on the host of one tenant."""
        return self.list_display if isolation.shows_all() else self.list_display[:-1]

    def get_queryset(self, request: HttpRequest) -> QuerySet[models.Entry]:
        if not isolation.shown():
            raise PermissionDenied("Open the audit log on the host of a tenant whose staff you are.")
        return models.Entry.objects.all()

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        """The newest first, as an index has it: ids are in order of time, over all tenants as well."""
        return ("-id",) if isolation.shows_all() else ("-occurred_at", "-id")

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        response = super().changelist_view(request, extra_context)
        _record(request, {"search": request.GET.urlencode() or None})
        return response

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        response = super().changeform_view(request, object_id, form_url, extra_context)
        if response.status_code == 200:
            _record(request, {"entry": object_id})
        return response

    @admin.display(description="changes")
    def before_and_after(self, row: models.Entry) -> SafeString:
        personal = queries.personal_of([row]).get(row.id)
        changes = exporting.shown(row, personal)["changes"]
        lines = format_html_join(
            "",
            '<tr><th>{}</th><td><pre class="audit-value">{}</pre></td><td><pre class="audit-value">{}</pre></td></tr>',
            ((name, _text(before), _text(after)) for name, (before, after) in sorted(changes.items())),
        )
        return format_html("<table><tr><th>field</th><th>before</th><th>after</th></tr>{}</table>", lines)

    @admin.display(description="client address")
    def client_address(self, row: models.Entry) -> str:
        personal = queries.personal_of([row]).get(row.id)
        return personal.client_address if personal else "none, or erased"

    @admin.display(description="SHA-256")
    def fingerprint(self, row: models.Entry) -> str:
        return bytes(row.hash).hex()


def _record(request: HttpRequest, what: dict[str, Any]) -> None:
    with context.use(actor=f"user:{request.user.pk}"), transaction.atomic():
        api.record_reading("audit.log.read", what)


def _text(value: Any) -> str:
    return "–" if value is None else value if isinstance(value, str) else orjson.dumps(value).decode()
