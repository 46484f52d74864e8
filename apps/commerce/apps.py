from django.apps import AppConfig


class CommerceConfig(AppConfig):
    name = "apps.commerce"
    label = "commerce"

    def ready(self) -> None:
        from apps.commerce import consumers, events  # noqa: F401 - registers the event types and the effect
