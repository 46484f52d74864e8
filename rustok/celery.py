"""The Celery application. Its tasks are nudges: losing one costs a second, never an event."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "rustok.settings")

app = Celery("rustok")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
