from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "apps.accounts"
    label = "accounts"

    def ready(self) -> None:
        from apps.tenants import modules

        modules.register(
            modules.Module(
                slug="accounts",
                name="Accounts",
                description="People, what they may do, and how they log in.",
                version="1",
                packages=("apps.accounts",),
                is_core=True,
            )
        )
