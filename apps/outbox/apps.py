from django.apps import AppConfig


class OutboxConfig(AppConfig):
    name = "apps.outbox"
    label = "outbox"

    def ready(self) -> None:
        from apps.outbox import tasks, wake

        wake.on_commit(tasks.nudge)
