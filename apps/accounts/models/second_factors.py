"""Second factors: an authenticator app, and codes on paper for when it is lost."""

from __future__ import annotations

from django.db import models

from apps.accounts.models.people import User


class Authenticator(models.Model):
    """The secret shared with somebody's app, sealed with a key that is not in the database."""

    user = models.OneToOneField(User, on_delete=models.CASCADE, primary_key=True, related_name="authenticator")
    sealed_secret = models.BinaryField()
    created_at = models.DateTimeField()
    confirmed_at = models.DateTimeField(null=True, blank=True, help_text="Asked for at logins from then on.")
    last_step = models.BigIntegerField(default=0, help_text="The newest time step a code was used of.")

    def __str__(self) -> str:
        return f"authenticator of {self.user_id}"


class RecoveryCode(models.Model):
    """Stands in for a code of the app, once."""

    digest = models.CharField(max_length=64, primary_key=True)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="recovery_codes")
    used_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"recovery code of {self.user_id}"
