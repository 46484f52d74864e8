"""Writing to the media library: files come, are described, and go."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any

from django.conf import settings
from django.db import connection
from django.db.models import Sum

from apps.accounts.access import engine, limiting
from apps.audit import recording as audit
from apps.events import registry
from apps.kernel import errors as kernel_errors
from apps.kernel import ids, uploads, wording
from apps.media import events, files, models, queries, renditions, usage
from apps.media.errors import AssetInUse, LocaleNotEnabled, QuotaReached
from apps.media.inputs import AssetChanges, AssetTranslationInput, NewAsset
from apps.outbox.append import append, unit_of_work
from apps.tenants import scope

# One upload of a tenant at a time is counted and compared: its sum must not be outdated when it is written.
LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('media:' || %s, 0))"
_MIB = 2**20
_SHOWN_USES = 5


@dataclass(frozen=True, slots=True)
class Uploaded:
    """The asset; `is_new` is false where the same bytes were in the library already."""

    asset: models.Asset
    is_new: bool


def upload_asset(*, new: NewAsset, file: IO[bytes], name: str, declared: str) -> Uploaded:
    """Take a file into the library, or find it there: the same bytes are one asset, which keeps what is said of it.

    `name` and `declared`, the media type, are the sender's. Raises UploadRefused, QuotaReached, LocaleNotEnabled.
    """
    locale = new.locale or scope.current().default_locale
    _check_locales([AssetTranslationInput(locale=locale)], pointer="/locale")
    sent = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
    file.seek(0)
    accepted = uploads.accept_file(file, name=name, declared=declared)
    drawn = list(renditions.draw(accepted)) if accepted.width else []
    with files.removed_on_error(), unit_of_work():
        _lock()
        known = models.Asset.objects.filter(sent_sha256=sent).first()
        if known is not None:
            return Uploaded(known, False)
        asset = _asset(new, accepted, drawn, sent)
        _check_quota(asset.bytes)
        rows = [_rendition(asset, each) for each in drawn]
        files.write(asset.path, accepted.content)
        for row, each in zip(rows, drawn, strict=True):
            files.write(path_of(asset, row), each.content)
        asset.save(force_insert=True)
        models.Rendition.objects.bulk_create(rows)
        if new.alt or new.caption:
            models.AssetTranslation.objects.create(asset=asset, locale=locale, alt=new.alt, caption=new.caption)
        _record(asset.id, events.AssetUploaded(**state(asset)))
    return Uploaded(asset, True)


def update_asset(*, asset_id: uuid.UUID, changes: AssetChanges) -> models.Asset:
    """Change what is given; nothing is written and no event recorded where nothing differs.

    Raises AssetNotFound, NotPermitted, LocaleNotEnabled, ValidationFailed.
    """
    with unit_of_work():
        asset = _locked("media:update", asset_id)
        before = state(asset)
        given = changes.model_fields_set
        if changes.name is not None:
            asset.name = changes.name
        if changes.folder is not None:
            asset.folder = changes.folder
        if "focal_point" in given:
            point = changes.focal_point
            asset.focal_x, asset.focal_y = (point.x, point.y) if point else (None, None)
        if changes.translations is not None:
            _check_locales(changes.translations, pointer="/translations/{index}/locale")
            _replace_translations(asset, changes.translations)
        after = state(asset)
        if after != before:
            asset.save()
            _record(asset.id, events.AssetUpdated(**after), before=before)
    return asset


def delete_asset(*, asset_id: uuid.UUID, force: bool = False) -> None:
    """Delete the asset and its files. With `force` also where texts mention it, which then show nothing there.

    Raises AssetNotFound, NotPermitted, and AssetInUse where something shows it that can't be without.
    """
    with unit_of_work():
        asset = _locked("media:delete", asset_id)
        uses = usage.of(asset.id, holding_only=force)
        if uses:
            named, told = usage.named(uses, _SHOWN_USES), usage.told(uses)[:_SHOWN_USES]
            raise AssetInUse(
                wording.say('"{asset}" is shown by {uses}; take it from there first.', asset=asset.name, uses=named),
                uses=[{"type": use.type, "id": use.id, "title": use.title} for use in told],
            )
        before = state(asset)
        paths = [asset.path, *(path_of(asset, row) for row in asset.renditions.all())]
        asset.delete()
        _record(asset_id, events.AssetDeleted(), before=before)
        files.delete_afterwards(paths)


def path_of(asset: models.Asset, rendition: models.Rendition) -> str:
    """Where the file of a rendition is in the storage."""
    return asset.path_of(rendition.stored_name)


def state(asset: models.Asset) -> dict[str, Any]:
    """The asset as its events carry it."""
    point = None if asset.focal_x is None else events.AssetFocus(x=asset.focal_x, y=asset.focal_y or 0)
    found = models.Rendition.objects.filter(asset=asset).order_by("width", "name")
    texts = models.AssetTranslation.objects.filter(asset=asset).order_by("locale")
    return {
        "kind": asset.kind,
        "media_type": asset.media_type,
        "name": asset.name,
        "folder": asset.folder,
        "path": asset.path,
        "size": asset.size,
        "sha256": asset.sha256,
        "width": asset.width,
        "height": asset.height,
        "focal_point": point,
        "renditions": [
            events.AssetRendition(
                name=row.name,
                media_type=row.media_type,
                path=path_of(asset, row),
                size=row.size,
                width=row.width,
                height=row.height,
            )
            for row in found
        ],
        "translations": [events.AssetTranslation(locale=row.locale, alt=row.alt, caption=row.caption) for row in texts],
    }


def _asset(new: NewAsset, accepted: uploads.Accepted, drawn: Sequence[renditions.Drawn], sent: str) -> models.Asset:
    acting = engine.acting()
    return models.Asset(
        kind=_kind_of(accepted.kind),
        media_type=accepted.kind.media_type,
        name=accepted.shown_name,
        folder=new.folder,
        place=files.new_place(),
        stored_name=files.stored_name(accepted.shown_name, accepted.kind.endings[0]),
        size=len(accepted.content),
        bytes=len(accepted.content) + sum(len(each.content) for each in drawn),
        sha256=hashlib.sha256(accepted.content).hexdigest(),
        sent_sha256=sent,
        width=accepted.width or None,
        height=accepted.height or None,
        created_by=acting.holder_id if acting else None,
    )


def _kind_of(kind: uploads.Kind) -> str:
    named = kind.media_type.partition("/")[0]
    return named if named in models.Kind.values else models.Kind.DOCUMENT


def _rendition(asset: models.Asset, drawn: renditions.Drawn) -> models.Rendition:
    return models.Rendition(
        asset=asset,
        name=drawn.name,
        media_type=renditions.MEDIA_TYPE,
        stored_name=files.stored_name(asset.name, renditions.ENDING, rendition=drawn.name),
        size=len(drawn.content),
        width=drawn.width,
        height=drawn.height,
    )


def _replace_translations(asset: models.Asset, wanted: Sequence[AssetTranslationInput]) -> None:
    present = {row.locale: row for row in models.AssetTranslation.objects.filter(asset=asset)}
    for entry in wanted:
        row = present.pop(entry.locale, None)
        if row is None:
            row = models.AssetTranslation(asset=asset, locale=entry.locale)
        elif (row.alt, row.caption) == (entry.alt, entry.caption):
            continue
        row.alt, row.caption = entry.alt, entry.caption
        row.save()
    models.AssetTranslation.objects.filter(asset=asset, locale__in=list(present)).delete()


def _locked(permission: str, asset_id: uuid.UUID) -> models.Asset:
    asset = models.Asset.objects.select_for_update().filter(id=asset_id).first()
    if asset is None:
        raise queries.not_found(asset_id)
    limiting.check(permission, limiting.Facts(owner_id=asset.created_by), what=ids.encode("asset", asset_id))
    return asset


def _lock() -> None:
    with connection.cursor() as cursor:
        cursor.execute(LOCK, [str(scope.current_id())])


def _check_quota(wanted: int) -> None:
    """Raises QuotaReached where the tenant's files would take more than its plan allows; 0 MiB is without bound."""
    allowed = scope.current().limits.get("media_mib", settings.MEDIA_QUOTA_MIB) * _MIB
    taken = models.Asset.objects.aggregate(taken=Sum("bytes"))["taken"] or 0
    if allowed and taken + wanted > allowed:
        raise QuotaReached(
            wording.say(
                "The file needs {wanted:,} bytes with its sizes, and {left:,} of {allowed:,} are left; delete what is "
                "not needed.",
                wanted=wanted,
                left=max(0, allowed - taken),
                allowed=allowed,
            ),
            wanted=wanted,
            taken=taken,
            allowed=allowed,
        )


