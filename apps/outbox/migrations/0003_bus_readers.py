from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("outbox", "0002_append_one")]

    operations = [
        migrations.CreateModel(
            name="BusReader",
            fields=[
                ("name", models.TextField(primary_key=True, serialize=False)),
                ("position", models.BigIntegerField(default=0)),
                ("updated_at", models.DateTimeField(auto_now=True)),
            ],
        ),
    ]
