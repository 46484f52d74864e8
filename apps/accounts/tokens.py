"""Secrets that are handed out: signed access tokens (JWT, RFC 7519 and 9068) and opaque random ones.

The keys come from SECRET_KEY. A token names its key, so that those of SECRET_KEY_FALLBACKS are still read while a key
is being replaced; new ones are signed with SECRET_KEY alone.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import jwt
from django.conf import settings
from nacl.exceptions import CryptoError
from nacl.secret import SecretBox

from apps.kernel import errors, wording

ISSUER = "rustok"
ALGORITHM = "HS256"
TYPE = "at+jwt"
LIFETIME = timedelta(minutes=10)
LONGEST = 4096
# Clocks of two machines are never quite the same.
LEEWAY = timedelta(seconds=5)
_CLAIMS = ("iss", "aud", "sub", "sid", "ver", "iat", "nbf", "exp")


class TokenRefused(errors.DomainError):
    """The token is false, expired, or of a session that is over. Why is not said: a forger would learn from it."""

    code = "token_refused"
    status = 401
    title = "The token is not accepted"


@dataclass(frozen=True, slots=True)
class Claims:
    account_id: uuid.UUID
    session_id: uuid.UUID
    version: int


def issue(*, audience: str, claims: Claims, now: datetime) -> str:
    """An access token that lasts LIFETIME, for one audience only."""
    payload = {
        "iss": ISSUER,
        "aud": audience,
        "sub": str(claims.account_id),
        "sid": str(claims.session_id),
        "ver": claims.version,
        "iat": now,
        "nbf": now,
        "exp": now + LIFETIME,
    }
    key = signing_key(settings.SECRET_KEY, "access token")
    return jwt.encode(payload, key, algorithm=ALGORITHM, headers={"typ": TYPE, "kid": _key_id(key)})


def read(token: str, *, audience: str) -> Claims:
    """What an access token of ours says. Raises TokenRefused.

    The header may name a key of ours and nothing else: an algorithm, a key or an address of one is never taken from it.
    """
    try:
        return _read(token, audience)
    except (jwt.PyJWTError, KeyError, ValueError, TypeError, AttributeError):
        raise refused() from None


def _read(token: str, audience: str) -> Claims:
    if len(token) > LONGEST:
        raise ValueError("too long")
    header = jwt.get_unverified_header(token)
    if header.keys() != {"alg", "typ", "kid"} or header["typ"] != TYPE:
        raise ValueError("not a header of ours")
    keys = {_key_id(key): key for key in _keys("access token")}
    payload: dict[str, Any] = jwt.decode(
        token,
        keys[header["kid"]],
        algorithms=[ALGORITHM],
        audience=audience,
        issuer=ISSUER,
        leeway=LEEWAY,
        options={"require": list(_CLAIMS), "strict_aud": True},
    )
    if type(payload["ver"]) is not int:
        raise ValueError("not a version")
    return Claims(uuid.UUID(payload["sub"]), uuid.UUID(payload["sid"]), payload["ver"])


def refused() -> TokenRefused:
    return TokenRefused(wording.say("The token is not valid or no longer valid; log in again."))


def new_secret(prefix: str) -> str:
    """`<prefix>_` and 256 random bits, safe in addresses."""
    return f"{prefix}_{secrets.token_urlsafe(32)}"


def digest(secret: str) -> str:
    """What is stored of a random secret: it is too long to be guessed, so no slow hash is needed."""
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()


def seal(text: str, purpose: str) -> bytes:
    """The text, unreadable without SECRET_KEY."""
    return bytes(SecretBox(signing_key(settings.SECRET_KEY, purpose)).encrypt(text.encode()))


def unseal(sealed: bytes, purpose: str) -> str:
    """What was sealed, by the present key or a former one. Raises CryptoError when none of them fits."""
    for key in _keys(purpose):
        try:
            return SecretBox(key).decrypt(sealed).decode()
        except CryptoError:  # noqa: S112 - sealed with another key; the next may fit
            continue
    raise CryptoError("sealed with a key that is neither SECRET_KEY nor one of SECRET_KEY_FALLBACKS")


def signing_key(secret: str, purpose: str) -> bytes:
    """32 bytes for one purpose: a key that leaks opens nothing else."""
    return hmac.digest(secret.encode(), f"rustok {purpose} 1".encode(), "sha256")


def _keys(purpose: str) -> Sequence[bytes]:
    return [signing_key(secret, purpose) for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)]


def _key_id(key: bytes) -> str:
    return hashlib.sha256(key).hexdigest()[:16]
