from django.apps import AppConfig


class KernelConfig(AppConfig):
    name = "apps.kernel"
    label = "kernel"

    def ready(self) -> None:
        from apps.kernel import openapi  # noqa: F401 - registers itself with drf-spectacular
