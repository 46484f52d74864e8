"""Files that people send: taken for what their bytes are, never for what their name or sender says.

What is not on the list is refused. An image is judged by its head before it is decoded, and kept as it was decoded:
whatever else was in the file (scripts, archives, places) is gone. docs/explanation/edge.md
"""

from __future__ import annotations

import io
import stat
import unicodedata
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import IO, Any
from uuid import uuid4

from PIL import ExifTags, Image

from apps.kernel import errors, wording

LONGEST_NAME = 255
MOST_PIXELS = 50_000_000
LONGEST_SIDE = 16_384
MOST_FRAMES = 200
MOST_ENTRIES = 10_000
MOST_UNPACKED = 512 * 2**20
HIGHEST_RATIO = 200
# As far as anybody looks for what a text is.
_HEAD = 4096
# A small file may pack well; it can do no harm.
_RATIO_COUNTS_FROM = 2**20
# What the orientation of EXIF means, beside 1 for upright.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Of a GIF: each picture goes before the next one comes, which else could be seen through.
_TO_BACKGROUND = 2
# For what only turns out while decoding, where Pillow refuses twice as many.
Image.MAX_IMAGE_PIXELS = MOST_PIXELS


class UploadRefused(errors.DomainError):
    """The file is not one that is taken here; `reason` is one of a few words."""

    code = "upload_refused"
    status = 422
    title = "The file is not taken"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of file: its media type, the endings a name may have, and what its bytes begin with at an offset.

    `sent_as` are other media types it goes by. A kind may be there more than once, beginning in another way.
    """

    name: str
    media_type: str
    endings: tuple[str, ...]
    marks: tuple[tuple[int, bytes], ...]
    largest: int
    sent_as: tuple[str, ...] = ()


_MIB = 2**20
JPEG = Kind("JPEG", "image/jpeg", (".jpg", ".jpeg"), ((0, b"\xff\xd8\xff"),), 20 * _MIB)
PNG = Kind("PNG", "image/png", (".png",), ((0, b"\x89PNG\r\n\x1a\n"),), 20 * _MIB)
GIF = Kind("GIF", "image/gif", (".gif",), ((0, b"GIF8"),), 20 * _MIB)
WEBP = Kind("WEBP", "image/webp", (".webp",), ((0, b"RIFF"), (8, b"WEBP")), 20 * _MIB)
ZIP = Kind("ZIP", "application/zip", (".zip",), ((0, b"PK\x03\x04"),), 100 * _MIB)
IMAGES = (JPEG, PNG, GIF, WEBP)
PDF = Kind("PDF", "application/pdf", (".pdf",), ((0, b"%PDF-"),), 50 * _MIB)
WEBM = Kind("WebM", "video/webm", (".webm",), ((0, b"\x1a\x45\xdf\xa3"),), 200 * _MIB)
OGG = Kind("Ogg", "audio/ogg", (".ogg", ".oga", ".opus"), ((0, b"OggS"),), 100 * _MIB, ("video/ogg", "audio/opus"))
WAV = Kind("WAV", "audio/wav", (".wav",), ((0, b"RIFF"), (8, b"WAVE")), 100 * _MIB, ("audio/x-wav", "audio/vnd.wave"))
# With tags before the sound, and without: the sync word of MPEG 1 and 2, layer III.
MP3 = tuple(
    Kind("MP3", "audio/mpeg", (".mp3",), ((0, mark),), 100 * _MIB, ("audio/mp3",))
    for mark in (b"ID3", b"\xff\xfb", b"\xff\xfa", b"\xff\xf3", b"\xff\xf2")
)
# The same container holds pictures too (HEIC, AVIF), which have other brands.
MP4 = tuple(
    Kind("MP4", "video/mp4", (".mp4", ".m4v"), ((4, b"ftyp" + brand),), 200 * _MIB, ("video/x-m4v",))
    for brand in (b"isom", b"iso2", b"iso4", b"iso5", b"iso6", b"mp41", b"mp42", b"avc1", b"M4V ", b"MSNV", b"dash")
)
M4A = Kind("M4A", "audio/mp4", (".m4a",), ((4, b"ftypM4A "),), 100 * _MIB, ("audio/x-m4a", "audio/m4a"))
KEPT_AS_THEY_ARE = (PDF, WEBM, OGG, WAV, *MP3, *MP4, M4A)


@dataclass(frozen=True, slots=True)
class Accepted:
    """A file as it may be kept: `stored_name` is made by us, `shown_name` is the sender's, for people only."""

    kind: Kind
    stored_name: str
    shown_name: str
    content: bytes
    width: int = 0
    height: int = 0


