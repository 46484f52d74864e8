from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "apps.accounts"
    label = "accounts"

    def ready(self) -> None:
        from django.contrib import admin

        from apps.accounts import events  # noqa: F401 - registers the event types
        from apps.accounts.forms import GuardedLoginForm

        admin.site.login_form = GuardedLoginForm
        admin.site.login_template = "accounts/login.html"
