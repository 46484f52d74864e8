"""The door of everything that logs in by Django's own means, the admin above all: the same lock as at the API."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.http import HttpRequest

from apps.accounts import models
from apps.accounts.clients import Client, client_of
from apps.accounts.realms import STAFF
from apps.accounts.services import logins, passwords


class GuardedBackend(ModelBackend):
    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **named: Any
    ) -> models.User | None:
        """The user, or None. Raises TooManyAttempts, Busy, which the login form shows."""
        email = username or named.get(models.User.USERNAME_FIELD)
        if email is None or password is None:
            return None
        credentials = logins.Credentials.model_construct(email=email, password=password)
        client = client_of(request) if request is not None else Client()
        try:
            user: models.User = logins.identify(realm=STAFF, credentials=credentials, client=client)
        except passwords.WrongCredentials:
            return None
        return user
