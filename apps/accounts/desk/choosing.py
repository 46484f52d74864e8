"""Rows of other screens, chosen by what they are called: an app may name those of another one it does not know."""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from django.apps import apps
from django.contrib import admin
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse

from apps.kernel import validation


def address_of(label: str) -> str:
    """Where rows of a model such as `commerce.product` are found; nothing where no screen offers them."""
    app_label, _, model = label.partition(".")
    try:
        return reverse(f"admin:{app_label}_{model}_find")
    except NoReverseMatch:
        return ""


def names_of(request: HttpRequest, label: str, wanted: Iterable[str]) -> dict[str, str]:
    """What rows are called, by their ids, as far as whoever asks may see them on their screen."""
    known = [uuid.UUID(value) for value in wanted if validation.fits(uuid.UUID, value)]
    screen = admin.site._registry.get(apps.get_model(label))
    if not known or screen is None or not screen.has_view_permission(request):
        return {}
    return {str(row.pk): str(row) for row in screen.get_queryset(request).filter(pk__in=known)}
