"""Files for tests, and assets made of them."""

from __future__ import annotations

import io
import uuid
from pathlib import Path
from typing import Any

import orjson
from django.test import Client

from apps.kernel import validation
from apps.media import inputs, models, services
from apps.outbox.models import Log
from apps.tenants import models as tenants
from rustok.testing.factories import picture
from tests import factories

__all__ = ["picture"]


def upload(
    content: bytes | None = None, name: str = "Red Shoes.png", declared: str = "image/png", **fields: Any
) -> services.Uploaded:
    new = validation.parse(inputs.NewAsset, fields)
    file = io.BytesIO(picture() if content is None else content)
    return services.upload_asset(new=new, file=file, name=name, declared=declared)


def make_asset(**fields: Any) -> models.Asset:
    return upload(**fields).asset


def update(asset: models.Asset, **fields: Any) -> models.Asset:
    return services.update_asset(asset_id=asset.id, changes=validation.parse(inputs.AssetChanges, fields))


def types_of(asset_id: uuid.UUID) -> list[str]:
    """What was recorded about the asset, without the module."""
    rows = Log.objects.filter(aggregate_type="media.asset", aggregate_id=asset_id).order_by("version")
    return [name.removeprefix("media.") for name in rows.values_list("type", flat=True)]


def below(folder: Path) -> list[str]:
    """Every file below a folder, by its path in it."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


class Api:
    """A member of a tenant who asks the management API."""

    def __init__(self, tenant: tenants.Tenant, role: str = "owner") -> None:
        self.client = Client(raise_request_exception=False)
        self.headers = {"X-Tenant": tenant.slug, "Authorization": f"Bearer {factories.make_token(tenant, role)}"}

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        return self.client.generic(
            method,
            f"/api/v1/admin/{path}",
            data=b"" if body is None else orjson.dumps(body),
            content_type="application/json",
            headers=self.headers | factories.write_headers(method) | headers,
        )

    def send(self, content: bytes, name: str = "a.png", declared: str = "image/png", **fields: Any) -> Any:
        """A form with a file in it."""
        headers = fields.pop("headers", {})
        form = {"file": _Named(content, name, declared), **fields}
        return self.client.post("/api/v1/admin/assets", form, headers=self.headers | headers)


class _Named(io.BytesIO):
    """What Django's test client sends as a file."""

    def __init__(self, content: bytes, name: str, declared: str) -> None:
        super().__init__(content)
        self.name, self.content_type = name, declared
