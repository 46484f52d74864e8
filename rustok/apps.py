from django.apps import AppConfig


class RustokConfig(AppConfig):
    """The composition root: no tables, only commands."""

    name = "rustok"
    label = "rustok"

    def ready(self) -> None:
        # Makes our Celery application the current one, which @shared_task binds to.
        from rustok import celery  # noqa: F401
