"""The anticipated errors of the media library."""

from __future__ import annotations

from apps.kernel import errors


class AssetNotFound(errors.NotFound):
    """The tenant has no such asset. List its assets."""

    code = "asset_not_found"


class AssetInUse(errors.Conflict):
    """Products or pages show the asset; `uses` names some of them. Take it from there first, or delete it with
    `force=true` where only texts mention it."""

    code = "asset_in_use"
    title = "The asset is in use"


class QuotaReached(errors.Conflict):
    """The files of the tenant would take more than its plan allows. Delete what is not needed, or change the plan."""

    code = "media_quota_reached"
    title = "There is no room for the file"


class LocaleNotEnabled(errors.ValidationFailed):
    """The tenant does not publish in this locale. Use one of those it has, or enable it first."""

    code = "locale_not_enabled"
