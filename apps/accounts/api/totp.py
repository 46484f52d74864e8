"""One's own second factor: `/api/v1/auth/totp`."""

from __future__ import annotations

from django.urls import path
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts import attempts, hashing
from apps.accounts.api import auth, shown
from apps.accounts.clients import client_of
from apps.accounts.services import passwords, second_factors
from apps.kernel import api
from apps.kernel.operations import operation


class TotpView(auth.OwnView):
    @operation("totp", tag="auth", answers=second_factors.SecondFactor)
    def get(self, request: Request) -> Response:
        """Whether logins ask for a code, and how many recovery codes are left."""
        self.session_of(request)
        return Response(second_factors.state(user=self.user_of(request)))

    @operation("totp_enrol", tag="auth", answers=shown.Enrolment, status=201, refuses=(second_factors.AlreadyEnrolled,))
    def post(self, request: Request) -> Response:
        """Begin with an authenticator app: the secret, and the URI for a QR code, are shown in this answer only."""
        self.session_of(request)
        enrolment = second_factors.enrol(user=self.user_of(request), now=timezone.now())
        document = {"secret": enrolment.secret, "uri": enrolment.uri}
        return Response(document, status=201, headers=auth.NOT_STORED)


class TotpConfirmView(auth.OwnView):
    limit_class = "auth"

    @operation(
        "totp_confirm",
        tag="auth",
        takes=second_factors.Code,
        answers=shown.RecoveryCodes,
        refuses=(
            second_factors.NotEnrolled,
            second_factors.AlreadyEnrolled,
            second_factors.WrongCode,
            attempts.TooManyAttempts,
        ),
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

    @operation(
        "totp_disable",
        tag="auth",
        takes=second_factors.Disabling,
        refuses=(
            second_factors.NotEnrolled,
            second_factors.WrongCode,
            passwords.WrongPassword,
            attempts.TooManyAttempts,
            hashing.Busy,
        ),
    )
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
