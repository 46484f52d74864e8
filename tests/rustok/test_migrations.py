import io

import pytest
from django.core.management import call_command
from django.db import connection, models


@pytest.mark.django_db
def test_every_change_of_a_model_has_its_migration():
    output = io.StringIO()

    try:
        call_command("makemigrations", "--check", "--dry-run", stdout=output)
    except SystemExit:
        pytest.fail(output.getvalue())


@pytest.mark.django_db
def test_a_model_without_a_migration_is_noticed():
    class Forgotten(models.Model):
        class Meta:
            app_label = "tenants"

    try:
        with pytest.raises(SystemExit):
            call_command("makemigrations", "--check", "--dry-run", stdout=io.StringIO())
    finally:
        registry = Forgotten._meta.apps
        del registry.all_models["tenants"]["forgotten"]
        registry.clear_cache()
    assert connection.introspection.table_names()
