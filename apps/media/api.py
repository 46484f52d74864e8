"""The media library: `/api/v1/admin/assets`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from django.http import HttpResponse, QueryDict
from django.urls import path
from drf_spectacular.utils import OpenApiParameter
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from apps.kernel import api, errors, filters, ids, uploads, validation
from apps.kernel.listing import Listing
from apps.kernel.operations import operation
from apps.media import events, files, inputs, models, queries, services, shown
from apps.media.errors import AssetInUse, AssetNotFound, LocaleNotEnabled, QuotaReached
from apps.tenants import endpoint
from apps.tenants.endpoint import Endpoint

MEDIA = "media"
_FORCE = OpenApiParameter(
    "force",
    filters.boolean.schema(),
    description="On DELETE: true deletes the asset also where texts mention it.",
)

LISTING = Listing(
    document=shown.Asset,
    filters={
        "kind": filters.choice(*models.Kind.values),
        "folder": filters.words(description="Exactly this folder, none below it."),
        "name": filters.words(),
        "media_type": filters.words(),
        "created_at": filters.moments(),
        "updated_at": filters.moments(),
        "size": filters.numbers(),
    },
    sorts={"created_at": "id", "name": "name", "size": "size"},
)


class AssetsView(Endpoint):
    listing = LISTING
    permissions = {"GET": "media:list", "POST": "media:create"}
    limit_class = {"POST": "expensive"}
    parser_classes = (MultiPartParser,)

    def _write(self, work: Callable[..., Response], request: Request, **parts: Any) -> HttpResponse:
        """Around the transaction of an idempotency key too: it may fail after the work is done."""
        with files.removed_on_error():
            return super()._write(work, request, **parts)

    @operation("asset_list", tag=MEDIA, answers=shown.Asset)
    def get(self, request: Request) -> Response:
        """The files of the library, newest first."""
        return LISTING.respond(request, queries.list_assets(), lambda page: [shown.asset(row) for row in page])

    @operation(
        "asset_upload",
        tag=MEDIA,
        takes=inputs.AssetForm,
        takes_files=True,
        answers=shown.Asset,
        status=201,
        refuses=(uploads.UploadRefused, QuotaReached, LocaleNotEnabled),
    )
    def post(self, request: Request) -> Response:
        """Take a file into the library: JPEG, PNG, GIF and WebP, PDF, MP4 and WebM, MP3, M4A, Ogg and WAV.

        Images are drawn anew, without what else is in the file, and made in a few sizes. The same bytes are one asset:
        where they are in the library already, that one is answered as it is.
        """
        form = validation.parse(inputs.AssetForm, dict(cast(QueryDict, request.data).items()))
        new = inputs.NewAsset.model_validate(form.model_dump(exclude={"file"}))
        file = form.file
        done = services.upload_asset(new=new, file=file, name=file.name or "", declared=file.content_type or "")
        asset = queries.find_assets(ids=[done.asset.id])[done.asset.id]
        return Response(shown.asset(asset), status=201)


class AssetView(Endpoint):
    versioned = endpoint.by_id(events.ASSET, "asset", "asset_id")
    permissions = {"GET": "media:read", "PATCH": "media:update", "DELETE": "media:delete"}
    parameters = (_FORCE,)

    @operation("asset_get", tag=MEDIA, answers=shown.Asset, refuses=(AssetNotFound,))
    def get(self, request: Request, asset_id: str) -> Response:
        """The file with its sizes and what is said of it."""
        return Response(shown.asset(queries.get_asset(asset_id=ids.decode("asset", asset_id))))

    @operation(
        "asset_update",
        tag=MEDIA,
        takes=inputs.AssetChanges,
        answers=shown.Asset,
        refuses=(AssetNotFound, LocaleNotEnabled),
    )
    def patch(self, request: Request, asset_id: str) -> Response:
        """Change what is said of the file; `translations` replace all there are."""
        changes = api.read_input(request, inputs.AssetChanges)
        asset = services.update_asset(asset_id=ids.decode("asset", asset_id), changes=changes)
        return Response(shown.asset(queries.find_assets(ids=[asset.id])[asset.id]))

    @operation("asset_delete", tag=MEDIA, refuses=(AssetNotFound, AssetInUse))
    def delete(self, request: Request, asset_id: str) -> Response:
        """Delete the file with its sizes, unless something shows it."""
        services.delete_asset(asset_id=ids.decode("asset", asset_id), force=_read_force(request))
        return Response(status=204)


class AssetUsageView(Endpoint):
    permissions = {"GET": "media:read"}

    @operation("asset_usage", tag=MEDIA, answers=shown.AssetUsage, refuses=(AssetNotFound,))
    def get(self, request: Request, asset_id: str) -> Response:
        """What shows the file: products, and pages whose texts mention it."""
        return Response(shown.uses(queries.usage_of(asset_id=ids.decode("asset", asset_id))))


def _read_force(request: Request) -> bool:
    try:
        return bool(filters.boolean(request.query_params.get("force", "false")))
    except filters.Refused as refusal:
        raise errors.ValidationFailed.for_field("/force", "invalid_parameter", refusal.args[0]) from None


urlpatterns = [
    path("assets", AssetsView.as_view()),
    path("assets/<str:asset_id>", AssetView.as_view()),
    path("assets/<str:asset_id>/usage", AssetUsageView.as_view()),
]
