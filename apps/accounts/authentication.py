"""`Authorization: Bearer …` for the API, and the OpenAPI words for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils import timezone
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.request import Request

from apps.accounts import rate_limits, realms, tokens
from apps.accounts.clients import client_of
from apps.accounts.services import keys, sessions
from apps.kernel import context, errors, problems, wording


class SecondFactorNeeded(errors.Forbidden):
    """The tenant asks its members for a second factor, and the login was made without one. Set one up and log in with
    its code."""

    code = "second_factor_needed"
    title = "A second factor is needed"


@dataclass(frozen=True, slots=True)
class Presented:
    """What a request came with: `request.auth`. `scopes` limit what its user's rights are good for; None does not."""

    session: Any = None
    key: Any = None
    scopes: frozenset[str] | None = None


class TokenAuthentication(BaseAuthentication):
    """An access token of somebody who works here, or an API key. One query asks each time whether it holds."""

    refuses = (tokens.TokenRefused, problems.NotAuthenticated, SecondFactorNeeded)
    realm = realms.STAFF
    actor = "user"
    takes_keys = True

    def authenticate(self, request: Request) -> tuple[Any, Presented] | None:
        token = _bearer(request)
        if token is None:
            rate_limits.charge(request)
            return None
        if self.takes_keys and token.startswith(f"{keys.PREFIX}_"):
            return self._by_key(token, request)
        claims = tokens.read(token, audience=self.realm.audience)
        session = sessions.find_live(realm=self.realm, claims=claims, now=timezone.now())
        if session is None:
            raise tokens.refused()
        rate_limits.charge(request, account_id=session.account.pk)
        if _is_too_weak(session, request):
            raise SecondFactorNeeded(
                wording.say(
                    "This tenant asks its members for a second factor: set one up at POST /api/v1/auth/totp, and log "
                    "in with its code."
                )
            )
        context.set_actor(f"{self.actor}:{session.account.pk}", authority=f"token:{session.pk}")
        return session.account, Presented(session)

    def _by_key(self, token: str, request: Request) -> tuple[Any, Presented]:
        key = keys.find_key(key=token, client=client_of(request), now=timezone.now())
        rate_limits.charge(request, key_id=key.pk)
        context.set_actor(f"key:{key.pk}", authority=f"key:{key.pk}")
        return key.created_by, Presented(key=key, scopes=frozenset(key.scopes))

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="rustok"'


class CustomerAuthentication(TokenAuthentication):
    """An access token of a customer of the tenant in scope."""

    realm = realms.STORE
    actor = "customer"
    takes_keys = False


def _is_too_weak(session: Any, request: Request) -> bool:
    """Whether the tenant asks for more than the session has shown. What is about oneself is open: one has to enrol."""
    if not getattr(session, "is_strength_required", False) or not hasattr(session, "is_strong"):
        return False
    view = (request.parser_context or {}).get("view")
    return not session.is_strong and not getattr(view, "public", "")


def _bearer(request: Request) -> str | None:
    words = get_authorization_header(request).split()
    if not words or words[0].lower() != b"bearer":
        return None
    if len(words) != 2:
        raise problems.NotAuthenticated(wording.say("Send the header as: Authorization: Bearer <token>."))
    return words[1].decode("latin-1")


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = TokenAuthentication
    name = "bearer"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer"}


class CustomerTokenScheme(TokenScheme):  # type: ignore[no-untyped-call] # drf-spectacular is without types there
    target_class = CustomerAuthentication
    name = "customer"
