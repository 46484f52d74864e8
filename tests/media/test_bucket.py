"""Files in a bucket, at a server of the S3 protocol on loopback: docs/decisions/0096-how-s3-is-tested.md."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.test import Client
from django.utils import timezone
from moto.server import ThreadedMotoServer

from apps.kernel import errors
from apps.media import files, services, sweeping
from apps.tenants import models as tenants
from rustok import storing
from rustok.lifecycle import files as lifecycle
from tests import serving
from tests.media.making import Api, make_asset, picture


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of an S3 server with an empty bucket."""
    port = serving.free_port()
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    moto.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        moto.stop()


@pytest.fixture
def bucket(server: str, settings: Any) -> Any:
    """A bucket in which files are kept; its client."""
    name = f"media-{timezone.now():%H%M%S%f}"
    url = f"s3://key:s%2Fecret@{server}/{name}?region=eu-central-1&tls=no"
    client = boto3.client(
        "s3",
        endpoint_url=f"http://{server}",
        aws_access_key_id="key",
        aws_secret_access_key="s/ecret",
        region_name="eu-central-1",
    )
    client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    settings.STORAGES = {**settings.STORAGES, "default": storing.storage(url)}
    return client


def names() -> list[str]:
    return [each.key for each in default_storage.bucket.objects.all()]  # type: ignore[attr-defined]


@pytest.mark.usefixtures("at_work")
def test_files_are_kept_described_read_and_deleted(
    bucket: Any, tenant: tenants.Tenant, django_capture_on_commit_callbacks: Any, media: Path
) -> None:
    asset = make_asset(content=picture((600, 300)))

    assert sorted(names()) == sorted([asset.path, *(services.path_of(asset, row) for row in asset.renditions.all())])
    head = bucket.head_object(Bucket=default_storage.bucket_name, Key=asset.path)  # type: ignore[attr-defined]
    assert (head["ContentType"], head["ContentDisposition"]) == ("image/png", 'inline; filename="red-shoes.png"')
    assert "immutable" in head["CacheControl"]
    with default_storage.open(asset.path) as kept:
        assert len(kept.read()) == asset.size
    assert len(list(lifecycle.names(tenant.pk))) == 3  # as an export takes them, and a purge
    assert not media.exists()
    with django_capture_on_commit_callbacks(execute=True):
        services.delete_asset(asset_id=asset.id)
    assert names() == []


@pytest.mark.usefixtures("at_work", "bucket")
def test_nothing_is_left_of_what_fails_and_nothing_is_written_over(tenant: tenants.Tenant) -> None:
    with pytest.raises(errors.Conflict), files.removed_on_error():
        make_asset()
        raise errors.Conflict("later")
    assert names() == []
    path = files.path(tenant.pk, files.new_place(), "a.png")
    with files.removed_on_error():
        files.write(path, b"first")

    with pytest.raises(files.NameTaken), files.removed_on_error():
        files.write(path, b"second")

    assert names() == [path]
    with default_storage.open(path) as kept:
        assert kept.read() == b"first"


@pytest.mark.usefixtures("at_work", "bucket")
def test_lost_files_are_swept_and_a_purge_takes_all(tenant: tenants.Tenant) -> None:
    asset = make_asset()
    default_storage.save(files.path(tenant.pk, files.new_place(), "lost.png"), ContentFile(b"x"))
    later = timezone.now() + timedelta(days=2)

    assert (sweeping.sweep(now=timezone.now()), sweeping.sweep(now=later), sweeping.sweep(now=later)) == (0, 1, 0)
    assert asset.path in names()
    assert lifecycle.delete_all(tenant.pk) == 2
    assert names() == []


@pytest.mark.usefixtures("bucket")
def test_a_browser_is_given_the_file_or_led_to_it(tenant: tenants.Tenant, settings: Any) -> None:
    content = picture()
    url = Api(tenant).send(content).json()["url"]

    streamed = Client().get(url)
    assert (streamed.status_code, streamed["Content-Type"]) == (200, "image/png")
    assert b"".join(streamed)[:4] == b"\x89PNG"  # type: ignore[arg-type]
    assert Client().get(url.replace("a.png", "b.png")).status_code == 404
    settings.MEDIA_SERVING = "redirect"
    led = Client().get(url)

    assert (led.status_code, led["Cache-Control"]) == (302, "no-store")
    assert "X-Amz-Signature=" in led["Location"]
    assert "X-Amz-Expires=3600" in led["Location"]


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("https://example.com/media", "must be s3://"),
        ("s3://key:secret@host", "must be s3://"),
        ("s3://key:secret@host/a/b", "must be s3://"),
        ("s3://key:secret@host/media?acl=public", "two options"),
        ("s3://key:secret@host/media?tls=yes", "two options"),
        ("s3://key:secret@host:99999/media", "no number"),
    ],
)
def test_an_address_that_is_none_is_refused_without_showing_it(url: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem) as refused:
        storing.bucket(url)

    assert "secret@" not in str(refused.value).replace("s3://key:secret@host/bucket", "")


def test_an_address_says_where_and_as_whom() -> None:
    found = storing.bucket("s3://k:s%2Fx@s3.example.com:9000/media?region=eu-central-1")

    assert (found["endpoint_url"], found["bucket_name"]) == ("https://s3.example.com:9000", "media")
    assert (found["access_key"], found["secret_key"], found["region_name"]) == ("k", "s/x", "eu-central-1")
    assert storing.bucket("s3://host/media")["access_key"] is None
    assert storing.storage(None)["BACKEND"].endswith("FileSystemStorage")
