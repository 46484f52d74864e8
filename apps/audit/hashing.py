"""What is hashed and how: fields with their lengths before them, so that no two entries have the same bytes."""

from __future__ import annotations

import hashlib
import hmac
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

import orjson
from django.conf import settings

from apps.kernel import validation

BEGINNING = bytes(32)


@dataclass(frozen=True, slots=True)
class Key:
    """A secret from outside the database; `id` names it without telling it."""

    id: str
    secret: bytes

    def mac(self, *parts: bytes) -> bytes:
        return hmac.digest(self.secret, joined(parts), "sha256")


def current_key() -> Key:
    """The key that seals."""
    return _keys(tuple(settings.AUDIT_KEYS))[0]


def find_key(key_id: str) -> Key | None:
    """The key of that id among those configured, or None."""
    return next((key for key in _keys(tuple(settings.AUDIT_KEYS)) if key.id == key_id), None)


@lru_cache(maxsize=8)
def _keys(secrets: tuple[bytes, ...]) -> list[Key]:
    return [Key(hmac.digest(secret, b"key id", "sha256")[:6].hex(), secret) for secret in secrets]


def joined(parts: Iterable[bytes]) -> bytes:
    return b"".join(len(part).to_bytes(4) + part for part in parts)


def canonical(value: Any) -> str:
    """JSON with sorted keys and nothing between; stored as it is hashed, because the database would rewrite numbers."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def of_entry(
    *,
    id: uuid.UUID,
    tenant_id: uuid.UUID | None,
    occurred_at: datetime,
    actor: str,
    authority: str,
    action: str,
    object_type: str,
    object_id: str,
    changes: str,
    correlation_id: uuid.UUID | None,
    personal_digest: bytes,
) -> bytes:
    """SHA-256 of an entry, 32 bytes; moments with microseconds, as the database keeps them."""
    parts = (
        b"rustok audit entry 1",
        id.bytes,
        tenant_id.bytes if tenant_id else b"",
        validation.to_text(occurred_at).encode(),
        actor.encode(),
        authority.encode(),
        action.encode(),
        object_type.encode(),
        object_id.encode(),
        changes.encode(),
        correlation_id.bytes if correlation_id else b"",
        personal_digest,
    )
    return hashlib.sha256(joined(parts)).digest()


def of_personal(*, salt: bytes, client_address: str, changes: str) -> bytes:
    """Salted, so that once the row is erased nobody can find out what it said by trying."""
    return hashlib.sha256(joined((salt, client_address.encode(), changes.encode()))).digest()


def of_position(key: Key, *, chain: uuid.UUID, sequence: int, entry_id: uuid.UUID, entry_hash: bytes) -> bytes:
    return key.mac(b"position", chain.bytes, sequence.to_bytes(8), entry_id.bytes, entry_hash)


def of_seal(
    key: Key, *, chain: uuid.UUID, number: int, first: int, previous: bytes, sealed_at: datetime, hashes: list[bytes]
) -> bytes:
    """Covers the seal before, how many entries there are, and each of them in order."""
    head = (
        b"seal", chain.bytes, number.to_bytes(8), first.to_bytes(8), previous,
        validation.to_text(sealed_at).encode(), len(hashes).to_bytes(8),
    )  # fmt: skip
    return key.mac(*head, *hashes)


def of_anchor(key: Key, *, chain: uuid.UUID, number: int, last: int, seal: bytes) -> bytes:
    return key.mac(b"anchor", chain.bytes, number.to_bytes(8), last.to_bytes(8), seal)
