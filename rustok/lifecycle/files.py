"""The files of a tenant: all below `tenants/<id>/` of the default storage."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import IO, Any

from django.core.files import File
from django.core.files.storage import default_storage


def folder_of(tenant_id: uuid.UUID) -> str:
    return f"tenants/{tenant_id}"


def names(tenant_id: uuid.UUID, folder: str = "") -> Iterator[str]:
    """Every file of the tenant, by its path below its folder, in order."""
    try:
        folders, found = default_storage.listdir(f"{folder_of(tenant_id)}/{folder}")
    except FileNotFoundError:
        return
    yield from (folder + name for name in sorted(found))
    for name in sorted(folders):
        yield from names(tenant_id, f"{folder}{name}/")


def read(tenant_id: uuid.UUID, name: str) -> IO[Any]:
    return default_storage.open(f"{folder_of(tenant_id)}/{name}")


def write(tenant_id: uuid.UUID, name: str, content: IO[bytes]) -> None:
    """Keep a file under exactly this name, in place of one that is there."""
    path = f"{folder_of(tenant_id)}/{name}"
    default_storage.delete(path)
    default_storage.save(path, File(content))


def delete(tenant_id: uuid.UUID, name: str) -> None:
    default_storage.delete(f"{folder_of(tenant_id)}/{name}")


def line_of(tenant_id: uuid.UUID, name: str) -> bytes:
    """Name and content as one line, for the checksum."""
    with read(tenant_id, name) as content:
        digest = hashlib.sha256()
        while block := content.read(2**20):
            digest.update(block)
    return f"{name} {digest.hexdigest()}".encode()


def delete_all(tenant_id: uuid.UUID) -> int:
    """Delete every file of the tenant, and its folders; how many files there were."""
    found = list(names(tenant_id))
    for name in found:
        delete(tenant_id, name)
    folders = {folder for name in found for folder in PurePosixPath(folder_of(tenant_id), name).parents}
    for folder in sorted(folders, key=lambda each: len(each.parts), reverse=True):
        if len(folder.parts) > 1:  # that of all tenants stays
            default_storage.delete(str(folder))
    return len(found)
