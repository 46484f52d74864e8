from django.apps import AppConfig


class ConsumersConfig(AppConfig):
    name = "apps.consumers"
    label = "consumers"
