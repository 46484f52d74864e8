"""The library of a tenant's files: images, documents, videos and sounds."""

from __future__ import annotations

from typing import cast
from uuid import UUID

from django.db import models
from django.db.models import Q

from apps.kernel import ids
from apps.media import files
from apps.tenants.constraints import SameTenant, tenant_key
from apps.tenants.models import InTenantForeignKey, TenantModel


class Kind(models.TextChoices):
    """What a file is, by its content."""

    IMAGE = "image"
    DOCUMENT = "document"
    VIDEO = "video"
    AUDIO = "audio"


class Asset(TenantModel):
    """One file. `place` is the unguessable folder of its files, `stored_name` what it is called there, `name` what the
    people who sent it call it.

    `sha256` is of the file as it is kept, `sent_sha256` of the bytes that were sent: images are drawn anew. `bytes`
    counts the renditions too, `size` the file alone. The focal point is in percent from the left and from the top.
    """

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    kind = models.CharField(max_length=16, choices=Kind)
    media_type = models.CharField(max_length=64)
    name = models.CharField(max_length=255)
    folder = models.CharField(max_length=255, blank=True, help_text="Where editors look for it, such as products/2026.")
    place = models.CharField(max_length=32, editable=False)
    stored_name = models.CharField(max_length=120, editable=False)
    size = models.PositiveBigIntegerField()
    bytes = models.PositiveBigIntegerField()
    sha256 = models.CharField(max_length=64)
    sent_sha256 = models.CharField(max_length=64)
    width = models.PositiveIntegerField(null=True)
    height = models.PositiveIntegerField(null=True)
    focal_x = models.PositiveSmallIntegerField(null=True, blank=True)
    focal_y = models.PositiveSmallIntegerField(null=True, blank=True)
    created_by = models.UUIDField(null=True, editable=False, help_text="The account that sent it; null for imports.")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta(TenantModel.Meta):
        constraints = [
            tenant_key("media_asset_tenant_key"),
            models.UniqueConstraint(fields=["tenant", "place"], name="media_asset_place"),
            models.UniqueConstraint(fields=["tenant", "sent_sha256"], name="media_asset_once"),
            models.CheckConstraint(condition=Q(kind__in=Kind.values), name="media_asset_known_kind"),
            models.CheckConstraint(
                condition=Q(focal_x__isnull=True, focal_y__isnull=True) | Q(focal_x__lte=100, focal_y__lte=100),
                name="media_asset_focal_point",
            ),
        ]
        indexes = [
            models.Index(fields=["tenant", "folder", "id"], name="media_asset_by_folder"),
            models.Index(fields=["tenant", "name", "id"], name="media_asset_by_name"),
            models.Index(fields=["tenant", "size", "id"], name="media_asset_by_size"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def path(self) -> str:
        """Where its file is in the storage."""
        return self.path_of(self.stored_name)

    def path_of(self, stored_name: str) -> str:
        """Where a file beside it is."""
        return files.path(cast(UUID, self.tenant_id), self.place, stored_name)


class AssetTranslation(TenantModel):
    """What is said of an asset in one language: `alt` in place of it, `caption` below it."""

    asset = InTenantForeignKey(Asset, related_name="translations")
    locale = models.CharField(max_length=10)
    alt = models.CharField(max_length=1000, blank=True)
    caption = models.TextField(blank=True)

    class Meta(TenantModel.Meta):
        ordering = ["locale"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "asset", "locale"], name="media_assettranslation_once"),
            SameTenant(field="asset", name="media_assettranslation_asset"),
        ]

    def __str__(self) -> str:
        return self.locale


class Source(TenantModel):
    """An address elsewhere that was asked for an image: the `asset` it gave, or the `problem` there was with it.

    While the asset is there the address means it, wherever one is given.
    """

    url = models.CharField(max_length=2048)
    url_sha256 = models.CharField(max_length=64)
    asset = InTenantForeignKey(Asset, null=True, related_name="sources")
    problem = models.CharField(max_length=500, blank=True)
    asked_at = models.DateTimeField()

    class Meta(TenantModel.Meta):
        constraints = [
            # Addresses are longer than what an index holds.
            models.UniqueConstraint(fields=["tenant", "url_sha256"], name="media_source_once"),
            SameTenant(field="asset", name="media_source_asset"),
        ]
        indexes = [models.Index(fields=["tenant", "asset"], name="media_source_by_asset")]

    def __str__(self) -> str:
        return self.url


class Rendition(TenantModel):
    """An image in one of the sizes that `renditions.PRESETS` names."""

    asset = InTenantForeignKey(Asset, related_name="renditions")
    name = models.CharField(max_length=32)
    media_type = models.CharField(max_length=64)
    stored_name = models.CharField(max_length=120, editable=False)
    size = models.PositiveBigIntegerField()
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()

    class Meta(TenantModel.Meta):
        ordering = ["width", "name"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "asset", "name"], name="media_rendition_once"),
            SameTenant(field="asset", name="media_rendition_asset"),
        ]

    def __str__(self) -> str:
        return self.name
