"""The library: files come in, are described, and go; what is in the storage is what rows tell of."""

from __future__ import annotations

import io
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import transaction
from django.utils import timezone
from PIL import Image

from apps.kernel import errors, uploads
from apps.kernel.limits import policies
from apps.media import files, models, queries, renditions, services, sweeping, usage
from apps.media.errors import AssetInUse, AssetNotFound, LocaleNotEnabled, QuotaReached
from apps.outbox.append import unit_of_work
from apps.outbox.models import Log
from apps.tenants import models as tenants
from apps.tenants import services as tenant_services
from tests import factories
from tests.media.making import below, make_asset, picture, types_of, update, upload

pytestmark = pytest.mark.usefixtures("at_work")


def test_an_image_is_kept_with_its_sizes_and_recorded_whole(media: Path) -> None:
    asset = make_asset(content=picture((1200, 600)), folder="shoes/2026", alt="Red shoes", caption="On sale")

    assert (asset.kind, asset.media_type, asset.name) == ("image", "image/png", "Red Shoes.png")
    assert (asset.width, asset.height) == (1200, 600)
    found = {row.name: (row.width, row.height) for row in asset.renditions.all()}
    assert found == {"thumbnail": (160, 80), "small": (480, 240), "medium": (960, 480)}
    kept = [media / asset.path, *(media / services.path_of(asset, row) for row in asset.renditions.all())]
    assert below(media) == sorted(str(path.relative_to(media)) for path in kept)
    assert asset.path.endswith("/red-shoes.png")
    assert asset.bytes == sum(path.stat().st_size for path in kept)
    for row in asset.renditions.all():
        with Image.open(media / services.path_of(asset, row)) as image:
            assert (image.format, image.size, row.media_type) == ("WEBP", (row.width, row.height), "image/webp")
    [event] = Log.objects.filter(aggregate_id=asset.id)
    assert event.type == "media.asset.uploaded"
    assert event.data["translations"] == [{"locale": "en", "alt": "Red shoes", "caption": "On sale"}]
    assert [each["name"] for each in event.data["renditions"]] == ["thumbnail", "small", "medium"]


def test_sizes_are_the_named_ones_and_never_larger_than_the_image() -> None:
    assert [preset.name for preset in renditions.PRESETS] == ["large", "medium", "small", "thumbnail"]
    small = make_asset(content=picture((40, 20)))
    large = make_asset(content=picture((2400, 100)))

    assert [(row.name, row.width, row.height) for row in small.renditions.all()] == [("thumbnail", 40, 20)]
    assert [(row.name, row.width) for row in large.renditions.all()] == [
        ("thumbnail", 160), ("small", 480), ("medium", 960), ("large", 1920),
    ]  # fmt: skip


def test_what_can_be_seen_through_stays_so_in_all_sizes(media: Path) -> None:
    asset = make_asset(content=picture((600, 600), mode="RGBA"))

    [_, small] = asset.renditions.all()
    with Image.open(media / services.path_of(asset, small)) as image:
        assert image.mode == "RGBA"
        assert image.getpixel((5, 5))[3] == pytest.approx(128, abs=2)  # type: ignore[index]


def test_what_an_image_carries_along_is_in_no_file(media: Path) -> None:
    content = picture(format="JPEG", exif=_exif(b"secret place")) + b"<script>alert(1)</script>"

    make_asset(content=content, name="a.jpg", declared="image/jpeg")

    kept = b"".join((media / path).read_bytes() for path in below(media))
    assert b"secret place" not in kept
    assert b"<script>" not in kept


@pytest.mark.parametrize(
    ("content", "name", "declared", "kind", "media_type"),
    [
        (b"%PDF-1.7 one", "Price list.pdf", "application/pdf", "document", "application/pdf"),
        (b"\0\0\0\x20ftypisom....", "a.mp4", "video/mp4", "video", "video/mp4"),
        (b"\x1a\x45\xdf\xa3....", "a.webm", "video/webm", "video", "video/webm"),
        (b"ID3\x04....", "a.mp3", "audio/mpeg", "audio", "audio/mpeg"),
        (b"\xff\xfb\x90....", "a.mp3", "audio/mp3", "audio", "audio/mpeg"),
        (b"OggS....", "a.ogg", "video/ogg", "audio", "audio/ogg"),
        (b"RIFF\0\0\0\0WAVEfmt ", "a.wav", "audio/x-wav", "audio", "audio/wav"),
        (b"\0\0\0\x20ftypM4A ....", "a.m4a", "audio/x-m4a", "audio", "audio/mp4"),
    ],
)
def test_documents_videos_and_sounds_are_kept_as_they_are(
    media: Path, content: bytes, name: str, declared: str, kind: str, media_type: str
) -> None:
    asset = make_asset(content=content, name=name, declared=declared)

    assert (asset.kind, asset.media_type, asset.width) == (kind, media_type, None)
    assert [(media / path).read_bytes() for path in below(media)] == [content]


