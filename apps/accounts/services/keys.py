"""API keys: made with no more rights than their creator has, shown once, refused from the moment they are revoked."""

from __future__ import annotations

import hmac
import ipaddress
import secrets
import string
import uuid
import zlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from pydantic import AfterValidator, Field

from apps.accounts import access, models, tokens
from apps.accounts.access import rights
from apps.accounts.access.catalogue import PERMISSIONS
from apps.accounts.clients import Client
from apps.accounts.services import trail
from apps.kernel import errors, ids, validation, wording
from apps.tenants import scope

PREFIX = "rtk"
LIFETIME = timedelta(days=90)
LONGEST = timedelta(days=366)
NOTED_EVERY = timedelta(minutes=1)
_LETTERS = string.digits + string.ascii_letters
_SECRET_LENGTH = 32  # 190 bits
_CHECK_LENGTH = 6


class KeyNotFound(errors.NotFound):
    """The tenant has no such API key that is still valid. List its keys."""

    code = "api_key_not_found"


class ScopeNotHeld(errors.Forbidden):
    """Nobody gives a key what they may not do themselves. Leave out the scopes that `detail` names."""

    code = "scope_not_held"
    title = "You cannot give what you do not hold"


def _check_scope(value: str) -> str:
    if value not in PERMISSIONS:
        hint = errors.did_you_mean(value, PERMISSIONS)
        raise wording.refusal("unknown_scope", "there is no such permission.{hint}", hint=hint)
    return value


def _check_network(value: str) -> str:
    try:
        return str(ipaddress.ip_network(value))
    except ValueError:
        raise wording.refusal(
            "invalid_network", "this is no address or network such as 192.0.2.0/24 or 2001:db8::/48"
        ) from None


Scope = Annotated[
    str, validation.Line(64), AfterValidator(_check_scope), validation.LooksLike(enum=sorted(PERMISSIONS))
]
# Without the bits beyond the mask, which must be zero.
_BYTE = r"(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_NETWORK = rf"^{_BYTE}(\.{_BYTE}){{3}}(/([12]?\d|3[0-2]))?$|^([0-9a-f]{{1,4}}:){{1,7}}:(/(12[0-8]|1[01]\d|[1-9]?\d))?$"
Network = Annotated[str, validation.Line(64), AfterValidator(_check_network), validation.LooksLike(pattern=_NETWORK)]


class NewApiKey(validation.Input):
    """`addresses` are networks it may be used from, any when empty; `expires_at` is in 90 days when not given."""

    name: validation.Title
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=len(PERMISSIONS))]
    expires_at: validation.Moment | None = None
    addresses: Annotated[list[Network], Field(max_length=100)] = []


class Rotation(validation.Input):
    """How long the old key goes on beside the new one."""

    overlap_hours: Annotated[int, validation.Whole("overlap_hours", 24 * 30)] = 24


@dataclass(frozen=True, slots=True)
class MadeKey:
    """The only time the key itself is known."""

    row: models.ApiKey
    key: str


def create_key(*, new: NewApiKey, by: models.User, now: datetime) -> MadeKey:
    """A key of the tenant in scope. Raises ScopeNotHeld, ValidationFailed."""
    held = access.rights_of(by, scope.current_id(), now=now)
    missing = held.lacking(rights.Grant(permission) for permission in new.scopes)
    if missing:
        raise ScopeNotHeld(
            wording.say("You may not do this yourself in this tenant: {missing}.", missing=", ".join(missing))
        )
    expires_at = new.expires_at or now + LIFETIME
    if not now < expires_at <= now + LONGEST:
        raise errors.ValidationFailed.for_field(
            "/expires_at",
            "out_of_range",
            wording.say("a key lasts until a moment within the next {days} days.", days=LONGEST.days),
        )
    key_id = ids.new_id()
    prefix = f"{PREFIX}_{_environment()}_{ids.encode('', key_id)[1:]}"
    secret = "".join(secrets.choice(_LETTERS) for _ in range(_SECRET_LENGTH))
    key = f"{prefix}_{secret}{_check(f'{prefix}_{secret}')}"
    told = {"scopes": sorted(set(new.scopes)), "addresses": new.addresses, "expires_at": expires_at}
    with transaction.atomic():
        row = models.ApiKey.objects.create(
            id=key_id,
            name=new.name,
            prefix=prefix,
            digest=tokens.digest(key),
            created_by=by,
            created_at=now,
            **told,
        )
        trail.tell_of_tenant("api_key", row, "created", after={"created_by": by.pk, **told})
    return MadeKey(row, key)


