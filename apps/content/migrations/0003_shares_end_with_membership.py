"""A share ends with the membership: who comes back is shared with anew."""

from django.db import migrations

ORPHANS = """
DELETE FROM content_nodeuserobjectpermission s WHERE NOT EXISTS (
    SELECT FROM accounts_membership m WHERE m.tenant_id = s.tenant_id AND m.user_id = s.user_id)
"""
ADD = """
ALTER TABLE content_nodeuserobjectpermission ADD CONSTRAINT content_nodeshare_member
FOREIGN KEY (tenant_id, user_id) REFERENCES accounts_membership (tenant_id, user_id)
ON DELETE CASCADE DEFERRABLE INITIALLY IMMEDIATE
"""
DROP = "ALTER TABLE content_nodeuserobjectpermission DROP CONSTRAINT content_nodeshare_member"


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0009_no_role_on_membership"),
        ("content", "0002_shares"),
    ]
    operations = [
        migrations.RunSQL(ORPHANS, migrations.RunSQL.noop),
        migrations.RunSQL(ADD, DROP),
    ]
