"""Files are what their bytes are: what pretends, explodes, leads elsewhere or carries something along is refused."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngImageFile, PngInfo

from apps.kernel import uploads
from apps.kernel.uploads import UploadRefused

SCRIPT = b"<script>alert(1)</script>"


def picture(format: str = "PNG", size: tuple[int, int] = (4, 2), **options: Any) -> bytes:
    written = io.BytesIO()
    Image.new("RGB", size, "red").save(written, format=format, **options)
    return written.getvalue()


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def huge_png(width: int, height: int) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    )


def archive(*entries: tuple[str | zipfile.ZipInfo, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", compression) as made:
        for name, content in entries:
            made.writestr(name, content)
    return written.getvalue()


def entry_of(kind: int) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo("entry")
    entry.external_attr = (kind | 0o777) << 16
    return entry


def take_image(content: bytes, name: str = "a.png", declared: str = "image/png") -> uploads.Accepted:
    return uploads.accept_image(io.BytesIO(content), name=name, declared=declared)


def take_zip(content: bytes, name: str = "a.zip", declared: str = "application/zip") -> uploads.Accepted:
    return uploads.accept_archive(io.BytesIO(content), name=name, declared=declared)


def animation(frames: list[Image.Image], format: str, **options: Any) -> bytes:
    written = io.BytesIO()
    frames[0].save(written, format=format, save_all=True, append_images=frames[1:], **options)
    return written.getvalue()


def taken_as(format: str, content: bytes) -> bytes:
    """What is kept of it, sent under the name of its kind."""
    kind = next(kind for kind in uploads.IMAGES if kind.name == format)
    return take_image(content, f"a{kind.endings[0]}", kind.media_type).content


@pytest.mark.parametrize(
    ("format", "name", "declared"),
    [
        ("PNG", "a.png", "image/png"),
        ("JPEG", "A.JPG", "image/jpeg"),
        ("JPEG", "a.jpeg", "Image/JPEG; charset=x"),
        ("GIF", "a.gif", "image/gif"),
        ("WEBP", "a.webp", "image/webp"),
    ],
)
def test_an_image_that_is_one_is_taken(format: str, name: str, declared: str) -> None:
    taken = take_image(picture(format), name, declared)

    assert (taken.kind.name, taken.width, taken.height, taken.shown_name) == (format, 4, 2, name)
    assert len(taken.stored_name.partition(".")[0]) == 32
    assert Image.open(io.BytesIO(taken.content)).size == (4, 2)


@pytest.mark.parametrize("format", ["PNG", "GIF", "WEBP"])
def test_an_animation_keeps_moving_as_fast_and_as_often(format: str) -> None:
    frames = [Image.new("RGBA", (60, 20)) for _ in range(3)]
    for number, frame in enumerate(frames):
        frame.paste("red", (20 * number, 0, 20 * number + 20, 20))
        frame.paste((0, 0, 0, 0), (20 * number + 4, 4, 20 * number + 16, 16))
    inside: dict[str, Any] = {"comment": "canary", "disposal": 2} if format == "GIF" else {"exif": b"Exif\0\0canary"}
    moving = animation(frames, format, duration=[100, 250, 2000], loop=3, **inside)

    taken = taken_as(format, moving)

    with Image.open(io.BytesIO(taken)) as image:
        assert (getattr(image, "n_frames", 1), image.info["loop"]) == (3, 3)
        for number, time in enumerate([100, 250, 2000]):
            image.seek(number)
            alpha = image.convert("RGBA").getchannel("A")
            assert alpha.getbbox() == (20 * number, 0, 20 * number + 20, 20)
            assert image.info["duration"] == time
    assert b"canary" in moving and b"canary" not in taken


def test_a_picture_for_those_who_know_no_animations_is_not_one_of_them() -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue", "green")]

    taken = taken_as("PNG", animation(frames, "PNG", duration=[300, 700], default_image=True))

    with Image.open(io.BytesIO(taken)) as image:
        assert image.info["default_image"] is True
        times = []
        for number in (1, 2):
            image.seek(number)
            times.append(image.info["duration"])
    assert times == [300, 700]


def test_a_moving_picture_that_plays_once_still_does() -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]

    taken = taken_as("GIF", animation(frames, "GIF"))

    assert "loop" not in Image.open(io.BytesIO(taken)).info


def test_pictures_of_a_gif_end_where_its_head_says() -> None:
    moving = animation([Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")], "GIF")
    second = moving.rindex(b",\0\0\0\0\4\0\4\0")
    beyond = moving[: second + 1] + b"\2\0" + moving[second + 3 :]

    taken = take_image(beyond, "a.gif", "image/gif")

    with Image.open(io.BytesIO(taken.content)) as image:
        image.seek(1)
        image.load()
        assert (taken.width, taken.height) == image.size == (4, 4)


@pytest.mark.parametrize("format", ["PNG", "GIF"])
@pytest.mark.parametrize("mode", ["P", "L"])
def test_what_is_seen_through_stays_so(format: str, mode: str) -> None:
    content = io.BytesIO()
    image = Image.new(mode, (4, 2), 1)
    if mode == "P":
        image.putpalette([255, 0, 0, 0, 255, 0])
    image.putpixel((0, 0), 0)
    image.save(content, format=format, transparency=0)

    taken = Image.open(io.BytesIO(taken_as(format, content.getvalue()))).convert("RGBA")

    assert [taken.getpixel((x, 0))[3] for x in (0, 1)] == [0, 255]  # type: ignore[index]


def test_a_photo_with_a_preview_behind_it_is_taken_as_the_photo() -> None:
    """A Multi-Picture file, as cameras and phones write it."""
    content = animation([Image.new("RGB", (40, 30), "red"), Image.new("RGB", (8, 6), "blue")], "MPO")

    taken = take_image(content, "photo.jpg", "image/jpeg")

    with Image.open(io.BytesIO(taken.content)) as image:
        assert (image.format, image.size, getattr(image, "n_frames", 1)) == ("JPEG", (40, 30), 1)


def test_exif_that_could_not_be_written_again_turns_the_picture_too() -> None:
    fields = (
        struct.pack("<HHI4s", 0x0112, 3, 1, b"\6\0\0\0"),  # orientation
        struct.pack("<HHI4s", 0x0100, 2, 4, b"abc\0"),  # width, as text
        struct.pack("<HHI4s", 0x011A, 2, 4, b"abc\0"),  # resolution, as text
    )
    directory = b"II*\0" + struct.pack("<IH", 8, len(fields)) + b"".join(fields) + struct.pack("<I", 0)

    taken = take_image(picture("JPEG", exif=b"Exif\0\0" + directory), "a.jpg", "image/jpeg")

    assert (taken.width, taken.height) == (2, 4)


def test_exif_that_can_not_be_read_says_nothing() -> None:
    written = PngInfo()
    written.add_text("Raw profile type exif", "\nexif\n4\nno number")

    taken = take_image(picture(pnginfo=written))

    assert (taken.width, taken.height) == (4, 2)


@pytest.mark.parametrize("error", [IndexError, KeyError, TypeError, struct.error, RuntimeError, AssertionError])
def test_whatever_a_decoder_stumbles_over_the_file_is_damaged(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(image: Image.Image) -> None:
        raise error("somewhere in a decoder")

    monkeypatch.setattr(PngImageFile, "load", fails)

    with pytest.raises(UploadRefused, match="can't be read as one"):
        take_image(picture())


def test_an_image_for_which_there_is_no_room_is_not_damaged(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(image: Image.Image) -> None:
        raise MemoryError

    monkeypatch.setattr(PngImageFile, "load", fails)

    with pytest.raises(MemoryError):
        take_image(picture())


@pytest.mark.parametrize("format", ["PNG", "GIF", "WEBP"])
def test_a_moving_image_has_as_many_pixels_as_one_that_stands(format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of its pictures together, before any of them is decoded."""
    frames = [Image.new("RGB", (20, 10), colour) for colour in ("red", "blue", "green")]
    moving = animation(frames, format)
    monkeypatch.setattr(uploads, "MOST_PIXELS", 599)
    monkeypatch.setattr(uploads, "_animated", None)

    with pytest.raises(
        UploadRefused, match="its 3 pictures have 600 pixels together; at most 200 with 599 are"
    ) as refusal:
        taken_as(format, moving)

    assert refusal.value.data["reason"] == "frames"


