"""Files as browsers get them: told exactly what they are, never run, and kept for ever, because they never change."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from django.conf import settings
from django.core.files.storage import default_storage
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_safe

from apps.kernel import api, errors, uploads, wording
from apps.media import files

_KEPT_SECONDS = 365 * 24 * 3600
MEDIA_TYPES = {
    ending: kind.media_type for kind in (*uploads.IMAGES, *uploads.KEPT_AS_THEY_ARE) for ending in kind.endings
}
# For an address nothing is ever put at again.
CACHE_CONTROL = f"public, max-age={_KEPT_SECONDS}, immutable"
# A document is a program to whoever opens it: it is saved, and not shown within our pages.
SAVED = frozenset(uploads.PDF.endings)
_HEADERS = {
    "Cache-Control": CACHE_CONTROL,
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "cross-origin",  # storefronts have hosts of their own
    "Access-Control-Allow-Origin": "*",  # so that scripts there can draw on canvases; nobody's cookies count
}


class FileNotFound(errors.NotFound):
    """There is no file at this address."""

    code = "file_not_found"


def described(path: str) -> dict[str, str]:
    """What a file is served as, by its name, which is ours."""
    name = PurePosixPath(path)
    disposition = "attachment" if name.suffix in SAVED else "inline"
    return {
        "Content-Type": MEDIA_TYPES.get(name.suffix, "application/octet-stream"),
        "Content-Disposition": f'{disposition}; filename="{name.name}"',
    }


@require_safe
def serve(request: HttpRequest, path: str) -> HttpResponseBase:
    """The file, or where to fetch it, as RUSTOK_MEDIA_SERVING has it."""
    if not files.PATH.fullmatch(path):
        return _nothing(request)
    if settings.MEDIA_SERVING == "redirect":
        return HttpResponseRedirect(default_storage.url(path), headers={"Cache-Control": "no-store"})
    if settings.MEDIA_SERVING == "accel":
        return HttpResponse(headers={**_HEADERS, **described(path), "X-Accel-Redirect": f"/media-files/{quote(path)}"})
    try:
        opened: Any = default_storage.open(path)
    except FileNotFoundError:
        return _nothing(request)
    answer = FileResponse(opened)
    for name, value in {**_HEADERS, **described(path)}.items():
        answer.headers[name] = value  # in place of what Django makes of the name
    return answer


def _nothing(request: HttpRequest) -> HttpResponse:
    return api.problem_response(FileNotFound(wording.say("There is nothing at {path}.", path=request.path)))
