"""The login form of the admin."""

from __future__ import annotations

from typing import Any

from django.contrib.admin.forms import AdminAuthenticationForm
from django.core.exceptions import ValidationError

from apps.kernel import errors


class GuardedLoginForm(AdminAuthenticationForm):
    """Shows who has to wait that they have to."""

    def clean(self) -> dict[str, Any]:
        try:
            return super().clean()
        except errors.DomainError as refusal:
            raise ValidationError(refusal.detail, code=refusal.code) from None
