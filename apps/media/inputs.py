"""What the media library takes."""

from __future__ import annotations

from typing import Annotated, Any

from django.core.files.uploadedfile import UploadedFile
from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from apps.kernel import uploads, validation, wording

LONGEST_ALT = 1000
LONGEST_CAPTION = 5000


def _folder(value: str) -> str:
    """Parts between single slashes."""
    parts = [part.strip() for part in value.split("/")]
    if value and not all(part and part not in {".", ".."} for part in parts):
        raise wording.refusal("invalid_folder", "a folder is like products/2026: names between single slashes")
    return "/".join(parts)


def _file(value: Any) -> UploadedFile[Any]:
    if not isinstance(value, UploadedFile):
        raise wording.refusal("not_a_file", "send a file in this part of the form")
    return value


Folder = Annotated[str, validation.Line(255), AfterValidator(_folder)]
Alt = Annotated[str, validation.Line(LONGEST_ALT)]
Caption = Annotated[str, validation.Prose(LONGEST_CAPTION)]
Name = Annotated[str, validation.Line(uploads.LONGEST_NAME, 1)]
_SENT = {"type": "string", "format": "binary"}
# In a schema so: the bytes of a part of the form.
File = Annotated[Any, BeforeValidator(_file), WithJsonSchema({**_SENT, "x-bounds": "those of its kind of file"})]


class NewAsset(validation.Input):
    """What is said of a file that comes; `alt` and `caption` in `locale`, the tenant's default one if it is absent."""

    folder: Folder = ""
    locale: validation.Locale | None = None
    alt: Alt = ""
    caption: Caption = ""


class AssetForm(NewAsset):
    """A form with the file in it. `locale` is the language of `alt` and `caption`: the tenant's default one if it is
    absent."""

    file: File


class FocalPoint(validation.Input):
    """What of an image is to be seen where it is cut, in percent from the left and from the top."""

    x: Annotated[int, validation.Whole("focal_point", 100)]
    y: Annotated[int, validation.Whole("focal_point", 100)]


class AssetTranslationInput(validation.Input):
    """`alt` stands in place of the asset for those who don't see it; `caption` below it."""

    locale: validation.Locale
    alt: Alt = ""
    caption: Caption = ""


class AssetChanges(validation.Input):
    """What is given is changed; `translations` replace all there are. The file itself never changes."""

    name: Name | None = None
    folder: Folder | None = None
    focal_point: FocalPoint | None = None
    translations: Annotated[list[AssetTranslationInput], Field(max_length=validation.MAXIMUM_LOCALES)] | None = None
