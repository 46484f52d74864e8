from django.apps import AppConfig


class ReadModelsConfig(AppConfig):
    name = "apps.readmodels"
    label = "readmodels"

    def ready(self) -> None:
        from apps.readmodels.projections import content, menus, products, terms  # noqa: F401 - registers the projections
        from apps.tenants import modules

        modules.register(
            modules.Module(
                slug="search",
                name="Search",
                description="Full-text search over what is published.",
                version="1",
                packages=("apps.readmodels.search",),
            )
        )
