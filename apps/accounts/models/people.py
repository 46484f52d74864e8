"""People who work here: global identities with memberships per tenant."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models
from django.db.models.functions import Lower
from django.utils.crypto import salted_hmac
from guardian.mixins import GuardianUserMixin

from apps.kernel import ids, validation
from apps.tenants.constraints import tenant_key
from apps.tenants.models import Tenant


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: Any) -> User:
        """Raises ValidationFailed for what is no e-mail address."""
        user = self.model(email=validation.check(validation.Email, email, field="email"), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> User:
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)

    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(email=validation.find_email(username or ""))


class User(GuardianUserMixin, AbstractBaseUser, PermissionsMixin):
    """A person, known by e-mail over the whole installation. What they may do in a tenant is a permission on it."""

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    email = models.EmailField(max_length=255, unique=True)
    name = models.CharField(max_length=255, blank=True)
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField(default=False, help_text="May enter the admin.")
    created_at = models.DateTimeField(auto_now_add=True)
    email_verified_at = models.DateTimeField(null=True, blank=True)
    session_version = models.PositiveIntegerField(
        default=1, help_text="Sessions opened at another version are over: counting up ends all of them at once."
    )

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        ordering = ["email"]
        permissions = [("open_break_glass", "May ask for access to a tenant in an emergency")]
        constraints = [
            models.CheckConstraint(condition=models.Q(email=Lower("email")), name="accounts_user_email_lower"),
        ]

    def __str__(self) -> str:
        return self.email

    def _get_session_auth_hash(self, secret: str | None = None) -> str:
        """What a login to the admin is bound to: it ends with all others when the version counts up."""
        salt = "apps.accounts.models.User.session_auth_hash"
        bound_to = f"{self.session_version}:{self.password}"
        return salted_hmac(salt, bound_to, secret=secret, algorithm="sha256").hexdigest()


class Membership(models.Model):
    """A user belongs to a tenant; what they may do there is in their roles."""

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "user"], name="accounts_one_membership_per_tenant"),
            tenant_key("accounts_membership_tenant_key"),
        ]

    def __str__(self) -> str:
        return str(self.user)
