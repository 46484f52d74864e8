from django.apps import AppConfig


class ContentConfig(AppConfig):
    name = "apps.content"
    label = "content"

    def ready(self) -> None:
        from apps.content import bulk, custom_fields, events, pictures, showing  # noqa: F401 - register what they have
        from apps.content.wordpress import registering
        from apps.media import usage
        from apps.tenants import modules

        registering.register()
        pictures.register()
        usage.register(showing.NODES)
        modules.register(
            modules.Module(
                slug="content",
                name="Content",
                description="Pages, posts and other kinds of content, categories and tags.",
                version="1",
                packages=("apps.content",),
            )
        )
