"""`media` stood for nodes of kind attachment and is the media library now: roles of tenants keep what they had.

Each grant on media becomes one on nodes of that kind, with its limits. It stays as one on the library too, unless it
was limited to languages or to what is published, which assets have not.
"""

from django.db import migrations

NODES = """
INSERT INTO accounts_grant (tenant_id, role_id, permission, "constraint")
SELECT tenant_id, role_id, replace(permission, 'media:', 'nodes:'), "constraint" || '{"kind": ["attachment"]}'
FROM accounts_grant WHERE permission LIKE 'media:%' ON CONFLICT DO NOTHING
"""
LIMITED = """
DELETE FROM accounts_grant WHERE permission LIKE 'media:%' AND "constraint" ?| ARRAY['locale', 'published', 'kind']
"""


class Migration(migrations.Migration):

    dependencies = [("accounts", "0011_lists")]

    operations = [
        migrations.RunSQL(NODES, migrations.RunSQL.noop),
        migrations.RunSQL(LIMITED, migrations.RunSQL.noop),
    ]
