"""Logging in, and what one's own login is: `/api/v1/auth/`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from django.urls import path
from django.utils import timezone
from rest_framework.permissions import AllowAny, BasePermission
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts import attempts, hashing, models, services, tokens, walls
from apps.accounts.api import shown
from apps.accounts.clients import client_of
from apps.accounts.permissions import LoggedIn
from apps.accounts.realms import STAFF
from apps.accounts.services import passwords, second_factors, sessions
from apps.kernel import api, errors, ids, operations, validation, wording
from apps.kernel.listing import View
from apps.kernel.operations import operation

NOT_STORED = {"Cache-Control": "no-store"}


class Refresh(validation.Input):
    refresh_token: validation.Token


class TokenView(View):
    authentication_classes = ()
    permission_classes = (AllowAny,)
    public = "whoever logs in has no rights yet"
    limit_class = "auth"

    @operation(
        "login",
        tag="auth",
        takes=services.StaffCredentials,
        answers=shown.StaffLogin,
        refuses=(
            passwords.WrongCredentials,
            second_factors.CodeRequired,
            second_factors.WrongCode,
            attempts.TooManyAttempts,
            walls.AddressHeldBack,
            hashing.Busy,
        ),
    )
    def post(self, request: Request) -> Response:
        """Log in with e-mail and password; the answer holds an access token and the refresh token for the next one."""
        credentials = api.read_input(request, services.StaffCredentials)
        logged_in = services.log_in(credentials=credentials, client=client_of(request), now=timezone.now())
        document = shown.tokens(logged_in.tokens) | {"user": shown.user(logged_in.account)}
        return Response(document, headers=NOT_STORED)


class RefreshView(View):
    realm = STAFF
    authentication_classes = ()
    permission_classes = (AllowAny,)
    public = "whoever logs in has no rights yet"
    limit_class = "auth"

    @operation(
        "refresh", tag="auth", takes=Refresh, answers=shown.Tokens, refuses=(tokens.TokenRefused, sessions.RefreshRaced)
    )
    def post(self, request: Request) -> Response:
        """The next access and refresh token; the refresh token sent is used up. Using one twice ends the session."""
        token = api.read_input(request, Refresh).refresh_token
        issued = services.refresh(realm=self.realm, token=token, now=timezone.now())
        return Response(shown.tokens(issued), headers=NOT_STORED)


class OwnView(View):
    """Of whoever is logged in, in no tenant in particular."""

    realm = STAFF
    public = "what concerns only whoever is logged in"
    permission_classes: Sequence[type[BasePermission]] = (LoggedIn,)

    @classmethod
    def manners(cls, method: str) -> operations.Manners:
        """Most are about a login and not for API keys: see `session_of`."""
        return super().manners(method) | operations.Manners(refuses=(errors.Forbidden,))

    @staticmethod
    def user_of(request: Request) -> models.User:
        return cast(models.User, request.user)

    @staticmethod
    def session_of(request: Request) -> Any:
        """Raises Forbidden for requests that came with something else than the token of a session."""
        session = getattr(request.auth, "session", None)
        if session is None:
            raise errors.Forbidden(wording.say("This is about a login of a person; log in and use the access token."))
        return session


class LogoutView(OwnView):
    @operation("logout", tag="auth")
    def post(self, request: Request) -> Response:
        """End the session this request came with, its refresh token included."""
        session = self.session_of(request)
        now = timezone.now()
        services.revoke(realm=self.realm, account=request.user, session_id=session.id, now=now, because="logout")
        return Response(status=204)


class MeView(OwnView):
    @operation("me", tag="auth", answers=shown.User)
    def get(self, request: Request) -> Response:
        """Whose token this is."""
        self.session_of(request)
        return Response(shown.user(self.user_of(request)))

    @operation("me_update", tag="auth", takes=services.OwnChanges, answers=shown.User)
    def patch(self, request: Request) -> Response:
        """Change one's own name."""
        self.session_of(request)
        changes = api.read_input(request, services.OwnChanges)
        return Response(shown.user(services.change_own(user=self.user_of(request), changes=changes)))


class PasswordView(OwnView):
    limit_class = "auth"

    @operation(
        "password_change",
        tag="auth",
        takes=services.PasswordChange,
        answers=shown.Tokens,
        refuses=(passwords.WrongPassword, attempts.TooManyAttempts, hashing.Busy),
    )
    def post(self, request: Request) -> Response:
        """Change one's own password. Every other session ends; this one goes on with the tokens of the answer."""
        issued = services.change_password(
            realm=self.realm,
            account=request.user,
            session=self.session_of(request),
            change=api.read_input(request, services.PasswordChange),
            client=client_of(request),
            now=timezone.now(),
        )
        return Response(shown.tokens(issued), headers=NOT_STORED)


class SessionsView(OwnView):
    @operation("sessions", tag="auth", answers=shown.Sessions)
    def get(self, request: Request) -> Response:
        """One's own sessions that go on, newest first."""
        current = self.session_of(request)
        rows = sessions.live_sessions(realm=self.realm, account=request.user, now=timezone.now())
        return Response({"data": [shown.session(row, current) for row in rows]})


class SessionView(OwnView):
    @operation("session_revoke", tag="auth", refuses=(sessions.SessionNotFound,))
    def delete(self, request: Request, session_id: str) -> Response:
        """End one of one's own sessions; its tokens are refused from now on."""
        self.session_of(request)
        services.revoke(
            realm=self.realm,
            account=request.user,
            session_id=ids.decode("sess", session_id),
            now=timezone.now(),
            because="revoked",
        )
        return Response(status=204)


class RevokeAllView(OwnView):
    @operation("sessions_revoke_all", tag="auth")
    def post(self, request: Request) -> Response:
        """End all of one's own sessions, this one included."""
        self.session_of(request)
        services.revoke_all(realm=self.realm, account=request.user)
        return Response(status=204)


class HistoryView(OwnView):
    @operation("login_history", tag="auth", answers=shown.LoginHistory)
    def get(self, request: Request) -> Response:
        """One's own last 50 logins, newest first."""
        current = self.session_of(request)
        rows = sessions.last_sessions(realm=self.realm, account=request.user)
        return Response({"data": [shown.login(row, current) for row in rows]})


urlpatterns = [
    path("token", TokenView.as_view()),
    path("refresh", RefreshView.as_view()),
    path("logout", LogoutView.as_view()),
    path("me", MeView.as_view()),
    path("password", PasswordView.as_view()),
    path("sessions", SessionsView.as_view()),
    path("sessions/revoke-all", RevokeAllView.as_view()),
    path("sessions/<str:session_id>", SessionView.as_view()),
    path("history", HistoryView.as_view()),
]
