from django.apps import AppConfig


class OutboxConfig(AppConfig):
    name = "apps.outbox"
    label = "outbox"

    def ready(self) -> None:
        from apps.outbox import events, tasks, wake  # noqa: F401 - registers the event type

        wake.on_commit(tasks.nudge)
