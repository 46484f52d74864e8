"""Logins that last: sessions, and the refresh tokens that keep them going. Of tokens only digests are stored."""

from __future__ import annotations

from django.db import models

from apps.accounts.models.people import User
from apps.kernel import ids


class SessionRecord(models.Model):
    """One login of an account on one device. It is over when revoked or expired, when its account is switched off, and
    when its `version` is no longer the account's `session_version`."""

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    version = models.PositiveIntegerField()
    created_at = models.DateTimeField()
    last_used_at = models.DateTimeField(help_text="When tokens were last issued for it.")
    expires_at = models.DateTimeField(help_text="However much it is used.")
    revoked_at = models.DateTimeField(null=True, blank=True)
    revoked_because = models.CharField(max_length=64, blank=True)
    address = models.CharField(max_length=64, blank=True)
    user_agent = models.CharField(max_length=255, blank=True)

    class Meta:
        abstract = True


class RefreshRecord(models.Model):
    """A link of the chain: good for one use. Only the newest is unused, so an old one that comes back was stolen, or
    the thief has been before."""

    digest = models.CharField(max_length=64, primary_key=True, help_text="SHA-256 of the token, in hex.")
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True


class Session(SessionRecord):
    """A login of somebody who works here."""

    account = models.ForeignKey(User, on_delete=models.CASCADE, related_name="sessions")
    is_strong = models.BooleanField(default=False, help_text="A second factor was shown.")

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [models.Index(fields=["account", "-created_at", "-id"], name="accounts_session_by_account")]

    def __str__(self) -> str:
        return f"session {self.id}"


class RefreshToken(RefreshRecord):
    session = models.ForeignKey(Session, on_delete=models.CASCADE, related_name="refresh_tokens")

    def __str__(self) -> str:
        return f"refresh token of session {self.session_id}"
