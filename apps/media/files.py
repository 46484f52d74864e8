"""Where the files of assets are: below `tenants/<id>/assets/` of the default storage, under names nobody guesses.

A file is written before the transaction commits that tells of it, and deleted after the one that forgets it; a process
that dies in between leaves a file without a row, which `sweep` finds. docs/explanation/media.md
"""

from __future__ import annotations

import re
import secrets
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from pathlib import PurePosixPath

import structlog
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import transaction
from slugify import slugify

LONGEST_STEM = 80
PATH = re.compile(r"tenants/[0-9a-f-]{36}/assets/[0-9a-f]{32}/[a-z0-9-]{1,100}\.[a-z0-9]{2,5}")

log = structlog.get_logger(__name__)
_written: ContextVar[list[str] | None] = ContextVar("rustok_media_written", default=None)


class NameTaken(RuntimeError):
    """There is a file of this name already; names are drawn anew for each asset, so somebody put it there."""


def new_place() -> str:
    """128 random bits: who has not been told the address of a file does not find it."""
    return secrets.token_hex(16)


def stored_name(name: str, ending: str, *, rendition: str = "") -> str:
    """`red-shoes.jpg` or `red-shoes-small.webp`: the name that was sent, in letters every system takes."""
    stem = slugify(PurePosixPath(name).stem, max_length=LONGEST_STEM) or "file"
    return f"{stem}-{rendition}{ending}" if rendition else f"{stem}{ending}"


def folder_of(tenant_id: uuid.UUID) -> str:
    """Where all assets of a tenant are."""
    return f"tenants/{tenant_id}/assets"


def path(tenant_id: uuid.UUID, place: str, name: str) -> str:
    return f"{folder_of(tenant_id)}/{place}/{name}"


def address(path: str) -> str:
    """The address of a file on every host of the installation; it holds as long as the asset is there."""
    return f"{settings.MEDIA_URL}{path}"


def place_of(address: str) -> str | None:
    """The place of the asset whose file is at this address, if it looks like one."""
    path = address.removeprefix(settings.MEDIA_URL)
    return path.split("/")[3] if path != address and PATH.fullmatch(path) else None


@contextmanager
def removed_on_error() -> Iterator[None]:
    """Delete the files that were written within the block if it fails. Blocks may stand within each other."""
    outer = _written.get()
    written = outer if outer is not None else []
    mark = len(written)
    token = _written.set(written)
    try:
        yield
    except BaseException:
        for name in written[mark:]:
            _delete(name)
        del written[mark:]
        raise
    finally:
        _written.reset(token)


def write(path: str, content: bytes) -> None:
    """Keep a new file. Raises NameTaken, and RuntimeError outside of `removed_on_error`."""
    written = _written.get()
    if written is None:
        raise RuntimeError("a file is written within files.removed_on_error() only")
    written.append(path)
    kept_as = default_storage.save(path, ContentFile(content))
    if kept_as != path:
        written[-1] = kept_as
        raise NameTaken(f"{path} is there already")


def delete_afterwards(paths: list[str]) -> None:
    """Delete files, and their folders, once the transaction at work has committed."""
    for name in paths:
        transaction.on_commit(partial(_delete, name), robust=True)
    for folder in sorted({str(PurePosixPath(name).parent) for name in paths}):
        transaction.on_commit(partial(_delete, folder), robust=True)  # nothing, where folders are only part of a name


def _delete(path: str) -> None:
    try:
        default_storage.delete(path)
    except Exception:
        log.exception("media.file_not_deleted", path=path)