def accept_image(file: IO[bytes], *, name: str, declared: str) -> Accepted:
    """The image, turned upright and without all that is not picture. Raises UploadRefused.

    `name` and `declared`, the media type, are the sender's; they must agree with the bytes.
    """
    kind, content = _identify(file, name=name, declared=declared, kinds=IMAGES)
    picture, width, height = _redrawn(content, kind)
    return Accepted(kind, f"{uuid4().hex}{kind.endings[0]}", shown_name(name), picture, width, height)


def accept_file(file: IO[bytes], *, name: str, declared: str) -> Accepted:
    """An image as `accept_image` has it; a document, video or sound as it was sent. Raises UploadRefused.

    What is kept as it is may hold anything behind its first bytes: whoever serves it says what it is, and forbids to
    guess.
    """
    kind, content = _identify(file, name=name, declared=declared, kinds=(*IMAGES, *KEPT_AS_THEY_ARE))
    width = height = 0
    if kind in IMAGES:
        content, width, height = _redrawn(content, kind)
    return Accepted(kind, f"{uuid4().hex}{kind.endings[0]}", shown_name(name), content, width, height)


def accept_archive(file: IO[bytes], *, name: str, declared: str) -> Accepted:
    """The zip archive, whose entries may be unpacked. Raises UploadRefused."""
    kind, content = _identify(file, name=name, declared=declared, kinds=(ZIP,))
    _check_entries(content)
    return Accepted(kind, f"{uuid4().hex}{kind.endings[0]}", shown_name(name), content)


def kind_of(content: bytes, *, kinds: Sequence[Kind] = IMAGES) -> Kind | None:
    """What the first bytes say it is; None for none of the kinds."""
    return next((kind for kind in kinds if all(content.startswith(mark, at) for at, mark in kind.marks)), None)


def shown_name(name: str) -> str:
    """The last part of a name, for people: without folders and signs that turn or hide others."""
    last = name.replace("\\", "/").rpartition("/")[2]
    visible = "".join(sign for sign in unicodedata.normalize("NFC", last) if unicodedata.category(sign)[0] != "C")
    return visible.strip(" .")[:LONGEST_NAME] or "file"


