import pkgutil
from importlib import import_module

from django.apps import AppConfig


class ReadModelsConfig(AppConfig):
    name = "apps.readmodels"
    label = "readmodels"

    def ready(self) -> None:
        from apps.readmodels import projections
        from apps.tenants import modules

        # Each registers its projection; shared.py has none.
        for module in pkgutil.iter_modules(projections.__path__, f"{projections.__name__}."):
            import_module(module.name)
        modules.register(
            modules.Module(
                slug="search",
                name="Search",
                description="Full-text search over what is published.",
                version="1",
                packages=("apps.readmodels.search",),
            )
        )
