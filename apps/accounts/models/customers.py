"""Customers: accounts of one tenant, and what they log in with. The same address in two tenants is two customers."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import models
from django.db.models.functions import Lower

from apps.accounts.models.mailed import MailedTokenRecord
from apps.accounts.models.sessions import RefreshRecord, SessionRecord
from apps.kernel import ids
from apps.tenants.constraints import SameTenant, tenant_key
from apps.tenants.models import InTenantForeignKey, TenantModel


class Customer(TenantModel, AbstractBaseUser):
    """Somebody who buys in a tenant's shop. There is none before the address is confirmed."""

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    email = models.EmailField(max_length=255)
    name = models.CharField(max_length=255, blank=True)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField()
    email_verified_at = models.DateTimeField()
    session_version = models.PositiveIntegerField(default=1)

    # What the engine of rights asks of somebody who is no user.
    access_roles: ClassVar[tuple[str, ...]] = ("customer",)

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta(TenantModel.Meta):
        ordering = ["-id"]
        constraints = [
            tenant_key("accounts_customer_tenant_key"),
            models.UniqueConstraint(fields=["tenant", "email"], name="accounts_customer_email_once"),
            models.CheckConstraint(condition=models.Q(email=Lower("email")), name="accounts_customer_email_lower"),
        ]

    def __str__(self) -> str:
        return ids.encode("cust", self.id)


class CustomerSession(SessionRecord, TenantModel):
    """A login of a customer."""

    account = InTenantForeignKey(Customer, related_name="sessions")

    class Meta(TenantModel.Meta):
        ordering = ["-created_at", "-id"]
        constraints = [
            tenant_key("accounts_customersession_tenant_key"),
            SameTenant(field="account", name="accounts_customersession_account"),
        ]
        indexes = [
            models.Index(fields=["tenant", "account", "-created_at", "-id"], name="accounts_custsession_by_acc"),
        ]

    def __str__(self) -> str:
        return f"session {self.id}"


class CustomerRefreshToken(RefreshRecord, TenantModel):
    session = InTenantForeignKey(CustomerSession, related_name="refresh_tokens")

    class Meta(TenantModel.Meta):
        constraints = [SameTenant(field="session", name="accounts_customerrefreshtoken_session")]
        indexes = [models.Index(fields=["tenant", "session"], name="accounts_custrefresh_by_sess")]

    def __str__(self) -> str:
        return f"refresh token of session {self.session_id}"


class CustomerMailedToken(MailedTokenRecord, TenantModel):
    """For a customer, or for whoever wants to become one: of a registration it keeps what the customer will have."""

    account = InTenantForeignKey(Customer, null=True, related_name="mailed_tokens")
    name = models.CharField(max_length=255, blank=True)
    password = models.CharField(max_length=128, blank=True, help_text="Hashed; empty once the customer has it.")

    class Meta(TenantModel.Meta):
        constraints = [
            SameTenant(field="account", name="accounts_customermailedtoken_account"),
            models.UniqueConstraint(
                fields=["tenant", "digest"], condition=~models.Q(digest=""), name="accounts_custmailed_digest_once"
            ),
        ]
        indexes = [models.Index(fields=["tenant", "email", "purpose"], name="accounts_custmailed_by_email")]