def _check_locales(translations: Sequence[AssetTranslationInput], *, pointer: str) -> None:
    """Raises LocaleNotEnabled, and ValidationFailed for a locale that is there twice."""
    at_work = scope.current()
    problems = list(_foreign(translations, at_work, pointer))
    if problems:
        raise LocaleNotEnabled(wording.join("; ", [problem.detail for problem in problems]), problems=problems)
    seen: set[str] = set()
    for index, entry in enumerate(translations):
        if entry.locale in seen:
            said = wording.say('"{name}" is given twice.', name=entry.locale)
            raise kernel_errors.ValidationFailed.for_field(pointer.format(index=index), "duplicate", said)
        seen.add(entry.locale)


def _foreign(
    translations: Sequence[AssetTranslationInput], at_work: scope.Scope, pointer: str
) -> Iterator[kernel_errors.FieldProblem]:
    for index, entry in enumerate(translations):
        if entry.locale not in at_work.locales:
            said = at_work.refusal_of(entry.locale)
            yield kernel_errors.FieldProblem(pointer.format(index=index), "locale_not_enabled", said)


def _record(asset_id: uuid.UUID, payload: registry.Payload, *, before: Mapping[str, Any] | None = None) -> None:
    stream: dict[str, Any] = {
        "tenant_id": scope.current_id(),
        "aggregate_type": events.ASSET,
        "aggregate_id": asset_id,
    }
    append(payload, **stream)
    audit.record_event(payload, before=before, **stream)
