from django.apps import AppConfig


class ReadModelsConfig(AppConfig):
    name = "apps.readmodels"
    label = "readmodels"

    def ready(self) -> None:
        from apps.readmodels.projections import content, products, terms  # noqa: F401 - registers the projections
