from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("tenants", "0004_purge"),
    ]

    operations = [
        migrations.AddField(
            model_name="tenant",
            name="limits",
            field=models.JSONField(
                blank=True, default=dict, help_text="Rate limits of its plan in place of the installation's."
            ),
        ),
    ]
