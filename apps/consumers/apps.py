from django.apps import AppConfig


class ConsumersConfig(AppConfig):
    name = "apps.consumers"
    label = "consumers"
    verbose_name = "Events"

    def ready(self) -> None:
        from apps.consumers import holding, tasks
        from apps.outbox import retention, wake

        wake.on_positions(tasks.nudge)
        retention.register(holding.holds)
