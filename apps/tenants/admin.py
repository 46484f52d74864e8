"""Tenants in the admin, readable; and the base the other apps' screens stand on."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.db import models as django_models
from django.http import HttpRequest, HttpResponse
from django.template.response import SimpleTemplateResponse

from apps.kernel.admin import ReadOnlyAdmin
from apps.tenants import models, modules, queries, scope

# Whether the row on the page is looked at from a host of no tenant, in the scope of its own.
_from_outside: ContextVar[bool] = ContextVar("from_outside", default=False)


def is_at_work() -> bool:
    """Whether this is the host of a tenant, where its rows are changed."""
    return scope.find() is not None and not _from_outside.get()


class TenantReadOnlyAdmin(ReadOnlyAdmin):
    """Rows of the tenant the host leads to; on a host of no tenant, the rows of all: see `PlatformAdminMiddleware`."""

    list_select_related: ClassVar[tuple[str, ...]] = ("tenant",)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return not self._is_off() and super().has_module_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return not self._is_off() and super().has_view_permission(request, obj)

    def _is_off(self) -> bool:
        return modules.are_off(modules.owners_of_package(self.model.__module__))

    def get_list_filter(self, request: HttpRequest) -> list[Any]:
        own = super().get_list_filter(request)
        return [*own] if scope.find() is not None else ["tenant", *own]

    def get_list_display(self, request: HttpRequest) -> list[Any] | tuple[Any, ...]:
        """Whose a row is goes without saying on the host of one tenant."""
        shown = super().get_list_display(request)
        return shown if scope.find() is None else [name for name in shown if name != "tenant"]

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        others = super().get_fields(request, obj)
        return ["tenant", *(name for name in others if name != "tenant")]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        return [*super().get_readonly_fields(request, obj), "tenant"]  # not editable, so not shown by itself

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """On a host of no tenant, one object is shown in the scope of its own."""
        row = None
        if scope.find() is None and object_id is not None:
            row = self.get_object(request, unquote(object_id))
        if row is None:
            return super().changeform_view(request, object_id, form_url, extra_context)
        token = _from_outside.set(True)
        try:
            with scope.use(queries.scope_of(row.tenant)):
                response = super().changeform_view(request, object_id, form_url, extra_context)
                if isinstance(response, SimpleTemplateResponse):
                    response.render()  # while the scope lasts
                return response
        finally:
            _from_outside.reset(token)


class TranslatedReadOnlyAdmin(TenantReadOnlyAdmin):
    """Lists show the words of every locale, those of a tenant the words it would show; all come in one query."""

    shown = "name"

    def get_queryset(self, request: HttpRequest) -> django_models.QuerySet[Any]:
        rows: django_models.QuerySet[Any] = super().get_queryset(request)
        return rows.prefetch_related(self.texts_shown(request))

    def texts_shown(self, request: HttpRequest) -> str | django_models.Prefetch[Any]:
        """The translations of the rows; a screen may show some people not all of them."""
        return "translations"

    @admin.display(description="name")
    def words(self, row: Any) -> str:
        if scope.find() is not None:
            return str(row)
        translations = sorted(row.translations.all(), key=lambda entry: entry.locale)
        return ", ".join(f"{getattr(entry, self.shown)} ({entry.locale})" for entry in translations)


class ReadOnlyInline(admin.TabularInline[Any, Any]):
    """Rows of the object shown."""

    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class DomainInline(ReadOnlyInline):
    model = models.Domain


class LocaleInline(ReadOnlyInline):
    model = models.TenantLocale


@admin.register(models.Purge)
class PurgeAdmin(ReadOnlyAdmin):
    list_display = ("slug", "purged_id", "actor", "started_at", "finished_at", "sha256")


class ModuleInline(ReadOnlyInline):
    model = models.TenantModule


@admin.register(models.FieldSchema)
class FieldSchemaAdmin(TenantReadOnlyAdmin):
    resource = "settings"
    list_display = ("name", "tenant", "subject", "updated_at")
    list_filter = ("subject",)
    search_fields = ("name",)
    ordering = ("-id",)


@admin.register(models.Tenant)
class TenantAdmin(ReadOnlyAdmin):
    """On a tenant's host that tenant; on a host of no tenant all of them."""

    resource = "settings"
    list_display = ("slug", "name", "default_locale", "currency", "is_active", "suspended_at", "created_at")
    list_filter = ("is_active",)
    search_fields = ("slug", "name", "domains__host")
    inlines = (DomainInline, LocaleInline, ModuleInline)

    def get_queryset(self, request: HttpRequest) -> django_models.QuerySet[Any]:
        rows: django_models.QuerySet[Any] = super().get_queryset(request)
        at_work = scope.find()
        return rows if at_work is None else rows.filter(id=at_work.tenant_id)
