"""The media library in the admin: files come, are described in every language, and go when nothing shows them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.core.files.uploadedfile import UploadedFile
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.template.defaultfilters import filesizeformat
from django.template.response import TemplateResponse
from django.urls import path
from django.utils.html import format_html
from django.utils.safestring import SafeString

from apps.accounts.access import limiting
from apps.accounts.access.site import LimitedAdmin
from apps.accounts.desk import words
from apps.accounts.desk.asking import Asked, number
from apps.accounts.desk.screens import EditingAdmin, at_work
from apps.accounts.desk.sheets import Document, Field, Section, Sheet
from apps.kernel import errors, validation
from apps.media import events, files, inputs, models, queries, services, usage
from apps.tenants.admin import ReadOnlyInline

_WORDS = (
    Field(name="translations/{locale}/alt", label="What it shows", help="For who can't see it, and search engines."),
    Field(name="translations/{locale}/caption", label="Caption", kind="text"),
)
_FOLDERS_OFFERED = 100


class AssetTranslationInline(ReadOnlyInline):
    model = models.AssetTranslation


class RenditionInline(ReadOnlyInline):
    model = models.Rendition


@admin.register(models.Asset)
class AssetAdmin(LimitedAdmin, EditingAdmin):
    """Thumbnails beside names; who shows an asset stands on its own page."""

    resource = "media"
    called = ("file", "media files")
    aggregate = events.ASSET
    columns = queries.COLUMNS
    list_display = ("thumbnail", "name", "tenant", "kind", "folder", "dimensions", "room", "created_at")
    list_display_links = ("thumbnail", "name")
    list_filter = ("kind", "folder")
    search_fields = ("name", "translations__alt")
    ordering = ("-id",)
    inlines = (AssetTranslationInline, RenditionInline)

    def get_queryset(self, request: HttpRequest) -> QuerySet[models.Asset]:
        rows: QuerySet[models.Asset] = super().get_queryset(request).prefetch_related("renditions")
        return rows

    @admin.display(description="")
    def thumbnail(self, asset: models.Asset) -> SafeString | str:
        address = _thumbnail(asset)
        if not address:
            return asset.get_kind_display()
        return format_html('<img class="thumb" src="{}" alt="" width="40" height="40" loading="lazy">', address)

    @admin.display(description="dimensions")
    def dimensions(self, asset: models.Asset) -> str:
        return f"{asset.width} × {asset.height}" if asset.width else ""

    @admin.display(description="size", ordering="size")
    def room(self, asset: models.Asset) -> str:
        return filesizeformat(asset.size)

    # --- One file ---------------------------------------------------------------------------------------------

    def stored(self, request: HttpRequest, row: Any) -> Document:
        asset = queries.get_asset(asset_id=row.pk)
        return {
            "name": asset.name,
            "folder": asset.folder,
            "focal/x": "" if asset.focal_x is None else str(asset.focal_x),
            "focal/y": "" if asset.focal_y is None else str(asset.focal_y),
            **words.stored(asset.translations.all(), "alt", "caption"),
        }

    def sheet(self, request: HttpRequest, row: Any, document: Mapping[str, Any]) -> Sheet:
        place = [
            Field(name="name", label="Name", is_required=True),
            Field(name="folder", label="Folder", suggestions=_folders(), help="Such as products/2026."),
        ]
        focus = [
            Field(name="focal/x", label="From the left, in percent", kind="number"),
            Field(name="focal/y", label="From the top, in percent", kind="number"),
        ]
        parts: list[Any] = [
            words.languages(fields=_WORDS, shown_by="alt", document=document),
            Section(title="Place", fields=place, is_aside=True),
        ]
        if row.width:
            note = "What is to be seen where the image is cut; the middle if this is empty."
            parts.append(Section(title="Focal point", fields=focus, note=note, is_aside=True, is_folded=True))
        parts.append(Section(title="Shown by", fields=(), note=_uses(row), is_aside=True))
        return Sheet(parts)

    def write(self, request: HttpRequest, row: Any, asked: Asked) -> uuid.UUID:
        focus = {axis: number(asked.maybe(f"focal/{axis}")) for axis in ("x", "y")}
        values: dict[str, Any] = {
            "name": asked.text("name"),
            "folder": asked.text("folder"),
            "translations": words.asked(asked),
            "focal_point": focus if any(value is not None for value in focus.values()) else None,
        }
        places = {"focal_point": "focal"}
        changed = {name: value for name, value in values.items() if asked.changes(places.get(name, name))}
        if changed:
            services.update_asset(asset_id=row.pk, changes=validation.parse(inputs.AssetChanges, changed))
        return uuid.UUID(str(row.pk))

    def erase(self, row_id: uuid.UUID) -> None:
        services.delete_asset(asset_id=row_id)

    def looks_like(self, row: Any) -> str:
        return _thumbnail(row, "medium")

    def tools(self, request: HttpRequest, row: Any) -> list[tuple[str, str]]:
        return [("Open the file", files.address(row.path))]

    # --- For choosers -------------------------------------------------------------------------------------------

    def offered(self, request: HttpRequest, rows: Any) -> Any:
        kind = request.GET.get("kind", "")
        return rows.filter(kind=kind) if kind else rows

    def as_found(self, row: Any) -> dict[str, str]:
        return super().as_found(row) | {"address": files.address(row.path), "picture": _thumbnail(row)}

    # --- Files that come ------------------------------------------------------------------------------------------

    def get_urls(self) -> list[Any]:
        upload = path("upload/", self.admin_site.admin_view(self.upload_view), name="media_asset_upload")
        return [upload, *super().get_urls()]

    def add_view(self, request: HttpRequest, *arguments: Any, **named: Any) -> HttpResponse:
        return HttpResponseRedirect(self._address("upload"))

    def upload_view(self, request: HttpRequest) -> HttpResponse:
        """Take files into the library, each by itself. Scripts are answered in JSON, with what was taken and not."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        with at_work(request):
            taken, refused = _take(request) if request.method == "POST" else ([], [])
            if request.headers.get("Accept") == "application/json":
                told = [{"name": name, "reason": reason} for name, reason in refused]
                found = [self.as_found(asset) for asset in taken]
                return JsonResponse({"taken": found, "refused": told}, status=200 if found else 422)
            if taken:
                what = f"“{taken[0].name}” is" if len(taken) == 1 else f"{len(taken)} files are"
                messages.success(request, f"{what} in the library.")
            if taken and not refused:
                alone = taken[0] if len(taken) == 1 else None
                where = self._address("change", alone.pk) if alone else self._address("changelist")
                return HttpResponseRedirect(where)
            shown = {
                **self.admin_site.each_context(request),
                "title": "Upload files",
                "opts": self.opts,
                "names": self.names,
                "list_address": self._address("changelist"),
                "refused": refused,
                "folder": request.POST.get("folder", ""),
                "folders": _folders(),
                "most": settings.LARGEST_UPLOAD >> 20,
            }
            answer = TemplateResponse(request, "media/upload.html", shown, status=422 if refused else 200)
            answer.render()
            return answer


