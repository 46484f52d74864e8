"""`Authorization: Bearer rtk_…` for the API, and the OpenAPI words for it."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework import exceptions
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.request import Request

from apps.accounts import models, services
from apps.kernel import context


class TokenAuthentication(BaseAuthentication):
    def authenticate(self, request: Request) -> tuple[models.User, str] | None:
        words = get_authorization_header(request).split()
        if not words or words[0].lower() != b"bearer":
            return None
        if len(words) != 2:
            raise exceptions.AuthenticationFailed("Send the header as: Authorization: Bearer <token>.")
        token = words[1].decode("latin-1")
        row = (
            models.AccessToken.objects.select_related("user")
            .filter(digest=services.digest(token), expires_at__gt=timezone.now(), user__is_active=True)
            .first()
        )
        if row is None:
            raise exceptions.AuthenticationFailed("The token is unknown or has expired; log in again.")
        context.set_actor(f"user:{row.user.pk}", authority=services.authority_of(row))
        return row.user, token

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="rustok"'


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = TokenAuthentication
    name = "bearer"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer"}
