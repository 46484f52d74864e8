"""The Celery application. Its tasks are nudges: losing one costs a second, never an event."""

import os

from celery import Celery
from celery.signals import import_modules

from rustok import starting

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "rustok.settings")


def refuse_powerful_role(**_: object) -> None:
    starting.refuse_powerful_role()


# The first thing worker and beat do. Ahead of what the application hangs there itself: Django's checks, which would
# meet such a role with a traceback.
import_modules.connect(refuse_powerful_role)

app = Celery("rustok")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
