"""What of a change is written down: fields that differ, without secrets, long texts by their fingerprint."""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Collection, Mapping
from datetime import date, datetime
from typing import Any

import orjson
from pydantic import BaseModel

from apps.kernel import validation

REDACTED = "[redacted]"
PERSONAL = "[personal]"
LONGEST_TEXT = 1_000
LONGEST_LIST = 100

_SECRET_PARTS = (
    "password", "passwd", "passphrase", "secret", "token", "apikey", "privatekey", "accesskey", "authorization",
    "cookie", "credential", "cardnumber", "sessionkey", "signature", "connectionstring",
)  # fmt: skip
_SECRET_NAMES = {"pin", "otp", "totp", "key", "salt", "cvc", "cvv", "dsn", "iban"}
_NOT_IN_A_NAME = re.compile(r"[^a-z0-9]")
# What such a text has in it somewhere: an API key, refresh token or mailed token of ours, a JWT, the password in an
# address.
_SECRET_MARKS = re.compile(r"rt[krs]_|eyJ|://")
_SECRET_TEXT = re.compile(r"rt[krs]_[A-Za-z0-9_-]{16,}|eyJ[\w-]{8,}\.[\w-]+\.[\w-]*|(?<=://)[^/\s:@]*:[^/\s@]+(?=@)")


def is_secret(name: str) -> bool:
    """Whether a field of this name looks like one that nobody is to read."""
    plain = _NOT_IN_A_NAME.sub("", name.lower())
    return plain in _SECRET_NAMES or any(part in plain for part in _SECRET_PARTS)


def cover_secrets(text: str) -> str:
    """The text with what looks like a token of ours, a JWT or the password in an address covered."""
    return _SECRET_TEXT.sub(REDACTED, text) if _SECRET_MARKS.search(text) else text


def difference(
    before: Mapping[str, Any], after: Mapping[str, Any], *, redact: Collection[str] = (), personal: Collection[str] = ()
) -> tuple[dict[str, Any], dict[str, Any]]:
    """`{field: [before, after]}` of what differs, for everybody, and the same of the personal fields, to be kept apart.

    A field that is in one of the two only is compared with None. `redact` are secret by the caller's word.
    """
    shown: dict[str, Any] = {}
    apart: dict[str, Any] = {}
    for name in before.keys() | after.keys():
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        if name in redact or is_secret(name):
            shown[name] = [_covered(old, REDACTED), _covered(new, REDACTED)]
        elif name in personal:
            shown[name] = [_covered(old, PERSONAL), _covered(new, PERSONAL)]
            apart[name] = [_plain(old), _plain(new)]
        else:
            shown[name] = [_plain(old), _plain(new)]
    return shown, apart


def _covered(value: Any, cover: str) -> str | None:
    return None if value is None else cover


def _plain(value: Any) -> Any:
    """The value as JSON has it, safe to keep and to read for ever."""
    match value:
        case None | bool() | int() | float():
            return value
        case str():
            return _text(value)
        case uuid.UUID():
            return str(value)
        case datetime():
            return validation.to_text(value)
        case date():
            return value.isoformat()
        case BaseModel():
            return _plain({name: getattr(value, name) for name in type(value).model_fields})
        case Mapping():
            return {
                _name(str(key)): _covered(item, REDACTED) if is_secret(str(key)) else _plain(item)
                for key, item in value.items()
            }
        case list() | tuple() | set() | frozenset():
            items = [_plain(item) for item in value]
            if len(items) <= LONGEST_LIST:
                return items
            return {"items": len(items), "sha256": hashlib.sha256(orjson.dumps(items)).hexdigest(), "first": items[:10]}
    return _text(str(value))


def _name(value: str) -> str:
    """The key of a mapping; a long one by its beginning and what tells it from others."""
    found = _text(value)
    return found if isinstance(found, str) else f"{found['begins']}… {found['sha256']}"


def _text(value: str) -> str | dict[str, Any]:
    if not value.isascii():
        value = value.encode(errors="replace").decode()
    value = cover_secrets(value)
    if len(value) <= LONGEST_TEXT:
        return value
    fingerprint = hashlib.sha256(value.encode()).hexdigest()
    return {"length": len(value), "sha256": fingerprint, "begins": value[:200]}
