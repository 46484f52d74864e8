"""Where files are kept: a folder, or a bucket that speaks S3, named by a URL."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

SIGNED_SECONDS = 3600
_OPTIONS = frozenset({"region", "tls"})


def storage(url: str | None) -> dict[str, Any]:
    """An entry of Django's STORAGES."""
    if url is None:
        return {"BACKEND": "django.core.files.storage.FileSystemStorage"}  # below MEDIA_ROOT
    return {"BACKEND": "apps.media.storage.Bucket", "OPTIONS": bucket(url)}


def bucket(url: str) -> dict[str, Any]:
    """What the URL says, for django-storages. Raises ValueError, without showing the URL."""
    parts, asked = urlsplit(url), parse_qs(urlsplit(url).query, keep_blank_values=True)
    name = parts.path.strip("/")
    if parts.scheme != "s3" or not parts.hostname or not name or "/" in name:
        raise ValueError("must be s3://key:secret@host/bucket")
    if asked.keys() - _OPTIONS or asked.get("tls", ["no"]) != ["no"]:
        raise ValueError("knows two options, ?region=… and &tls=no")
    return {
        "bucket_name": name,
        "endpoint_url": origin(url),
        "access_key": unquote(parts.username) if parts.username else None,
        "secret_key": unquote(parts.password) if parts.password else None,
        "region_name": asked.get("region", ["us-east-1"])[0],
        "file_overwrite": False,
        "default_acl": None,
        "querystring_expire": SIGNED_SECONDS,
    }


def origin(url: str) -> str:
    """Scheme, host and port of the server. Raises ValueError."""
    parts = urlsplit(url)
    scheme = "http" if parse_qs(parts.query).get("tls") == ["no"] else "https"
    try:
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        raise ValueError("its port is no number from 0 to 65535") from None
    return f"{scheme}://{parts.hostname}{port}"
