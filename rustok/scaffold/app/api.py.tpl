"""The editors' side of ${name}: below `/api/v1/admin/`."""

from __future__ import annotations

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
