from typing import Any

from django.apps import AppConfig
from django.core import checks


class EventsConfig(AppConfig):
    name = "apps.events"
    label = "events"

    def ready(self) -> None:
        checks.register(_everything_is_released, deploy=True)


def _everything_is_released(**_: Any) -> list[checks.CheckMessage]:
    """`check --deploy`: an event recorded under a draft could not be read once the draft has changed."""
    from apps.events import checking, schemas

    drafts = ", ".join(f"{entry.type} {entry.version}" for entry in checking.check_released(schemas.published()))
    hint = "Run manage.py events_schema export --release and commit the lock."
    return [checks.Error(f"Event schemas are not released: {drafts}.", hint=hint, id="events.E001")] if drafts else []
