"""The login form of the admin."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.admin.forms import AdminAuthenticationForm
from django.core.exceptions import ValidationError

from apps.accounts import walls
from apps.kernel import errors


class GuardedLoginForm(AdminAuthenticationForm):
    """Asks for a code as well, and shows who has to wait that they have to."""

    code = forms.CharField(
        label="Code",
        required=False,
        help_text="Of your authenticator app, if you have set one up.",
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "placeholder": "if you set one up"}),
    )

    def clean(self) -> dict[str, Any]:
        try:
            if self.request is not None:
                walls.hold_back(self.request, group="admin_login")
            return super().clean()
        except errors.DomainError as refusal:
            raise ValidationError(refusal.detail, code=refusal.code) from None
