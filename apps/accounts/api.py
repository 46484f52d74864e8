"""Token login: `/api/v1/auth/`."""

from __future__ import annotations

from django.urls import path
from django.utils import timezone
from django_ratelimit.core import is_ratelimited
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from redis.exceptions import RedisError
from rest_framework.exceptions import Throttled
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.accounts import services
from apps.accounts.permissions import LoggedIn
from apps.kernel import api

LOGIN_RATE = "10/m"


class TokenView(APIView):
    authentication_classes = ()
    permission_classes = (AllowAny,)
    public = "whoever logs in has no rights yet"

    @extend_schema(request=services.Credentials, responses=OpenApiTypes.OBJECT, tags=["auth"], operation_id="login")
    def post(self, request: Request) -> Response:
        """Log in with e-mail and password; the answer holds a bearer token and when it expires."""
        if _too_many_attempts(request):
            raise Throttled(wait=60, detail="Too many login attempts from this address.")
        credentials = api.read_input(request, services.Credentials)
        issued = services.issue_token(credentials=credentials, now=timezone.now())
        return Response({"token": issued.token, "token_type": "Bearer", "expires_at": issued.expires_at.isoformat()})


class LogoutView(APIView):
    permission_classes = (LoggedIn,)
    public = "whoever holds a token may give it back"

    @extend_schema(request=None, responses={204: None}, tags=["auth"], operation_id="logout")
    def post(self, request: Request) -> Response:
        """Revoke the token this request came with."""
        services.revoke_token(token=str(request.auth))
        return Response(status=204)


def _too_many_attempts(request: Request) -> bool:
    """The coarse outer wall per address. Without Valkey it stands open: the password hash still costs each guess."""
    try:
        return bool(is_ratelimited(request._request, group="login", key="ip", rate=LOGIN_RATE, increment=True))
    except RedisError:
        return False


urlpatterns = [path("token", TokenView.as_view()), path("logout", LogoutView.as_view())]
