from django.apps import AppConfig


class ReadModelsConfig(AppConfig):
    name = "apps.readmodels"
    label = "readmodels"