def _identify(file: IO[bytes], *, name: str, declared: str, kinds: tuple[Kind, ...]) -> tuple[Kind, bytes]:
    largest = max(kind.largest for kind in kinds)
    content = file.read(largest + 1)
    named = ", ".join(dict.fromkeys(kind.name for kind in kinds))
    kind = kind_of(content, kinds=kinds)
    if kind is None and b"<svg" in content[:_HEAD].lower():
        raise _refused("svg", wording.say("an SVG is a page that can run scripts; send it as PNG or WebP"))
    if kind is None:
        raise _refused("type", wording.say("its bytes are not those of {kinds}", kinds=named))
    if len(content) > kind.largest:
        raise _refused("size", wording.say("it is larger than {limit} MiB", limit=kind.largest // _MIB))
    if len(name) > LONGEST_NAME or PurePosixPath(shown_name(name)).suffix.lower() not in kind.endings:
        endings = " / ".join(kind.endings)
        said = wording.say(
            "its bytes are {kind}, and its name must end with {endings}", kind=kind.name, endings=endings
        )
        raise _refused("name", said)
    if declared.partition(";")[0].strip().lower() not in (kind.media_type, *kind.sent_as):
        said = wording.say(
            "its bytes are {kind}, and its media type must be {type}", kind=kind.name, type=kind.media_type
        )
        raise _refused("declared_type", said)
    return kind, content


def _redrawn(content: bytes, kind: Kind) -> tuple[bytes, int, int]:
    try:
        # Reads the head only; no other decoder than that of the kind is tried.
        with Image.open(io.BytesIO(content), formats=[kind.name]) as image:
            width, height = image.size
            # What a camera puts behind the picture of a JPEG, such as a preview, is left behind.
            frames = 1 if kind is JPEG else getattr(image, "n_frames", 1)
            _check_pixels(width, height, frames)
            if frames > 1:
                return _animated(image, kind, frames), width, height
            upright = _upright(image)
            seen_through = {name: value for name, value in upright.info.items() if name == "transparency"}
            upright.info.clear()
            upright.info.update(seen_through)
            if kind is JPEG and upright.mode not in {"L", "RGB"}:
                upright = upright.convert("RGB")
            return _written(upright, kind), upright.width, upright.height
    except (errors.DomainError, MemoryError):
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _refused("pixels", wording.say("it has more than {limit:,} pixels", limit=MOST_PIXELS)) from None
    except Exception as error:
        said = wording.say("it begins like {kind} and can't be read as one", kind=kind.name)
        raise _refused("damaged", said) from error


def _check_pixels(width: int, height: int, frames: int) -> None:
    """Raises UploadRefused for what would take too much room once it is decoded."""
    if width * height > MOST_PIXELS or max(width, height) > LONGEST_SIDE:
        template = wording.mark("it has {width:,} × {height:,} pixels, {limit:,} at most")
        raise _refused("pixels", wording.say(template, width=width, height=height, limit=MOST_PIXELS))
    if frames > MOST_FRAMES or frames * width * height > MOST_PIXELS:
        template = wording.mark(
            "its {count:,} pictures have {pixels:,} pixels together; at most {most:,} with {limit:,} are taken, so "
            "send fewer or smaller ones"
        )
        pixels = frames * width * height
        said = wording.say(template, count=frames, pixels=pixels, most=MOST_FRAMES, limit=MOST_PIXELS)
        raise _refused("frames", said)


def _upright(image: Image.Image) -> Image.Image:
    """A copy, turned as its EXIF says; what can't be read there says nothing."""
    image.load()
    try:
        turn = _TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - any error of a decoder that reads what anybody wrote
        turn = None
    return image.copy() if turn is None else image.transpose(turn)


def _animated(image: Image.Image, kind: Kind, frames: int) -> bytes:
    """The pictures with their times, gone through once to know these and again to be written."""
    size, times, has_holes = image.size, [], False
    for number in range(frames):
        image.seek(number)
        # A picture of a GIF may reach beyond what the head says.
        _check_pixels(*image.size, frames)
        image.load()
        times.append(image.info.get("duration", 0))
        has_holes |= image.has_transparency_data
    drawn = _Frames(image, "RGBA" if has_holes else "RGB", size, range(frames))
    # A PNG may begin with a picture for those who know no animations, which has no time.
    is_still_first = getattr(image, "default_image", False)
    options: dict[str, Any] = {"duration": times[is_still_first:], "default_image": is_still_first}
    if "loop" in image.info:
        options["loop"] = image.info["loop"]
    if kind is GIF and has_holes:
        options["disposal"] = _TO_BACKGROUND
    first, others, written = next(iter(drawn)), replace(drawn, numbers=range(1, frames)), io.BytesIO()
    first.save(written, format=kind.name, save_all=True, append_images=others, **options)
    return written.getvalue()


@dataclass(frozen=True, slots=True)
class _Frames:
    """Pictures of a moving image, each whole and nothing else, drawn while they are gone through."""

    image: Image.Image
    mode: str
    size: tuple[int, int]
    numbers: range

    def __iter__(self) -> Iterator[Image.Image]:
        for number in self.numbers:
            self.image.seek(number)
            frame = self.image.convert(self.mode)
            frame.info.clear()
            yield frame if frame.size == self.size else frame.crop((0, 0, *self.size))


def _written(image: Image.Image, kind: Kind) -> bytes:
    written = io.BytesIO()
    image.save(written, format=kind.name, **({"quality": 90} if kind in {JPEG, WEBP} else {}))
    return written.getvalue()


def _check_entries(content: bytes) -> None:
    """By the directory, and then by the bytes: a directory may say anything."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
            if len(entries) > MOST_ENTRIES:
                said = wording.say(
                    "it has {count:,} entries, {limit:,} at most", count=len(entries), limit=MOST_ENTRIES
                )
                raise _refused("entries", said)
            for entry in entries:
                _check_entry(entry)
            if len({entry.filename for entry in entries}) != len(entries):
                raise _refused("entries", wording.say("it has two entries of one name"))
            left = _allowed(len(content))
            for entry in entries:
                left = _unpack(archive, entry, left)
    except errors.DomainError:
        raise
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError, ValueError, zipfile.LargeZipFile):
        raise _refused("damaged", wording.say("it can't be read as a zip archive")) from None


def _check_entry(entry: zipfile.ZipInfo) -> None:
    name = entry.filename
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if not parts or ".." in parts or parts[0].startswith("/") or ":" in name or "\x00" in entry.orig_filename:
        raise _refused("entry_name", wording.say("an entry leads out of the archive"))
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise _refused("entry_type", wording.say("an entry is a link or a device"))
    if entry.flag_bits & 0x1:
        raise _refused("encrypted", wording.say("an entry is encrypted"))


def _allowed(packed: int) -> int:
    return min(MOST_UNPACKED, max(packed * HIGHEST_RATIO, _RATIO_COUNTS_FROM))


def _unpack(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, left: int) -> int:
    """What is left of the allowance after this entry."""
    if entry.file_size > left:
        raise _refused("bomb", wording.say("it unpacks to far more than it is"))
    with archive.open(entry) as stream:
        while block := stream.read(_MIB):
            left -= len(block)
            if left < 0:
                raise _refused("bomb", wording.say("it unpacks to far more than it is"))
    return left


def _refused(reason: str, detail: str) -> UploadRefused:
    return UploadRefused(wording.say("The file is not taken: {detail}.", detail=detail), reason=reason)
