"""What the admin screens of every app stand on."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse


class ReadOnlyAdmin(admin.ModelAdmin[Any]):
    """Readable, not writable: writes go through services so that they have their events.

    `called` is what people call one and several of its rows, where that is not what the code calls them.
    """

    called: tuple[str, str] | None = None

    @property
    def names(self) -> tuple[str, str]:
        """What one row is called, and what several are."""
        return self.called or (str(self.opts.verbose_name), str(self.opts.verbose_name_plural))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Named after what it lists."""
        title = self.names[1]
        return super().changelist_view(request, {"title": title[:1].upper() + title[1:], **(extra_context or {})})

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Asks before it looks: Django's looks first, and so tells who may not see a row whether there is one."""
        if not self.has_view_or_change_permission(request):
            raise PermissionDenied
        return super().history_view(request, object_id, extra_context)
