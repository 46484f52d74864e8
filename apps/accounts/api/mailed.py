"""Tokens that come by mail: `/api/v1/auth/`. Asking for one is answered the same for every address."""

from __future__ import annotations

from django.urls import path
from django.utils import timezone
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts import hashing
from apps.accounts.api import shown
from apps.accounts.api.auth import OwnView
from apps.accounts.realms import STAFF
from apps.accounts.services import invitations, mailed, resets
from apps.kernel import api
from apps.kernel.listing import View
from apps.kernel.operations import operation

# A mailed token is short work for a guesser and a mail to a stranger: 10 of them are all a minute has.
MAILED_COST = 3
TO_BE_MAILED = "If the address is known, a mail is on its way."


class PublicView(View):
    realm = STAFF
    authentication_classes = ()
    permission_classes = (AllowAny,)
    public = "asked before anybody is known"
    limit_class = "auth"
    limit_cost = MAILED_COST


class ResetView(PublicView):
    @operation("password_forgotten", tag="auth", takes=resets.Address, answers=shown.Mailed, status=202)
    def post(self, request: Request) -> Response:
        """Have a token mailed that resets the password; the answer is the same for every address."""
        resets.ask_for_reset(realm=self.realm, email=api.read_input(request, resets.Address).email, now=timezone.now())
        return Response({"detail": TO_BE_MAILED}, status=202)


class ResetConfirmView(PublicView):
    @operation("password_reset", tag="auth", takes=resets.NewPassword, refuses=(mailed.TokenUnusable, hashing.Busy))
    def post(self, request: Request) -> Response:
        """Choose another password with the token of the mail; every session of the account ends."""
        resets.reset_password(realm=self.realm, new=api.read_input(request, resets.NewPassword), now=timezone.now())
        return Response(status=204)


class VerifyRequestView(OwnView):
    limit_class = "auth"
    limit_cost = MAILED_COST

    @operation("email_verification_request", tag="auth", answers=shown.Mailed, status=202)
    def post(self, request: Request) -> Response:
        """Have a token mailed that confirms one's own address."""
        self.session_of(request)
        resets.ask_for_verification(realm=STAFF, account=request.user, now=timezone.now())
        return Response({"detail": TO_BE_MAILED}, status=202)


class VerifyView(PublicView):
    @operation("email_verify", tag="auth", takes=resets.MailedSecret, refuses=(mailed.TokenUnusable,))
    def post(self, request: Request) -> Response:
        """Confirm an address with the token of the mail."""
        token = api.read_input(request, resets.MailedSecret).token
        resets.verify_email(realm=STAFF, token=token, now=timezone.now())
        return Response(status=204)


class AcceptView(PublicView):
    @operation(
        "invitation_accept",
        tag="auth",
        takes=invitations.Acceptance,
        answers=shown.Joined,
        refuses=(mailed.TokenUnusable, hashing.Busy),
    )
    def post(self, request: Request) -> Response:
        """Join a tenant with the token of the mail; whoever has no account yet chooses a password."""
        acceptance = api.read_input(request, invitations.Acceptance)
        joined = invitations.accept(acceptance=acceptance, now=timezone.now())
        return Response({"tenant": joined.tenant, "role": joined.role})


urlpatterns = [
    path("reset", ResetView.as_view()),
    path("reset/confirm", ResetConfirmView.as_view()),
    path("verify/request", VerifyRequestView.as_view()),
    path("verify", VerifyView.as_view()),
    path("invitations/accept", AcceptView.as_view()),
]