def test_a_later_picture_that_is_larger_than_the_head_says_counts_as_large() -> None:
    moving = animation([Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")], "GIF")
    second = moving.rindex(b",\0\0\0\0\4\0\4\0")
    grown = moving[: second + 5] + struct.pack("<HH", 6000, 6000) + moving[second + 9 :]

    with pytest.raises(UploadRefused, match="72,000,000 pixels together"):
        take_image(grown, "a.gif", "image/gif")


REFUSED: dict[str, tuple[Callable[[], object], str]] = {
    "SVG": (lambda: take_image(b"<svg xmlns='x'>" + SCRIPT + b"</svg>", "a.svg", "image/svg+xml"), "svg"),
    "SVG as PNG": (lambda: take_image(b"<svg>" + SCRIPT, "a.png"), "svg"),
    "HTML as PNG": (lambda: take_image(b"<!doctype html>" + SCRIPT, "a.png"), "type"),
    "nothing": (lambda: take_image(b""), "type"),
    "a program": (lambda: take_image(b"\x7fELF\x02", "a.png"), "type"),
    "GIF as PNG": (lambda: take_image(picture("GIF")), "name"),
    "declared otherwise": (lambda: take_image(picture(), "a.png", "image/gif"), "declared_type"),
    "declared as HTML": (lambda: take_image(picture(), "a.png", "text/html"), "declared_type"),
    "undeclared": (lambda: take_image(picture(), "a.png", ""), "declared_type"),
    "two endings": (lambda: take_image(picture(), "a.png.php"), "name"),
    "no ending": (lambda: take_image(picture(), "png"), "name"),
    "NUL in the name": (lambda: take_image(picture(), "a.php\x00.gif"), "name"),
    "turned name": (lambda: take_image(picture(), "a\u202egnp.exe"), "name"),
    "long name": (lambda: take_image(picture(), "a" * 300 + ".png"), "name"),
    "pixel bomb": (lambda: take_image(huge_png(60_000, 60_000)), "pixels"),
    "long side": (lambda: take_image(huge_png(1_000_000, 1)), "pixels"),
    "no pixels": (lambda: take_image(huge_png(0, 0)), "damaged"),
    "head only": (lambda: take_image(b"\x89PNG\r\n\x1a\n"), "damaged"),
    "cut off": (lambda: take_image(picture(size=(500, 500))[:60]), "damaged"),
    "GIF with script for a size": (lambda: take_image(b"GIF89a/*" + SCRIPT, "a.gif", "image/gif"), "damaged"),
    "RIFF of sound": (lambda: take_image(b"RIFF\x00\x00\x00\x00WAVEfmt ", "a.webp", "image/webp"), "type"),
    "too large": (lambda: take_image(picture() + b"\0" * 20 * 2**20), "size"),
    "not a zip": (lambda: take_zip(b"PK\x03\x04 and nothing else"), "damaged"),
    "a zip as an image": (lambda: take_image(archive(("a", b"")), "a.png"), "type"),
    "zip slip": (lambda: take_zip(archive(("../../etc/passwd", b"x"))), "entry_name"),
    "zip slip, inner": (lambda: take_zip(archive(("a/../../b", b"x"))), "entry_name"),
    "zip slip, absolute": (lambda: take_zip(archive(("/etc/passwd", b"x"))), "entry_name"),
    "zip slip, Windows": (lambda: take_zip(archive(("..\\..\\a", b"x"))), "entry_name"),
    "zip slip, drive": (lambda: take_zip(archive(("C:\\a", b"x"))), "entry_name"),
    "symbolic link": (lambda: take_zip(archive((entry_of(stat.S_IFLNK), b"/etc/passwd"))), "entry_type"),
    "device": (lambda: take_zip(archive((entry_of(stat.S_IFBLK), b""))), "entry_type"),
    "zip bomb": (lambda: take_zip(archive(("a", b"\0" * 64 * 2**20))), "bomb"),
    "zip bomb of many": (lambda: take_zip(archive(*((str(n), b"\0" * 2**20) for n in range(64)))), "bomb"),
    "too many entries": (lambda: take_zip(archive(*((str(n), b"") for n in range(10_001)))), "entries"),
    "a zip that lies": (lambda: take_zip(lying(archive(("a", b"\0" * 64 * 2**20)))), "damaged"),
    "encrypted": (lambda: take_zip(flagged(archive(("a", b"x")))), "encrypted"),
}


def lying(content: bytes) -> bytes:
    """The archive with a directory that tells of one byte in its entry."""
    at = content.rfind(b"PK\x01\x02") + 24
    return content[:at] + struct.pack("<I", 1) + content[at + 4 :]


def flagged(content: bytes) -> bytes:
    """The archive with a directory that tells of an encrypted entry."""
    at = content.rfind(b"PK\x01\x02") + 8
    return content[:at] + b"\x01\x00" + content[at + 2 :]


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_what_it_says_or_too_much_is_refused(case: str) -> None:
    attempt, reason = REFUSED[case]

    with pytest.raises(UploadRefused) as refusal:
        attempt()

    assert refusal.value.data["reason"] == reason


@pytest.mark.parametrize("format", ["PNG", "JPEG", "GIF", "WEBP"])
def test_what_an_image_carries_along_is_left_behind(format: str) -> None:
    exif = Image.Exif()
    exif[0x010E], exif[0x0112] = "home address, canary", 6
    inside = {"exif": exif, "comment": b"canary"} if format != "PNG" else {"exif": exif}
    polyglot = picture(format, **inside) + SCRIPT + archive(("canary", b"x"))
    ending = next(kind for kind in uploads.IMAGES if kind.name == format)

    taken = take_image(polyglot, f"a{ending.endings[0]}", ending.media_type)

    assert b"canary" in polyglot
    assert b"canary" not in taken.content
    assert b"script" not in taken.content
    assert not zipfile.is_zipfile(io.BytesIO(taken.content))
    turned = format != "GIF"  # which has no place for it
    assert (taken.width, taken.height) == ((2, 4) if turned else (4, 2))


def test_names_are_for_people_and_lead_nowhere() -> None:
    assert uploads.shown_name("../../etc/passwd") == "passwd"
    assert uploads.shown_name("C:\\x\\a\u202eb.png\x00") == "ab.png"
    assert uploads.shown_name("..") == "file"
    assert uploads.shown_name("été.png") == "été.png"
    assert ".." not in take_image(picture(), "../../a.png").stored_name


def test_an_archive_in_order_is_taken() -> None:
    taken = take_zip(archive(("a/b.txt", b"hello"), ("a/", b""), ("c..d.txt", b"x")))

    assert taken.kind is uploads.ZIP