def rotate_key(*, key_id: uuid.UUID, rotation: Rotation, by: models.User, now: datetime) -> MadeKey:
    """Another key with the same name, scopes and networks; the old one ends after the overlap.

    Raises KeyNotFound for one that is over, ScopeNotHeld.
    """
    with transaction.atomic():
        old = models.ApiKey.objects.select_for_update().filter(_live(now), id=key_id).first()
        if old is None:
            raise KeyNotFound(wording.say("There is no such key that is still valid."))
        new = NewApiKey(
            name=old.name,
            scopes=old.scopes,
            addresses=old.addresses,
            expires_at=now + min(old.expires_at - old.created_at, LONGEST),
        )
        made = create_key(new=new, by=by, now=now)
        ends_at = min(old.expires_at, now + timedelta(hours=rotation.overlap_hours))
        told = {"expires_at": ends_at, "successor": made.row.pk}
        trail.tell_of_tenant("api_key", old, "rotated", before={"expires_at": old.expires_at}, after=told)
        old.expires_at = ends_at
        old.save(update_fields=["expires_at"])
    return made


def revoke_key(*, key_id: uuid.UUID, now: datetime) -> None:
    """Raises KeyNotFound for one that is revoked already."""
    with transaction.atomic():
        row = models.ApiKey.objects.select_for_update().filter(id=key_id, revoked_at=None).first()
        if row is None:
            raise KeyNotFound(wording.say("There is no such key that is still valid."))
        row.revoked_at = now
        row.save(update_fields=["revoked_at"])
        trail.tell_of_tenant("api_key", row, "revoked")


def find_key(*, key: str, client: Client, now: datetime) -> models.ApiKey:
    """The key of the tenant in scope, with its creator, in one query. Raises TokenRefused, for whatever reason."""
    key_id = _read_id(key)
    if key_id is None or scope.find() is None:
        raise tokens.refused()
    row = models.ApiKey.objects.select_related("created_by").filter(_live(now), id=key_id).first()
    stored = row.digest if row else tokens.digest("")
    if not hmac.compare_digest(stored, tokens.digest(key)) or row is None or not _is_from(client, row.addresses):
        raise tokens.refused()
    if row.last_used_at is None or row.last_used_at <= now - NOTED_EVERY:
        models.ApiKey.objects.filter(id=row.id).update(last_used_at=now)
    return row


def find_live(*, key_id: uuid.UUID, now: datetime) -> models.ApiKey | None:
    """The key with this id, for work that was asked for with it; None once it is revoked or over."""
    return models.ApiKey.objects.filter(_live(now), id=key_id).first()


def _live(now: datetime) -> Q:
    return Q(revoked_at=None, expires_at__gt=now, created_by__is_active=True)


def _is_from(client: Client, networks: list[str]) -> bool:
    if not networks:
        return True
    try:
        address: Any = ipaddress.ip_address(client.address)
    except ValueError:
        return False
    address = getattr(address, "ipv4_mapped", None) or address
    return any(address in ipaddress.ip_network(network) for network in networks)


def _read_id(key: str) -> uuid.UUID | None:
    """The id a key names; None for what is no key, which its checksum tells without a query."""
    parts = key.split("_")
    if len(parts) != 4 or parts[:2] != [PREFIX, _environment()] or not key.isascii():
        return None
    if _check(key[:-_CHECK_LENGTH]) != key[-_CHECK_LENGTH:]:
        return None
    try:
        return ids.decode("key", f"key_{parts[2]}")
    except ids.InvalidId:
        return None


def _check(text: str) -> str:
    """A checksum, so that scanners for leaked secrets know a key when they see one."""
    number, letters = zlib.crc32(text.encode()), []
    for _ in range(_CHECK_LENGTH):
        number, digit = divmod(number, len(_LETTERS))
        letters.append(_LETTERS[digit])
    return "".join(letters)


def _environment() -> str:
    return "live" if settings.IS_PRODUCTION else "test"
