import time

import pytest
from django.conf import settings
from kombu.exceptions import OperationalError

from apps.outbox import tasks
from rustok.celery import app


@pytest.mark.parametrize("broker", ["redis+socket:///nowhere.sock?virtual_host=0", "redis://127.0.0.1:1/0"])
def test_sending_a_task_without_a_broker_fails_at_once(broker):
    with app.connection_for_write(broker) as connection:
        began = time.perf_counter()
        with pytest.raises(OperationalError):
            tasks.advance.apply_async(connection=connection)

    assert time.perf_counter() - began < 2


@pytest.mark.django_db  # Celery runs Django's system checks first, as a worker does at its start
def test_every_scheduled_task_exists_and_expires():
    app.loader.import_default_modules()

    for entry in settings.CELERY_BEAT_SCHEDULE.values():
        assert entry["task"] in app.tasks
        assert entry["options"]["expires"] >= entry["schedule"]