@pytest.mark.parametrize(
    ("content", "name", "declared", "reason"),
    [
        (b"<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>", "a.svg", "image/svg+xml", "svg"),
        (b"<?xml version='1.0'?>\n<!-- --><SVG onload='x'/>", "a.png", "image/png", "svg"),
        (b"<html><script>1</script></html>", "a.pdf", "application/pdf", "type"),
        (b"MZ\x90", "a.exe", "application/octet-stream", "type"),
        (b"\0\0\0\x20ftypheic....", "a.mp4", "video/mp4", "type"),
        (b"%PDF-1.7", "a.html", "application/pdf", "name"),
        (b"%PDF-1.7", "a.pdf", "text/html", "declared_type"),
        (b"", "a.png", "image/png", "type"),
    ],
)
def test_what_is_not_taken_leaves_nothing(media: Path, content: bytes, name: str, declared: str, reason: str) -> None:
    with pytest.raises(uploads.UploadRefused) as refused:
        make_asset(content=content, name=name, declared=declared)

    assert refused.value.data["reason"] == reason
    assert (below(media), models.Asset.objects.count()) == ([], 0)


def test_the_same_bytes_are_one_asset(media: Path, tenant: tenants.Tenant) -> None:
    content = picture()
    first = upload(content, alt="First")
    before = below(media)

    again = upload(content, "Other.png", alt="Second")

    assert (first.is_new, again.is_new, again.asset.id) == (True, False, first.asset.id)
    assert (again.asset.translations.get().alt, below(media)) == ("First", before)
    assert types_of(first.asset.id) == ["asset.uploaded"]
    with factories.at_work(factories.make_tenant()):
        assert upload(content).is_new  # another tenant's library is another one


def test_two_files_of_one_name_do_not_meet() -> None:
    one, other = make_asset(), make_asset()

    assert one.stored_name == other.stored_name
    assert one.path != other.path


@pytest.mark.parametrize("name", ["../../etc/passwd.png", "C:\\x\\a.png", "ü/é €.png", "a\0b.png"])
def test_a_name_leads_nowhere(media: Path, name: str) -> None:
    asset = make_asset(name=name)

    assert files.PATH.fullmatch(asset.path)
    assert all(path.startswith(f"tenants/{asset.tenant_id}/assets/{asset.place}/") for path in below(media))


def test_files_of_what_fails_are_removed(media: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: Any, **options: Any) -> None:
        raise errors.Conflict("at the last moment")

    monkeypatch.setattr(services, "_record", fail)
    with pytest.raises(errors.Conflict):
        make_asset()

    assert (below(media), models.Asset.objects.count()) == ([], 0)


def test_files_are_removed_where_the_transaction_around_it_fails(media: Path) -> None:
    with pytest.raises(errors.Conflict), files.removed_on_error(), transaction.atomic():
        make_asset()
        assert below(media)
        raise errors.Conflict("later")

    assert below(media) == []


def test_a_file_is_never_written_over(media: Path) -> None:
    path = files.path(make_asset().tenant_id, files.new_place(), "a.png")
    with files.removed_on_error():
        files.write(path, b"first")

    with pytest.raises(files.NameTaken), files.removed_on_error():
        files.write(path, b"second")

    assert (media / path).read_bytes() == b"first"
    assert len(list((media / path).parent.iterdir())) == 1


def test_what_is_said_of_a_file_changes_and_the_file_does_not() -> None:
    asset = make_asset(alt="Shoes")

    update(
        asset,
        name="Boots.png",
        folder="boots",
        focal_point={"x": 20, "y": 80},
        translations=[{"locale": "de", "alt": "Stiefel"}, {"locale": "en", "alt": "Boots", "caption": "Warm"}],
    )

    now = queries.get_asset(asset_id=asset.id)
    assert (now.name, now.folder, now.focal_x, now.focal_y, now.path) == ("Boots.png", "boots", 20, 80, asset.path)
    assert [(row.locale, row.alt, row.caption) for row in now.translations.all()] == [
        ("de", "Stiefel", ""), ("en", "Boots", "Warm"),
    ]  # fmt: skip
    update(asset, folder="boots", focal_point={"x": 20, "y": 80})
    assert types_of(asset.id) == ["asset.uploaded", "asset.updated"]
    update(asset, focal_point=None, translations=[])
    assert models.AssetTranslation.objects.count() == 0
    assert Log.objects.filter(aggregate_id=asset.id).order_by("-version").first().data["focal_point"] is None  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("fields", "pointer", "code"),
    [
        ({"translations": [{"locale": "fr", "alt": "A"}]}, "/translations/0/locale", "locale_not_enabled"),
        ({"translations": [{"locale": "en"}, {"locale": "en"}]}, "/translations/1/locale", "duplicate"),
        ({"focal_point": {"x": 101, "y": 0}}, "/focal_point/x", "focal_point_too_large"),
        ({"folder": "a//b"}, "/folder", "invalid_folder"),
        ({"folder": "../b"}, "/folder", "invalid_folder"),
        ({"name": ""}, "/name", "string_too_short"),
        ({"file": "x"}, "/file", "extra_forbidden"),
    ],
)
def test_a_wrong_field_is_pointed_at(fields: dict[str, Any], pointer: str, code: str) -> None:
    asset = make_asset()

    with pytest.raises(errors.ValidationFailed) as refused:
        update(asset, **fields)

    assert [(problem.pointer, problem.code) for problem in refused.value.problems] == [(pointer, code)]
    assert types_of(asset.id) == ["asset.uploaded"]


