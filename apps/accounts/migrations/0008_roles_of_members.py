"""Each member's role becomes a row; the permissions that stood for roles, and their rows, go."""

from django.db import migrations

ROLES = """
INSERT INTO accounts_membershiprole (tenant_id, membership_id, system_role)
SELECT tenant_id, id, role FROM accounts_membership
"""
BACK = """
UPDATE accounts_membership m SET role = r.system_role FROM accounts_membershiprole r
WHERE r.tenant_id = m.tenant_id AND r.membership_id = m.id AND r.system_role IN ('owner', 'editor', 'merchandiser')
"""
OLD = ("manage_content", "manage_commerce", "manage_settings")
ROWS = """
DELETE FROM {table} WHERE permission_id IN (
    SELECT p.id FROM auth_permission p JOIN django_content_type t ON t.id = p.content_type_id
    WHERE t.app_label = 'tenants' AND t.model = 'tenant' AND p.codename = ANY (%s))
"""
PERMISSIONS = """
DELETE FROM auth_permission p USING django_content_type t
WHERE t.id = p.content_type_id AND t.app_label = 'tenants' AND t.model = 'tenant' AND p.codename = ANY (%s)
"""
HOLDERS = (
    "guardian_userobjectpermission", "guardian_groupobjectpermission", "accounts_user_user_permissions",
    "auth_group_permissions",
)


def forwards(apps, schema_editor):
    with schema_editor.connection.cursor() as cursor:
        # Under row policies a migration that sees no rows would succeed and lose every role.
        cursor.execute("SELECT count(*) FROM accounts_membership")
        (members,) = cursor.fetchone()
        cursor.execute(ROLES)
        if cursor.rowcount != members:
            raise RuntimeError(f"{members} members, but {cursor.rowcount} roles were written")
        for table in HOLDERS:
            cursor.execute(ROWS.format(table=table), [list(OLD)])
        cursor.execute(PERMISSIONS, [list(OLD)])


def backwards(apps, schema_editor):
    """A member keeps the one of their roles that the column knew; those of other roles are editors."""
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(BACK)
        cursor.execute("DELETE FROM accounts_membershiprole")


class Migration(migrations.Migration):

    dependencies = [
        ("accounts", "0007_roles"),
        ("guardian", "__first__"),
    ]

    operations = [migrations.RunPython(forwards, backwards, elidable=True)]
