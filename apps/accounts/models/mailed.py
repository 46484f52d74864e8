"""Tokens that go out by mail and are good for one use. Only digests are stored, and not before the mail is sent."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from apps.accounts.models.people import User
from apps.kernel import ids
from apps.tenants.models import TenantModel


class Purpose(models.TextChoices):
    PASSWORD_RESET = "password_reset"  # noqa: S105 - a purpose, no password
    EMAIL_VERIFICATION = "email_verification"
    INVITATION = "invitation"
    REGISTRATION = "registration"


class MailedTokenRecord(models.Model):
    """First a wish for a mail to an address, whether or not anybody has it; with the mail it becomes a token."""

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    purpose = models.CharField(max_length=32, choices=Purpose)
    email = models.EmailField(max_length=255)
    requested_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True, blank=True)
    digest = models.CharField(max_length=64, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.purpose} {self.id}"


class MailedToken(MailedTokenRecord):
    """For somebody who works here."""

    account = models.ForeignKey(User, on_delete=models.CASCADE, null=True, related_name="mailed_tokens")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["digest"], condition=~models.Q(digest=""), name="accounts_mailedtoken_digest_once"
            ),
        ]
        indexes = [models.Index(fields=["email", "purpose"], name="accounts_mailedtoken_by_email")]


class Invitation(MailedTokenRecord, TenantModel):
    """Into a tenant, with a role. Whoever reads the mail may accept it, and makes an account then if they have none."""

    ROLE_LENGTH: ClassVar[int] = 64

    role = models.CharField(max_length=ROLE_LENGTH)
    invited_by = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")

    class Meta(TenantModel.Meta):
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "digest"], condition=~models.Q(digest=""), name="accounts_invitation_digest_once"
            ),
        ]
        indexes = [
            models.Index(fields=["tenant", "email", "purpose"], name="accounts_invitation_by_email"),
            models.Index(fields=["tenant", "id"], name="accounts_invitation_list"),
        ]

    def __str__(self) -> str:
        return self.email
