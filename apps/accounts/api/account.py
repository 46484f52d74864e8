"""A customer's own account in the shop: `/api/v1/store/account/`. Tokens are good in this tenant and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from typing import Any, cast

from django.urls import path
from django.utils import timezone
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts import attempts, hashing, models, services, walls
from apps.accounts.api import auth, mailed, shown
from apps.accounts.authentication import CustomerAuthentication
from apps.accounts.clients import client_of
from apps.accounts.realms import STORE
from apps.accounts.services import customers, passwords, resets
from apps.accounts.services.mailed import TokenUnusable
from apps.kernel import api, problems, wording
from apps.kernel.listing import View
from apps.kernel.operations import operation

TAG = "account"


class CustomerLoggedIn(BasePermission):
    def has_permission(self, request: Request, view: Any) -> bool:
        if not isinstance(cast(Any, request.user), models.Customer):
            raise problems.NotAuthenticated(
                wording.say("Send Authorization: Bearer <token>; get one from POST /api/v1/store/account/login.")
            )
        return True


class OwnAccount(auth.OwnView):
    """A view of whoever is logged in as a customer."""

    realm = STORE
    authentication_classes = (CustomerAuthentication,)
    permission_classes = (CustomerLoggedIn,)


class RegisterView(mailed.PublicView):
    @operation(
        "account_register",
        tag=TAG,
        takes=customers.Registration,
        answers=shown.Mailed,
        status=202,
        refuses=(hashing.Busy,),
    )
    def post(self, request: Request) -> Response:
        """Become a customer. The account exists once `verify` got the mailed token; the answer is always the same."""
        customers.register(registration=api.read_input(request, customers.Registration), now=timezone.now())
        return Response({"detail": "A mail is on its way; it says how to go on."}, status=202)


class VerifyView(mailed.PublicView):
    @operation(
        "account_verify",
        tag=TAG,
        takes=resets.MailedSecret,
        answers=shown.Customer,
        status=201,
        refuses=(TokenUnusable,),
    )
    def post(self, request: Request) -> Response:
        """Confirm one's address with the token of the mail, and be a customer."""
        token = api.read_input(request, resets.MailedSecret).token
        customer = customers.confirm_registration(token=token, now=timezone.now())
        return Response(shown.customer(customer), status=201)


class LoginView(mailed.PublicView):
    limit_cost = 1

    @operation(
        "account_login",
        tag=TAG,
        takes=services.Credentials,
        answers=shown.CustomerLogin,
        refuses=(passwords.WrongCredentials, attempts.TooManyAttempts, walls.AddressHeldBack, hashing.Busy),
    )
    def post(self, request: Request) -> Response:
        """Log in with e-mail and password; the answer holds an access token and the refresh token for the next one."""
        credentials = api.read_input(request, services.Credentials)
        logged_in = customers.log_in(credentials=credentials, client=client_of(request), now=timezone.now())
        document = shown.tokens(logged_in.tokens) | {"customer": shown.customer(logged_in.account)}
        return Response(document, headers=auth.NOT_STORED)


class MeView(OwnAccount):
    @operation("account_me", tag=TAG, answers=shown.Customer)
    def get(self, request: Request) -> Response:
        """Whose token this is."""
        return Response(shown.customer(cast(models.Customer, request.user)), headers=auth.NOT_STORED)

    @operation("account_update", tag=TAG, takes=services.OwnChanges, answers=shown.Customer)
    def patch(self, request: Request) -> Response:
        """Change one's own name."""
        customer = cast(models.Customer, request.user)
        changes = api.read_input(request, services.OwnChanges)
        return Response(shown.customer(customers.change_own(customer=customer, changes=changes)))


def _of_account(method: str, identifier: str) -> Callable[[type[View]], type[View]]:
    """Gives the inherited view's method an operation of its own, in all else the same."""

    def declare(view: type[View]) -> type[View]:
        inherited = getattr(view, method)

        @wraps(inherited)
        def answer(self: View, request: Request, **parts: str) -> Response:
            return cast(Response, inherited(self, request, **parts))

        setattr(view, method, answer)
        answer.operation = replace(inherited.operation, id=identifier, tag=TAG)  # type: ignore[attr-defined] # as `operation` does
        return view

    return declare


@_of_account("post", "account_refresh")
class RefreshView(auth.RefreshView):
    realm = STORE


@_of_account("post", "account_logout")
class LogoutView(OwnAccount, auth.LogoutView):
    pass


@_of_account("post", "account_password_change")
class PasswordView(OwnAccount, auth.PasswordView):
    pass


@_of_account("get", "account_sessions")
class SessionsView(OwnAccount, auth.SessionsView):
    pass


@_of_account("delete", "account_session_revoke")
class SessionView(OwnAccount, auth.SessionView):
    pass


@_of_account("post", "account_sessions_revoke_all")
class RevokeAllView(OwnAccount, auth.RevokeAllView):
    pass


@_of_account("post", "account_password_forgotten")
class ResetView(mailed.ResetView):
    realm = STORE


@_of_account("post", "account_password_reset")
class ResetConfirmView(mailed.ResetConfirmView):
    realm = STORE


urlpatterns = [
    path("register", RegisterView.as_view()),
    path("verify", VerifyView.as_view()),
    path("login", LoginView.as_view()),
    path("refresh", RefreshView.as_view()),
    path("logout", LogoutView.as_view()),
    path("me", MeView.as_view()),
    path("password", PasswordView.as_view()),
    path("reset", ResetView.as_view()),
    path("reset/confirm", ResetConfirmView.as_view()),
    path("sessions", SessionsView.as_view()),
    path("sessions/revoke-all", RevokeAllView.as_view()),
    path("sessions/<str:session_id>", SessionView.as_view()),
]