def _take(request: HttpRequest) -> tuple[list[models.Asset], list[tuple[str, str]]]:
    """The assets that came of the files that were sent, and why others did not."""
    taken: list[models.Asset] = []
    refused: list[tuple[str, str]] = []
    for file in _sent(request):
        name = file.name or "file"
        try:
            new = validation.parse(inputs.NewAsset, {"folder": request.POST.get("folder", "")})
            done = services.upload_asset(new=new, file=file, name=name, declared=file.content_type or "")
        except errors.DomainError as refusal:
            refused.append((name, refusal.detail))
        else:
            taken.append(done.asset)
    found = queries.find_assets(ids=[asset.id for asset in taken])
    return [found[asset.id] for asset in taken], refused or ([] if taken else [("file", "no file was sent.")])


def _sent(request: HttpRequest) -> Iterator[UploadedFile[Any]]:
    yield from request.FILES.getlist("file")


def _thumbnail(asset: models.Asset, size: str = "thumbnail") -> str:
    """The address of a small picture of it; nothing for what is no image."""
    found = next((row for row in asset.renditions.all() if row.name == size), None)
    if found is None:
        return files.address(asset.path) if asset.kind == models.Kind.IMAGE else ""
    return files.address(services.path_of(asset, found))


def _folders() -> tuple[str, ...]:
    seen = limiting.among(models.Asset.objects.exclude(folder=""), "media:read", queries.COLUMNS)
    named = seen.values_list("folder", flat=True)
    return tuple(named.distinct().order_by("folder")[:_FOLDERS_OFFERED])


def _uses(asset: models.Asset) -> str:
    return usage.named(usage.of(asset.id)) or "Nothing shows it."
