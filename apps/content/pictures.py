"""Images that texts show by an address elsewhere: found, and shown from the media library once they were fetched."""

from __future__ import annotations

import html
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from django.db.models import Exists, OuterRef, Q

from apps.content import kinds, models, services
from apps.content.services.editing import locked_node
from apps.kernel import ids, uploads, validation
from apps.media import fetching, files
from apps.media import models as media
from apps.media import queries as library
from apps.outbox.append import unit_of_work

# Each is read once: what is no image is passed over as a whole.
_ADDRESS = re.compile(r"https?://[^\s\"'<>()\\]+")
_ENDINGS = frozenset(ending for kind in uploads.IMAGES for ending in kind.endings)
# Blocks name images of the library by id.
_WRITTEN = (models.Format.HTML, models.Format.MARKDOWN)


def in_text(text: str) -> list[str]:
    """The addresses of images in a text, as they are asked for."""
    return [url for found in _ADDRESS.findall(text) if _is_image(url := _plain(found))]


def from_library(text: str, assets: Mapping[str, media.Asset]) -> str:
    """The text with the addresses of these assets in place of those they were fetched from."""

    def put(found: re.Match[str]) -> str:
        url = _plain(found[0])
        # What is behind an address, such as the full stop of its sentence, stays.
        return found[0] if url not in assets else files.address(assets[url].path) + found[0][len(_written(found[0])) :]

    return _ADDRESS.sub(put, text) if assets else text


def file_from_library(metadata: dict[str, Any], assets: Mapping[str, media.Asset]) -> dict[str, Any]:
    """The metadata of an attachment whose file is in the library."""
    asset = assets.get(metadata.get("url", ""))
    if asset is None:
        return metadata
    return metadata | {"url": files.address(asset.path), "asset_id": ids.encode("asset", asset.id)}


def elsewhere() -> Iterator[tuple[uuid.UUID, list[str]]]:
    """Each node whose texts or file are images elsewhere, with their addresses."""
    written = models.Body.objects.filter(node=OuterRef("pk"), format__in=_WRITTEN, body__contains="://")
    nodes = models.Node.objects.filter(Exists(written) | Q(kind=kinds.ATTACHMENT)).order_by("id")
    for node_id in list(nodes.values_list("id", flat=True)):
        node = models.Node.objects.prefetch_related("bodies").filter(id=node_id).first()
        if node is not None and (urls := _of_node(node)):
            yield node.id, urls


def take_fetched(node_id: uuid.UUID) -> int:
    """Show the library's files in place of the addresses they were fetched from; returns how many addresses that were.

    Raises NodeNotFound, NotPermitted.
    """
    with unit_of_work():
        node = locked_node(node_id)
        urls = _of_node(node)
        assets = library.find_by_address(urls)
        changes: dict[str, Any] = {}
        texts = [
            {"locale": body.locale, "format": body.format, "body": told}
            for body in node.bodies.all()
            if body.format in _WRITTEN and (told := from_library(body.body, assets)) != body.body
        ]
        if texts:
            changes["bodies"] = texts
        metadata = file_from_library(node.metadata, assets) if node.kind == kinds.ATTACHMENT else node.metadata
        if metadata != node.metadata:
            changes["metadata"] = metadata
        if changes:
            services.update_node(node_id=node_id, changes=validation.parse(services.NodeChanges, changes))
    return sum(url in assets for url in urls)


def register() -> None:
    """Let them be fetched."""
    fetching.register(fetching.Holder("content", "content", elsewhere, take_fetched))


def _of_node(node: models.Node) -> list[str]:
    texts: Iterable[str] = (body.body for body in node.bodies.all() if body.format in _WRITTEN)
    found = [url for text in texts for url in in_text(text)]
    if node.kind == kinds.ATTACHMENT:
        found += [url for url in [str(node.metadata.get("url", ""))] if _is_image(url)]
    return list(dict.fromkeys(found))


def _written(found: str) -> str:
    return found.rstrip(".,;:!?*_")


def _plain(found: str) -> str:
    return html.unescape(_written(found))


def _is_image(url: str) -> bool:
    if not url.startswith(("http://", "https://")):
        return False
    try:
        return PurePosixPath(urlsplit(url).path).suffix.lower() in _ENDINGS
    except ValueError:
        return False