def test_a_file_in_a_language_nobody_publishes_in_is_refused(media: Path) -> None:
    with pytest.raises(LocaleNotEnabled):
        make_asset(locale="fr", alt="Chaussures")

    assert below(media) == []


def test_a_deleted_asset_takes_its_files_along(media: Path, django_capture_on_commit_callbacks: Any) -> None:
    asset, other = make_asset(), make_asset()

    with django_capture_on_commit_callbacks() as afterwards:
        services.delete_asset(asset_id=asset.id)
    assert (media / asset.path).exists()  # until it is committed
    for callback in afterwards:
        callback()

    assert {path.split("/")[3] for path in below(media)} == {other.place}
    assert not (media / asset.path).parent.exists()
    assert types_of(asset.id) == ["asset.uploaded", "asset.deleted"]
    with pytest.raises(AssetNotFound):
        queries.get_asset(asset_id=asset.id)


def test_what_is_in_use_is_not_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    asset = make_asset()
    shown, mentioned = usage.Use("product", "prod_1", "Shoes"), usage.Use("node", "node_1", "About")
    monkeypatch.setattr(usage, "_sources", {})
    usage.register(usage.Source("mentions", False, lambda asset_id, limit: [mentioned]))

    with pytest.raises(AssetInUse, match="node About"):
        services.delete_asset(asset_id=asset.id)
    usage.register(usage.Source("holders", True, lambda asset_id, limit: [shown]))
    with pytest.raises(AssetInUse, match="product Shoes") as refused:
        services.delete_asset(asset_id=asset.id, force=True)

    assert refused.value.data["uses"] == [{"type": "product", "id": "prod_1", "title": "Shoes"}]
    assert queries.usage_of(asset_id=asset.id) == [mentioned, shown]
    with pytest.raises(ValueError, match="holders"):
        usage.register(usage.Source("holders", True, lambda asset_id, limit: []))


def test_a_plan_bounds_what_files_may_take(media: Path, tenant: tenants.Tenant, settings: Any) -> None:
    settings.MEDIA_QUOTA_MIB = 1
    document = b"%PDF-1.7" + b"x" * 700_000
    first = make_asset(content=document, name="a.pdf", declared="application/pdf")

    with pytest.raises(QuotaReached, match="348,568 of 1,048,576 are left") as refused:
        make_asset(content=document + b"y", name="b.pdf", declared="application/pdf")
    assert (refused.value.data["taken"], len(below(media))) == (first.bytes, 1)

    tenant_services.set_limits(tenant=tenant, plan=policies.Plan(media_mib=2))
    tenant.refresh_from_db()
    with factories.at_work(tenant):
        make_asset(content=document + b"y", name="b.pdf", declared="application/pdf")
    assert len(below(media)) == 2


def test_a_quota_is_no_rate() -> None:
    limits = policies.Limits()

    assert limits.under({"media_mib": 5}) == limits
    assert limits.under({"media_mib": 5, "read": 7}).read == 7


def test_files_nobody_tells_of_are_swept_when_they_are_old(media: Path, tenant: tenants.Tenant) -> None:
    asset = make_asset()
    lost = files.path(tenant.pk, files.new_place(), "lost.png")
    default_storage.save(lost, ContentFile(b"x"))
    now = timezone.now()

    assert sweeping.sweep(now=now) == 0
    assert sweeping.sweep(now=now + timedelta(days=2)) == 1
    assert not (media / lost).exists()
    assert (media / asset.path).exists()


def test_a_unit_of_work_that_failed_within_another_keeps_the_files_of_the_outer_one(media: Path) -> None:
    with files.removed_on_error(), unit_of_work():
        kept = make_asset()
        with pytest.raises(errors.Conflict), files.removed_on_error(), unit_of_work(savepoint=True):
            make_asset()
            raise errors.Conflict("inside")

    assert {path.split("/")[3] for path in below(media)} == {kept.place}


def test_another_tenants_asset_is_not_there() -> None:
    with factories.at_work(factories.make_tenant()):
        foreign = make_asset()

    assert queries.find_assets(ids=[foreign.id]) == {}
    for act in (
        lambda: queries.get_asset(asset_id=foreign.id),
        lambda: update(foreign, folder="x"),
        lambda: services.delete_asset(asset_id=foreign.id),
    ):
        with pytest.raises(AssetNotFound):
            act()


def _exif(text: bytes) -> bytes:
    exif = Image.Exif()
    exif[0x010E] = text.decode()
    written = io.BytesIO()
    Image.new("RGB", (1, 1)).save(written, format="JPEG", exif=exif)
    with Image.open(io.BytesIO(written.getvalue())) as image:
        return bytes(image.info["exif"])
