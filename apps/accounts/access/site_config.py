"""Puts our admin site in the place of Django's."""

from django.contrib.admin import apps


class AccessAdminConfig(apps.AdminConfig):
    default_site = "apps.accounts.access.site.AccessAdminSite"
