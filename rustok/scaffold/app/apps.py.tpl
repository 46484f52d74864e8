from django.apps import AppConfig


class ${title}Config(AppConfig):
    name = "apps.${name}"
    label = "${name}"

    def ready(self) -> None:
        from apps.tenants import modules

        modules.register(
            modules.Module(
                slug="${name}",
                name="${title}",
                description="${title}.",
                version="1",
                packages=("apps.${name}",),
            )
        )
        from apps.${name} import events  # noqa: F401 - registers the types of events
