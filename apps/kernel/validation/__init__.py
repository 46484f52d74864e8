"""One definition of a field's rule for the API, the services, the admin, commands and importers.

inputs     what an input model is, and what is said about one that is wrong
fields     the rules of single fields, each with its bounds and its codes
stored     what can be stored and read back as the same: text, JSON, moments
limits     what every input model takes, read off the models and tried on them
page       the same as docs/reference/limits-of-fields.md. Why it is as it is: docs/explanation/validation.md
"""

from __future__ import annotations

from apps.kernel.validation.fields import (
    MAXIMUM_DEPTH,
    MAXIMUM_LOCALES,
    Currency,
    Depth,
    Email,
    EmptyIsNone,
    Excerpt,
    Flag,
    Line,
    Locale,
    LongText,
    LooksLike,
    Metadata,
    Moment,
    OneOf,
    OptionalSku,
    OptionalSlug,
    Password,
    Position,
    Prose,
    Quantity,
    ReplyCount,
    Secret,
    ShortSlug,
    ShortText,
    Sku,
    Slug,
    Title,
    Token,
    TypedId,
    Whole,
    find_email,
)
from apps.kernel.validation.inputs import Input, check, failed, fits, parse, refused
from apps.kernel.validation.stored import MAXIMUM_METADATA_BYTES, check_json, refuse_nul, to_moment, to_text

__all__ = [
    "MAXIMUM_DEPTH",
    "MAXIMUM_LOCALES",
    "MAXIMUM_METADATA_BYTES",
    "Currency",
    "Depth",
    "Email",
    "EmptyIsNone",
    "Excerpt",
    "Flag",
    "Input",
    "Line",
    "Locale",
    "LongText",
    "LooksLike",
    "Metadata",
    "Moment",
    "OneOf",
    "OptionalSku",
    "OptionalSlug",
    "Password",
    "Position",
    "Prose",
    "Quantity",
    "ReplyCount",
    "Secret",
    "ShortSlug",
    "ShortText",
    "Sku",
    "Slug",
    "Title",
    "Token",
    "TypedId",
    "Whole",
    "check",
    "check_json",
    "failed",
    "find_email",
    "fits",
    "parse",
    "refuse_nul",
    "refused",
    "to_moment",
    "to_text",
]
