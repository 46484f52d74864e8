"""What members may do in a tenant: roles of its own making, who holds which, and access in an emergency."""

from __future__ import annotations

from datetime import timedelta

from django.db import models
from django.db.models import F, Q

from apps.accounts.models.people import Membership, User
from apps.kernel import ids
from apps.tenants.constraints import SameTenant, tenant_key
from apps.tenants.models import InTenantForeignKey, Tenant, TenantModel

LONGEST_BREAK_GLASS = timedelta(minutes=60)


class Role(TenantModel):
    """A role of the tenant's own making. System roles are no rows: `access/matrix.toml`."""

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    slug = models.SlugField(max_length=64, db_index=False)
    name = models.CharField(max_length=255)
    description = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta(TenantModel.Meta):
        ordering = ["slug"]
        constraints = [
            tenant_key("accounts_role_tenant_key"),
            models.UniqueConstraint(fields=["tenant", "slug"], name="accounts_role_slug_once"),
        ]

    def __str__(self) -> str:
        return self.name


class Grant(TenantModel):
    """A permission a role gives; `constraint` as `access.rights.Constraint.stored` writes it, empty for no limit."""

    role = InTenantForeignKey(Role, related_name="grants")
    permission = models.CharField(max_length=64)
    constraint = models.JSONField(default=dict, blank=True)

    class Meta(TenantModel.Meta):
        constraints = [
            SameTenant(field="role", name="accounts_grant_role"),
            models.UniqueConstraint(fields=["tenant", "role", "permission", "constraint"], name="accounts_grant_once"),
        ]

    def __str__(self) -> str:
        return self.permission


class MembershipRole(TenantModel):
    """A member holds a role: a system role by its name, or one of the tenant's own."""

    membership = InTenantForeignKey(Membership, related_name="roles")
    system_role = models.CharField(max_length=32, null=True, blank=True)
    role = InTenantForeignKey(Role, null=True, blank=True, related_name="memberships")

    class Meta(TenantModel.Meta):
        constraints = [
            SameTenant(field="membership", name="accounts_membershiprole_membership"),
            # A role that members hold is not deleted under them.
            SameTenant(field="role", name="accounts_membershiprole_role", on_delete="RESTRICT"),
            models.CheckConstraint(
                condition=Q(system_role__isnull=True, role__isnull=False)
                | Q(system_role__isnull=False, role__isnull=True),
                name="accounts_membershiprole_one_kind",
            ),
            models.UniqueConstraint(
                fields=["tenant", "membership", "system_role"], name="accounts_membershiprole_system_once"
            ),
            models.UniqueConstraint(fields=["tenant", "membership", "role"], name="accounts_membershiprole_role_once"),
        ]
        indexes = [
            models.Index(fields=["tenant", "system_role"], name="accounts_members_by_system"),
            models.Index(fields=["tenant", "role"], name="accounts_members_by_role"),
        ]

    def __str__(self) -> str:
        return self.system_role or str(self.role_id)


class AuthzVersion(models.Model):
    """Counts the changes of who may do what in a tenant. Its row lock is what makes them come one after another."""

    tenant = models.OneToOneField(Tenant, on_delete=models.CASCADE, primary_key=True, related_name="+")
    version = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return str(self.version)


class BreakGlass(TenantModel):
    """Access of platform staff to one tenant in an emergency: reasoned, short, and shown to the tenant."""

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+", db_index=False)
    reason = models.TextField()
    ticket = models.CharField(max_length=255, blank=True)
    is_read_only = models.BooleanField(default=True)
    opened_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    approved_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+", db_index=False)
    approved_at = models.DateTimeField(null=True, help_text="It opens nothing before this moment.")
    closed_at = models.DateTimeField(null=True)

    class Meta(TenantModel.Meta):
        verbose_name = "break-glass access"
        verbose_name_plural = "break-glass accesses"
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(expires_at__gt=F("opened_at")) & Q(expires_at__lte=F("opened_at") + LONGEST_BREAK_GLASS),
                name="accounts_breakglass_short",
            ),
            models.CheckConstraint(condition=~Q(reason=""), name="accounts_breakglass_reason"),
            models.CheckConstraint(
                condition=Q(approved_by__isnull=True) | ~Q(approved_by=F("user")), name="accounts_breakglass_approver"
            ),
        ]
        indexes = [
            models.Index(fields=["tenant", "user", "expires_at"], name="accounts_breakglass_open"),
            models.Index(fields=["tenant", "id"], name="accounts_breakglass_list"),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} in {self.tenant_id} until {self.expires_at:%H:%M}"
