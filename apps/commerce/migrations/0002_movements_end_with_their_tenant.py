from django.db import migrations

from apps.commerce.constraints import FUNCTION

NAME = "commerce_inventorymovement_append_only"


class Migration(migrations.Migration):
    dependencies = [("commerce", "0001_initial")]

    operations = [
        # A purge may delete what is written once; older installations have the trigger without that door.
        migrations.RunSQL(FUNCTION.format(name=NAME), migrations.RunSQL.noop),
    ]
