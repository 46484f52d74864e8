from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class ConsumersConfig(AppConfig):
    name = "apps.consumers"
    label = "consumers"
    verbose_name = "Events"

    def ready(self) -> None:
        from apps.consumers import holding, tasks
        from apps.outbox import retention, wake

        wake.on_positions(tasks.nudge)
        retention.register(holding.holds)
        post_migrate.connect(_ensure_generations, sender=self, dispatch_uid="consumers.generations")


def _ensure_generations(using: str = "default", **_: Any) -> None:
    from django.db import connections

    from apps.consumers import effects, generations, projections

    if "consumers_generation" not in connections[using].introspection.table_names():
        return
    for projection in projections.all_projections():
        generations.ensure_live(projection)
    for effect in effects.all_effects():
        effects.ensure(effect)
