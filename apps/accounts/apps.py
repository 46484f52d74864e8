from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "apps.accounts"
    label = "accounts"

    def ready(self) -> None:
        from django.contrib import admin
        from django.contrib.auth import signals

        from apps.accounts import admin_sessions, events  # noqa: F401 - registers the event types
        from apps.accounts.forms import GuardedLoginForm
        from apps.tenants import modules

        signals.user_logged_in.connect(admin_sessions.begin)
        signals.user_logged_out.connect(admin_sessions.end)
        admin.site.login_form = GuardedLoginForm
        admin.site.login_template = "accounts/login.html"
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
