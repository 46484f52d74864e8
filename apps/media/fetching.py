"""Images that are elsewhere, brought into the library: each address is asked once, and what came of it is kept."""

from __future__ import annotations

import io
import uuid
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit

from apps.kernel import errors, outbound, uploads, wording
from apps.media import files, models, queries
from apps.media.inputs import NewAsset
from apps.media.services import upload_asset
from apps.outbox.append import unit_of_work

MOST_REDIRECTS = 3
LIMITS = outbound.Limits(connect=5.0, read=15.0, total=60.0, size=max(kind.largest for kind in uploads.IMAGES))
_MOVED = frozenset({301, 302, 303, 307, 308})
_LONGEST_PROBLEM = 500
# What means something in an address, and the sign of what is quoted already.
_KEPT_SIGNS = "%/:=&?~#+!$,;'@()*[]"


class NotFetched(errors.DomainError):
    """There is no image to be had at the address."""

    code = "not_fetched"
    status = 502
    title = "The image could not be fetched"


@dataclass(frozen=True, slots=True)
class Holder:
    """Things of a module that show images by address: `elsewhere` gives the id and the addresses of each that has some,
    `take` shows the library in place of what was fetched and returns how many images that were."""

    name: str
    module: str
    elsewhere: Callable[[], Iterable[tuple[uuid.UUID, list[str]]]]
    take: Callable[[uuid.UUID], int]


_holders: dict[str, Holder] = {}


def register(holder: Holder) -> None:
    """Once more is as good as once. Raises ValueError for a name that another one has."""
    if _holders.get(holder.name, holder) != holder:
        raise ValueError(f"{holder.name} are registered already")
    _holders[holder.name] = holder


def holders() -> list[Holder]:
    return [_holders[name] for name in sorted(_holders)]


def client() -> outbound.Client:
    """The guarded way out, with room for an image."""
    return outbound.Client(limits=LIMITS)


def parts_of(url: str) -> SplitResult:
    """The parts of an address; each is empty for what is none, such as `https://[`."""
    try:
        return urlsplit(url)
    except ValueError:
        return SplitResult("", "", "", "", "")


def fetch(*, url: str, now: datetime, folder: str = "") -> models.Source:
    """Ask an address for its image, now, and put it into the library; the source says what came of it.

    Nothing is raised for an address that fails: its `problem` is kept, so that others go on. Raises QuotaReached.
    """
    try:
        content = _content(url)
        kind = uploads.kind_of(content)
        declared = kind.media_type if kind else ""
        with files.removed_on_error(), unit_of_work():
            uploaded = upload_asset(
                new=NewAsset(folder=folder), file=io.BytesIO(content), name=_name(url, kind), declared=declared
            )
            return _keep(url, now, asset=uploaded.asset)
    except (NotFetched, outbound.OutboundRefused, outbound.OutboundFailed, uploads.UploadRefused) as error:
        return _keep(url, now, problem=str(error.detail)[:_LONGEST_PROBLEM])


def _content(url: str) -> bytes:
    """The body, behind a few redirects each of which is judged like the first address."""
    asked, way_out = url, client()
    for _ in range(MOST_REDIRECTS + 1):
        answer = way_out.send("GET", _askable(asked, way_out.schemes), headers={"Accept": "image/*"})
        if answer.status == 200:
            return answer.body
        if answer.status not in _MOVED or not answer.headers.get("location"):
            raise NotFetched(wording.say("The other side answered {status}.", status=answer.status))
        asked = _joined(asked, answer.headers["location"])
    raise NotFetched(wording.say("The address leads on more than {limit} times.", limit=MOST_REDIRECTS))


def _joined(url: str, location: str) -> str:
    """Where a redirect leads; one that leads to no address stays as it is, and is refused where it is asked for."""
    try:
        return urljoin(url, location)
    except ValueError:
        return location


def _askable(url: str, schemes: Collection[str]) -> str:
    """As it is sent: by https where the address names no scheme or one that is not used here, in plain ASCII."""
    scheme, has_scheme, rest = url.partition("//")
    known = scheme if has_scheme and scheme.removesuffix(":") in schemes else "https:"
    return quote(f"{known}//{rest}" if has_scheme else url, safe=_KEPT_SIGNS)


def _name(url: str, kind: uploads.Kind | None) -> str:
    """As the address calls it, with the ending of what it is: `/red-shoes.jpg?v=2` may well be a WebP."""
    stem = PurePosixPath(unquote(parts_of(url).path)).stem[:100] or "image"
    return f"{stem}{kind.endings[0]}" if kind else stem


def _keep(url: str, now: datetime, *, asset: models.Asset | None = None, problem: str = "") -> models.Source:
    told = {"url": url, "asset": asset, "problem": problem, "asked_at": now}
    source, _ = models.Source.objects.update_or_create(url_sha256=queries.url_sha256(url), defaults=told)
    return source
