"""The login form of the admin."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.admin.forms import AdminAuthenticationForm
from django.core.exceptions import ValidationError

from apps.accounts import walls
from apps.accounts.access import backend
from apps.kernel import errors


class GuardedLoginForm(AdminAuthenticationForm):
    """Asks for a code as well, shows who has to wait that they have to, and lets in members of the tenant at work."""

    error_messages = {
        **AdminAuthenticationForm.error_messages,
        "invalid_login": "That is not the address and password of somebody who works here; both are case-sensitive.",
    }

    code = forms.CharField(
        label="Code",
        required=False,
        help_text="Of your authenticator app, if you have set one up.",
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "placeholder": "if you set one up"}),
    )

    def confirm_login_allowed(self, user: Any) -> None:
        """Raises ValidationError."""
        if not user.is_active or not (user.is_staff or backend.works_here(user)):
            raise self.get_invalid_login_error()

    def clean(self) -> dict[str, Any]:
        try:
            if self.request is not None:
                walls.hold_back(self.request, group="admin_login")
            return super().clean()
        except errors.DomainError as refusal:
            raise ValidationError(refusal.detail, code=refusal.code) from None
