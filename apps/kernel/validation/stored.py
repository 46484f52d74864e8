"""What can be stored and read back as the same: text, JSON and moments."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson

from apps.kernel import wording

EARLIEST, LATEST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
MAXIMUM_METADATA_BYTES = 256 * 1024
MAXIMUM_METADATA_DEPTH = 32


def refuse_nul(value: str) -> str:
    """The text. Raises PydanticCustomError for what the database can't store."""
    if "\x00" in value:
        raise wording.refusal("nul_character", "the text contains a NUL character; remove it")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            # JSON can spell half of a UTF-16 pair; UTF-8, and so the database, can't.
            raise wording.refusal("lone_surrogate", "the text contains half a character; send it whole") from None
    return value


def check_json(value: Any, *, maximum_depth: int = MAXIMUM_METADATA_DEPTH) -> None:
    """Raises PydanticCustomError for what can't be written as JSON, stored, and read back as the same.

    Whole numbers are signed 64 bits; so are others, because the database returns 1e30 as a whole number.
    """
    if maximum_depth < 0:
        raise wording.refusal("nested_too_deep", "the value is nested too deep; use fewer levels")
    match value:
        case None | bool():
            return
        case str():
            refuse_nul(value)
        case int() | float():
            if not -(2**63) <= value < 2**63:  # NaN neither
                raise wording.refusal("number_out_of_range", "a number is beyond 64 bits; send it as text")
        case list():
            for item in value:
                check_json(item, maximum_depth=maximum_depth - 1)
        case dict():
            for key, item in value.items():
                if not isinstance(key, str):
                    raise wording.refusal("not_json", "the keys of an object are text")
                refuse_nul(key)
                check_json(item, maximum_depth=maximum_depth - 1)
        case _:
            raise wording.refusal("not_json", "this can't be stored as JSON: {kind}", kind=type(value).__name__)


def check_metadata(value: dict[str, Any]) -> dict[str, Any]:
    """The object. Raises PydanticCustomError where it is no JSON, or too much of it."""
    check_json(value)
    if (size := len(orjson.dumps(value))) > MAXIMUM_METADATA_BYTES:
        raise wording.refusal(
            "metadata_too_large",
            "this takes {size} bytes as JSON, {limit} at most",
            size=size,
            limit=MAXIMUM_METADATA_BYTES,
        )
    return value


def to_moment(value: datetime) -> datetime:
    """The aware datetime in UTC. Raises PydanticCustomError outside 1900 to 2199, where years are mistakes.

    The database takes years that Python can't read back.
    """
    try:
        moment = value.astimezone(UTC)
    except OverflowError:
        moment = None
    if moment is None or not EARLIEST <= moment < LATEST:
        raise wording.refusal("moment_out_of_range", "the moment is not in the years 1900 to 2199 (in UTC)")
    return moment


def to_text(moment: datetime) -> str:
    """RFC 3339 text in UTC with microseconds: the one way a moment is written into events and documents."""
    if moment.tzinfo is UTC and moment.microsecond:  # most are; a rebuild writes millions
        return orjson.dumps(moment, option=orjson.OPT_UTC_Z)[1:-1].decode()
    return moment.astimezone(UTC).isoformat(timespec="microseconds")[:26] + "Z"
