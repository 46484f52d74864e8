"""Identifiers: UUIDv7 in the database, TypeID text (`prod_01h…`) at the edge.

TypeID (https://github.com/jetify-com/typeid): a lower-case prefix, `_`, and the 128 bits in 26 characters of
Crockford's base32.
"""

from __future__ import annotations

import uuid

from uuid_utils.compat import uuid7

from apps.kernel import errors, wording

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_VALUES = {character: value for value, character in enumerate(_ALPHABET)}
LENGTH = 26
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]


class InvalidId(errors.ValidationFailed):
    """An id in the address or the body is not one of such an object. Send ids as the API returned them."""

    code = "invalid_id"
    status = 404
    title = "This is not an identifier of such an object"


def new_id() -> uuid.UUID:
    """A time-ordered UUIDv7 (RFC 9562)."""
    return uuid7()


def encode(prefix: str, value: uuid.UUID) -> str:
    """`prod_01h455vb4pex5vsknk084sn02q` for a UUID."""
    number = value.int
    pairs = [_PAIRS[number >> shift & 1023] for shift in range(120, -10, -10)]
    return f"{prefix}_{''.join(pairs)}"


def pattern(prefix: str) -> str:
    """The regular expression of what `decode` takes, for the OpenAPI document."""
    digit = "[0-9a-fA-F]"
    plain = "-".join(f"{digit}{{{length}}}" for length in (8, 4, 4, 4, 12))
    return f"^({prefix}_[0-7][{_ALPHABET}]{{{LENGTH - 1}}}|{plain})$"


def decode(prefix: str, text: str) -> uuid.UUID:
    """The UUID behind `text`, a TypeID with this prefix or a plain UUID. Raises InvalidId."""
    head, separator, tail = text.rpartition("_")
    try:
        if not separator:
            return uuid.UUID(text)
        if head == prefix and len(tail) == LENGTH and tail[0] in "01234567":
            number = 0
            for character in tail:
                number = (number << 5) | _VALUES[character]
            return uuid.UUID(int=number)
    except (ValueError, KeyError):  # noqa: S110 - refused below, like an id of another kind
        pass
    shown = text[:60].encode(errors="replace").decode()  # it may hold half characters, which can't be sent back
    raise InvalidId(
        wording.say(
            '"{value}" is not an id of this kind; expected {prefix}_ and {length} characters, or a UUID.',
            value=shown,
            prefix=prefix,
            length=LENGTH,
        )
    )
