
import apps.kernel.ids
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
    ]

    operations = [
        migrations.CreateModel(
            name='Anchor',
            fields=[
                ('pk', models.CompositePrimaryKey('chain', 'number', blank=True, editable=False, primary_key=True, serialize=False)),
                ('chain', models.UUIDField()),
                ('number', models.BigIntegerField()),
                ('last', models.BigIntegerField()),
                ('seal', models.BinaryField()),
                ('mac', models.BinaryField()),
                ('key_id', models.TextField()),
                ('pruned_at', models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name='Personal',
            fields=[
                ('entry_id', models.UUIDField(primary_key=True, serialize=False)),
                ('tenant_id', models.UUIDField(null=True)),
                ('client_address', models.TextField(blank=True, default='')),
                ('changes', models.TextField(default='{}')),
                ('salt', models.BinaryField()),
            ],
        ),
        migrations.CreateModel(
            name='Position',
            fields=[
                ('pk', models.CompositePrimaryKey('chain', 'sequence', blank=True, editable=False, primary_key=True, serialize=False)),
                ('chain', models.UUIDField()),
                ('sequence', models.BigIntegerField()),
                ('entry_id', models.UUIDField(unique=True)),
                ('mac', models.BinaryField()),
                ('key_id', models.TextField()),
            ],
        ),
        migrations.CreateModel(
            name='Seal',
            fields=[
                ('pk', models.CompositePrimaryKey('chain', 'number', blank=True, editable=False, primary_key=True, serialize=False)),
                ('chain', models.UUIDField()),
                ('number', models.BigIntegerField()),
                ('ordinal', models.BigIntegerField(unique=True)),
                ('first', models.BigIntegerField()),
                ('last', models.BigIntegerField()),
                ('previous', models.BinaryField()),
                ('seal', models.BinaryField()),
                ('key_id', models.TextField()),
                ('sealed_at', models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name='Entry',
            fields=[
                ('id', models.UUIDField(default=apps.kernel.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('tenant_id', models.UUIDField(null=True)),
                ('occurred_at', models.DateTimeField()),
                ('actor', models.TextField()),
                ('authority', models.TextField(blank=True, default='')),
                ('action', models.TextField()),
                ('object_type', models.TextField()),
                ('object_id', models.TextField(blank=True, default='')),
                ('changes', models.TextField(default='{}')),
                ('correlation_id', models.UUIDField(null=True)),
                ('personal_digest', models.BinaryField(default=b'')),
                ('hash', models.BinaryField()),
            ],
            options={
                'verbose_name_plural': 'entries',
                'ordering': ['-occurred_at', '-id'],
                'indexes': [models.Index(fields=['tenant_id', 'occurred_at', 'id'], name='audit_entry_time'), models.Index(fields=['tenant_id', 'object_id', 'occurred_at'], name='audit_entry_object'), models.Index(fields=['tenant_id', 'actor', 'occurred_at'], name='audit_entry_actor')],
            },
        ),
    ]
