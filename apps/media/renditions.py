"""Images in a few sizes, all made when the image comes: nobody can ask for another size. docs/explanation/media.md"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass

from PIL import Image

from apps.kernel import uploads

QUALITY = 82


@dataclass(frozen=True, slots=True)
class Preset:
    """A size by name: neither side is longer than `longest` pixels; whole, and never larger than the image."""

    name: str
    longest: int


# From large to small: each is drawn from the one before.
PRESETS = (Preset("large", 1920), Preset("medium", 960), Preset("small", 480), Preset("thumbnail", 160))
MEDIA_TYPE, ENDING = uploads.WEBP.media_type, uploads.WEBP.endings[0]


@dataclass(frozen=True, slots=True)
class Drawn:
    name: str
    content: bytes
    width: int
    height: int


def draw(image: uploads.Accepted) -> Iterator[Drawn]:
    """The sizes smaller than the image, and a thumbnail in any case; of a moving image the first picture."""
    with Image.open(io.BytesIO(image.content), formats=[image.kind.name]) as opened:
        picture = opened.convert("RGBA" if opened.has_transparency_data else "RGB")
    for preset in PRESETS:
        if max(picture.size) <= preset.longest and preset is not PRESETS[-1]:
            continue
        picture.thumbnail((preset.longest, preset.longest), Image.Resampling.LANCZOS, reducing_gap=3)
        written = io.BytesIO()
        picture.save(written, format=uploads.WEBP.name, quality=QUALITY)
        yield Drawn(preset.name, written.getvalue(), picture.width, picture.height)
