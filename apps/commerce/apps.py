from django.apps import AppConfig


class CommerceConfig(AppConfig):
    name = "apps.commerce"
    label = "commerce"

    def ready(self) -> None:
        from apps.commerce import bulk, consumers, custom_fields, events, showing  # noqa: F401 - register what they have
        from apps.commerce.importing import registering
        from apps.commerce.queries import images_elsewhere
        from apps.commerce.services import take_fetched
        from apps.media import fetching, usage
        from apps.tenants import modules

        usage.register(showing.PRODUCTS)
        usage.register(showing.FOUND_PRODUCTS)
        registering.register()
        fetching.register(fetching.Holder("products", "commerce", images_elsewhere, take_fetched))

        modules.register(
            modules.Module(
                slug="commerce",
                name="Commerce",
                description="Products, variants, prices, categories and collections.",
                version="1",
                packages=("apps.commerce",),
            )
        )
        modules.register(
            modules.Module(
                slug="inventory",
                name="Inventory",
                description="Stock per location, reservations, notices of low stock.",
                version="1",
                packages=("apps.commerce.api.stock", "apps.commerce.models.stock"),
                depends_on=("commerce",),
            )
        )
