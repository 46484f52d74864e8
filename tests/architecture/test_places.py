"""What is kept outside the tables is kept in few places, so that a purge can find it; and this guard says no."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
# Who speaks to Valkey, and why a purge need not look there, or finds what is there.
VALKEY = {
    "apps/kernel/cache/listening.py": "hears, and keeps nothing",
    "apps/kernel/cache/shared.py": "keys with the tenant's id, slug or hosts, which a purge deletes",
    "apps/kernel/nudges.py": "names tasks",
    "apps/events/bus/__init__.py": "the bus, which a purge has filled anew",
    "apps/events/bus/valkey.py": "the bus, which a purge has filled anew",
    "apps/accounts/attempts.py": "digests and addresses, gone within two hours",
    "apps/accounts/walls.py": "addresses, gone within a minute",
    "apps/kernel/csp_reports.py": "addresses, gone within a minute",
    "apps/kernel/limits/shared.py": "addresses, and ids of tenants, accounts and keys, gone within 62 seconds",
    "rustok/cache.py": "what Django's cache is made of",
    "rustok/doctor.py": "asks, and keeps nothing",
    "rustok/health.py": "asks, and keeps nothing",
    "rustok/lifecycle/caches.py": "the purge itself",
}
FILES = {
    "rustok/lifecycle/files.py": "all files of a tenant lie below its folder",
    "rustok/doctor.py": "asks whether files are there, and writes none",
    "apps/media/files.py": "below the folder of their tenant",
    "apps/media/serving.py": "reads, and writes nothing",
    "apps/media/sweeping.py": "deletes what is below the folders of tenants",
    "apps/imports/admin.py": "the field of a form: what is sent is kept in rows",
}
OF_VALKEY = ("redis", "django.core.cache", "django_ratelimit", "rustok.cache")
OF_FILES = ("django.core.files.storage", "FileField", "ImageField", "FilePathField")


def names(source: str) -> Iterator[str]:
    """Every module and object that is imported, by its full name, and every attribute that is named."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Attribute):
            yield node.attr


def uses(source: str, wanted: tuple[str, ...]) -> bool:
    return any(name == each or name.startswith(f"{each}.") for name in names(source) for each in wanted)


def users(wanted: tuple[str, ...]) -> set[str]:
    """The files that use one of them; what tests are made of runs nowhere else."""
    return {
        str(path.relative_to(CHECKOUT))
        for package in ("apps", "rustok")
        for path in (CHECKOUT / package).rglob("*.py")
        if CHECKOUT / "rustok/testing" not in path.parents and uses(path.read_text(), wanted)
    }


def test_keys_in_valkey_are_made_where_a_purge_knows_of_them() -> None:
    assert users(OF_VALKEY) == VALKEY.keys()


def test_files_are_kept_where_a_purge_and_an_export_look() -> None:
    assert users(OF_FILES) == FILES.keys()


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("from django.core.cache import cache", OF_VALKEY),
        ("import redis.asyncio", OF_VALKEY),
        ("from django.core.files.storage import default_storage", OF_FILES),
        ("class Logo:\n    image = models.ImageField()", OF_FILES),
    ],
)
def test_a_new_place_is_found(source: str, wanted: tuple[str, ...]) -> None:
    assert uses(source, wanted)
    assert not uses("from apps.kernel import errors\nerrors.Conflict", wanted)
