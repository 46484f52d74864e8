"""A bucket that speaks the S3 protocol, for those who keep files elsewhere than on their own disk."""

from __future__ import annotations

from typing import Any

from botocore.config import Config
from storages.backends.s3 import S3Storage

from apps.media import serving

_CONFIG = Config(
    connect_timeout=5,
    read_timeout=30,
    retries={"max_attempts": 3, "mode": "standard"},
    s3={"addressing_style": "path"},
    signature_version="s3v4",
    # Newer checksums, which servers other than Amazon's may not know, where the protocol does not demand them.
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
)


class Bucket(S3Storage):  # type: ignore[misc] # it ships no types
    """Each object carries how it is served, so that the bucket or a CDN before it can answer by itself."""

    def __init__(self, **options: Any) -> None:
        super().__init__(client_config=_CONFIG, **options)

    def get_object_parameters(self, name: str) -> dict[str, Any]:
        told = serving.described(name)
        return {
            "ContentType": told["Content-Type"],
            "ContentDisposition": told["Content-Disposition"],
            "CacheControl": serving.CACHE_CONTROL,
        }
