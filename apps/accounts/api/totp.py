"""One's own second factor: `/api/v1/auth/totp`."""

from __future__ import annotations

from django.urls import path
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.api import auth
from apps.accounts.clients import client_of
from apps.accounts.services import second_factors
from apps.kernel import api


class TotpView(auth.OwnView):
    @extend_schema(responses=OpenApiTypes.OBJECT, tags=["auth"], operation_id="totp")
    def get(self, request: Request) -> Response:
        """Whether logins ask for a code, and how many recovery codes are left."""
        self.session_of(request)
        return Response(second_factors.state(user=self.user_of(request)))

    @extend_schema(request=None, responses={201: OpenApiTypes.OBJECT}, tags=["auth"], operation_id="totp_enrol")
    def post(self, request: Request) -> Response:
        """Begin with an authenticator app: the secret, and the URI for a QR code, are shown in this answer only."""
        self.session_of(request)
        enrolment = second_factors.enrol(user=self.user_of(request), now=timezone.now())
        document = {"secret": enrolment.secret, "uri": enrolment.uri}
        return Response(document, status=201, headers=auth.NOT_STORED)


class TotpConfirmView(auth.OwnView):
    limit_class = "auth"

    @extend_schema(
        request=second_factors.Code, responses=OpenApiTypes.OBJECT, tags=["auth"], operation_id="totp_confirm"
    )
    def post(self, request: Request) -> Response:
        """Show a first code of the app; logins ask for one from now on. Only this answer shows the recovery codes."""
        codes = second_factors.confirm(
            user=self.user_of(request),
            session=self.session_of(request),
            code=api.read_input(request, second_factors.Code).code,
            client=client_of(request),
            now=timezone.now(),
        )
        return Response({"recovery_codes": codes}, headers=auth.NOT_STORED)


class TotpDisableView(auth.OwnView):
    limit_class = "auth"

    @extend_schema(request=second_factors.Disabling, responses={204: None}, tags=["auth"], operation_id="totp_disable")
    def post(self, request: Request) -> Response:
        """Ask for no code any more; takes the password and a code."""
        self.session_of(request)
        second_factors.disable(
            user=self.user_of(request),
            disabling=api.read_input(request, second_factors.Disabling),
            client=client_of(request),
            now=timezone.now(),
        )
        return Response(status=204)


urlpatterns = [
    path("totp", TotpView.as_view()),
    path("totp/confirm", TotpConfirmView.as_view()),
    path("totp/disable", TotpDisableView.as_view()),
]
