"""The settings as production has them, read by a process of its own, and what differs put in force here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from typing import Any

from rustok import servers
from rustok.environment import CHECKOUT, PREFIX
from tests.rustok.test_environment import SAFE_IN_PRODUCTION

ENVIRONMENT = SAFE_IN_PRODUCTION | {
    "RUSTOK_SECRET_KEY": "of-no-installation-anywhere-" * 3,
    "RUSTOK_ALLOWED_HOSTS": "rustok.example",
}
_TOLD = """
import json, django
django.setup()
from django.conf import settings
names = [n for n in dir(settings) if n.startswith(("SECURE_", "SESSION_COOKIE", "CSRF_COOKIE", "X_FRAME", "CORS_"))]
print(json.dumps({n: getattr(settings, n) for n in [*names, "PLATFORM_HOSTS"]}, default=str))
"""


def database_url() -> str:
    """The database of this run, for what looks at it."""
    facts = servers.connection_facts().database
    password = facts.options.get("passfile")
    if password is None:
        return os.environ["DATABASE_URL"]
    return f"postgresql://{facts.user}@/{facts.name}?host={facts.host}&passfile={password}"


def run(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Python with the environment of production and nothing of this run's."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(PREFIX) and name not in {"DATABASE_URL", "VALKEY_URL", "NATS_URL"}
    }
    environment = inherited | ENVIRONMENT | more | {"DJANGO_SETTINGS_MODULE": "rustok.settings"}
    return subprocess.run(
        [sys.executable, *arguments], env=environment, cwd=CHECKOUT, capture_output=True, text=True, check=False
    )


@cache
def settings_of_edge() -> dict[str, Any]:
    """What browsers are told and given, as production decides it; for `override_settings`."""
    found = run("-c", _TOLD)
    assert found.returncode == 0, found.stderr
    told: dict[str, Any] = json.loads(found.stdout)
    return told
