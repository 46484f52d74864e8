"""Menus, each with the whole tree of its items."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from apps.kernel import ids
from apps.tenants.models import TenantModel


class Location(models.TextChoices):
    """Where a storefront shows a menu. A tenant has one menu in each."""

    HEADER = "header"
    FOOTER = "footer"
    SIDEBAR = "sidebar"
    MOBILE = "mobile"


class Menu(TenantModel):
    """`items` is the tree as its events carry it: `events.MenuItem`."""

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    name = models.CharField(max_length=255)
    location = models.CharField(max_length=16, null=True, blank=True, choices=Location.choices)
    items = models.JSONField(default=list, blank=True)
    external_id = models.CharField(
        max_length=255, null=True, blank=True, help_text="Where it came from, such as wordpress:example.com:menu:42."
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta(TenantModel.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "location"], name="content_menu_location", condition=Q(location__isnull=False)
            ),
            models.UniqueConstraint(
                fields=["tenant", "external_id"],
                name="content_menu_external_id",
                condition=Q(external_id__isnull=False),
            ),
            models.CheckConstraint(
                condition=Q(location__isnull=True) | Q(location__in=Location.values), name="content_menu_known_location"
            ),
            models.CheckConstraint(condition=~Q(name=""), name="content_menu_name_not_empty"),
            models.CheckConstraint(condition=~Q(external_id=""), name="content_menu_external_id_not_empty"),
        ]
        indexes = [models.Index(fields=["tenant", "id"], name="content_menu_list")]

    def __str__(self) -> str:
        return self.name
