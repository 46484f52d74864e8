"""Sessions: opened by a login, kept by refreshing, ended by revocation, which holds from the next request on."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, QuerySet

from apps.accounts import tokens
from apps.accounts.clients import Client
from apps.accounts.realms import Realm
from apps.accounts.services import trail
from apps.kernel import errors, wording
from apps.tenants import scope
from apps.tenants.models import Tenant

PREFIX = "rtr"
REQUIRE_TOTP = "require_totp"
GRACE = timedelta(seconds=5)


class RefreshRaced(errors.Conflict):
    """The token was used a moment ago, most likely by the same client: the session goes on with the answer to that."""

    code = "refresh_raced"


class SessionNotFound(errors.NotFound):
    """The account has no such session, or it is over already. List its sessions."""

    code = "session_not_found"


@dataclass(frozen=True, slots=True)
class Tokens:
    """The only time the tokens themselves are known. `expires_in` is of the access token, in seconds."""

    access_token: str
    refresh_token: str
    session: Any
    expires_in: int = int(tokens.LIFETIME.total_seconds())


def open_session(*, realm: Realm, account: Any, client: Client, now: datetime, **facts: Any) -> Tokens:
    """A new session of the account and its first tokens.

    It stands on the version the account had when it was read: whoever logs in while all sessions are being revoked
    gets one that is over.
    """
    with transaction.atomic():
        session = realm.sessions.objects.create(
            account=account,
            version=account.session_version,
            created_at=now,
            last_used_at=now,
            expires_at=now + timedelta(hours=settings.SESSION_HOURS),
            address=client.address,
            user_agent=client.user_agent,
            **facts,
        )
        return _next_tokens(realm, session, now)


def refresh(*, realm: Realm, token: str, now: datetime) -> Tokens:
    """The next tokens for a refresh token, which is good for one use. Raises TokenRefused, RefreshRaced.

    An old one that comes back ends the session: one of the two who hold it is a thief, and nobody can tell which.
    Within GRACE of its use it is taken for a race of two requests, of which one won; that costs the session nothing.
    """
    with transaction.atomic():
        used = _locked(realm, token)
        if used is None or not is_live(used.session, now) or used.expires_at <= now:
            raise tokens.refused()
        if used.used_at is None:
            used.used_at = now
            used.save(update_fields=["used_at"])
            used.session.last_used_at = now
            used.session.save(update_fields=["last_used_at"])
            return _next_tokens(realm, used.session, now)
        is_race = now - used.used_at <= GRACE
        if not is_race:
            _revoke(used.session, now, "refresh token used twice")
    if is_race:
        raise RefreshRaced(
            wording.say("The refresh token was used a moment ago; go on with the tokens of that answer.")
        )
    raise tokens.refused()


def find_live(*, realm: Realm, claims: tokens.Claims, now: datetime) -> Any | None:
    """The session behind an access token with its account, in one query; None when it is over or never was.

    Within a tenant `is_strength_required` says whether it asks its members for a second factor.
    """
    rows = realm.sessions.objects.select_related("account")
    if scope.find() is not None:
        rows = rows.annotate(is_strength_required=Exists(_strict_tenant()))
    return rows.filter(
        id=claims.session_id,
        account_id=claims.account_id,
        version=claims.version,
        account__session_version=claims.version,
        account__is_active=True,
        revoked_at=None,
        expires_at__gt=now,
    ).first()


def is_strength_required() -> bool:
    """Whether there is a tenant at work that asks its members for a second factor."""
    return scope.find() is not None and _strict_tenant().exists()


def is_live(session: Any, now: datetime) -> bool:
    return (
        session.revoked_at is None
        and session.expires_at > now
        and session.account.is_active
        and session.version == session.account.session_version
    )


def live_sessions(*, realm: Realm, account: Any, now: datetime) -> list[Any]:
    """Newest first."""
    rows = realm.sessions.objects.filter(account=account, version=account.session_version, revoked_at=None)
    return list(rows.filter(expires_at__gt=now))


def last_sessions(*, realm: Realm, account: Any, count: int = 50) -> list[Any]:
    """The last logins, those that are over included, newest first."""
    return list(realm.sessions.objects.filter(account=account)[:count])


def revoke(*, realm: Realm, account: Any, session_id: uuid.UUID, now: datetime, because: str) -> None:
    """End one session of the account. Raises SessionNotFound for one that is over or somebody else's."""
    with transaction.atomic():
        ended = realm.sessions.objects.filter(id=session_id, account=account, revoked_at=None)
        if not ended.update(revoked_at=now, revoked_because=because):
            raise SessionNotFound(wording.say("You have no such session; it may be over already."))
        _tell_revoked(account, session_id, because)


def revoke_all(*, realm: Realm, account: Any) -> None:
    """What `end_all` does, as something that is done for its own sake."""
    with transaction.atomic():
        end_all(realm=realm, account=account)
        trail.tell(account, "session.all_revoked")


def end_all(*, realm: Realm, account: Any) -> None:
    """End every session of the account, also those being opened at this moment with what was known before."""
    realm.accounts.objects.filter(pk=account.pk).update(session_version=F("session_version") + 1)
    account.refresh_from_db(fields=["session_version"])


def revoke_others(*, realm: Realm, account: Any, keep: Any, now: datetime) -> Tokens:
    """End every session but `keep`, which goes on with new tokens: its old ones may be known to others."""
    with transaction.atomic():
        end_all(realm=realm, account=account)
        keep.version = account.session_version
        keep.last_used_at = now
        keep.save(update_fields=["version", "last_used_at"])
        realm.refresh_tokens.objects.filter(session=keep, used_at=None).update(used_at=now)
        return _next_tokens(realm, keep, now)


def forget_ended(*, realm: Realm, before: datetime) -> int:
    """Delete sessions that expired before the moment, and links of chains that did; returns how many rows went."""
    links: int
    ended: int
    links, _ = realm.refresh_tokens.objects.filter(expires_at__lt=before).delete()
    ended, _ = realm.sessions.objects.filter(expires_at__lt=before).delete()
    return links + ended


def _strict_tenant() -> QuerySet[Tenant]:
    """The tenant at work, if it asks for a second factor."""
    return Tenant.objects.filter(id=scope.current_id(), settings__contains={REQUIRE_TOTP: True})


def _locked(realm: Realm, token: str) -> Any | None:
    """The link with its session, both locked: of two refreshes at once the second sees what the first has done."""
    rows = realm.refresh_tokens.objects.select_related("session__account").select_for_update(of=("self", "session"))
    return rows.filter(digest=tokens.digest(token)).first()


def _next_tokens(realm: Realm, session: Any, now: datetime) -> Tokens:
    token = tokens.new_secret(PREFIX)
    expires_at = min(session.expires_at, now + timedelta(hours=settings.SESSION_IDLE_HOURS))
    realm.refresh_tokens.objects.create(
        digest=tokens.digest(token), session=session, created_at=now, expires_at=expires_at
    )
    claims = tokens.Claims(session.account_id, session.id, session.version)
    return Tokens(tokens.issue(audience=realm.audience, claims=claims, now=now), token, session)


def _revoke(session: Any, now: datetime, because: str) -> None:
    session.revoked_at, session.revoked_because = now, because
    session.save(update_fields=["revoked_at", "revoked_because"])
    _tell_revoked(session.account, session.pk, because)


def _tell_revoked(account: Any, session_id: uuid.UUID, because: str) -> None:
    trail.tell(account, "session.revoked", after={"session": session_id, "because": because})
