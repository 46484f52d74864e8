"""The door of everything that logs in by Django's own means, the admin above all: the same lock as at the API."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone

from apps.accounts import admin_sessions, models
from apps.accounts.access.backend import AccessBackend
from apps.accounts.clients import Client, client_of
from apps.accounts.services import logins, passwords, trail
from apps.kernel import validation


class GuardedBackend(AccessBackend):
    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **named: Any
    ) -> models.User | None:
        """The user, or None. Raises what the login form shows: ValidationFailed, TooManyAttempts, Busy, CodeRequired,
        WrongCode."""
        email = username or named.get(models.User.USERNAME_FIELD)
        if email is None or password is None:
            return None
        code = request.POST.get("code") if request is not None else None
        credentials = validation.parse(logins.StaffCredentials, {"email": email, "password": password, "code": code})
        client = client_of(request) if request is not None else Client()
        try:
            user, is_strong = logins.identify_staff(credentials=credentials, client=client, now=timezone.now())
        except passwords.WrongCredentials:
            return None
        with transaction.atomic():
            trail.tell(user, "login.succeeded", after={"is_strong": is_strong})
        if is_strong:
            admin_sessions.mark_strong(user)
        return user
