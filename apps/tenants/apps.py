from django.apps import AppConfig


class TenantsConfig(AppConfig):
    name = "apps.tenants"
    label = "tenants"

    def ready(self) -> None:
        from apps.consumers import sending
        from apps.tenants import consumers, events, modules, origins, queries  # noqa: F401 - register what is heard

        sending.pause_for(queries.suspended_ids)
        modules.register(
            modules.Module(
                slug="tenants",
                name="Tenant",
                description="The tenant's own data: domains, languages, modules.",
                version="1",
                packages=("apps.tenants", "apps.audit", "apps.jobs", "apps.imports", "apps.media"),
                is_core=True,
            )
        )
