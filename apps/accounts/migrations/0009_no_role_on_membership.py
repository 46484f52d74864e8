from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("accounts", "0008_roles_of_members"),
    ]

    operations = [
        # With a value to put back: a step backwards finds rows.
        migrations.AlterField("membership", "role", models.CharField(max_length=32, default="editor")),
        migrations.RemoveField("membership", "role"),
    ]
