"""A process that works on a database until it is done, or until a failpoint kills it.

python -m tests.faults.work DATABASE (sell VARIANT TENANT | post TENANT TOKEN KEY PATH BODY | drain | rebuild | seal |
    jobs | command NAME ARGUMENT…)
"""

from __future__ import annotations

import os
import subprocess
import sys
import uuid

import django
from django.db import connection


def start(what: str, *arguments: str, failpoint: str) -> int:
    """Do `what` in a process of its own with the failpoint set; its exit code, negative when it was killed."""
    database = str(connection.settings_dict["NAME"])
    started = [sys.executable, "-m", "tests.faults.work", database, what, *arguments]
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "tests.faults.settings", "RUSTOK_FAILPOINT": failpoint}
    finished = subprocess.run(started, env=environment, capture_output=True, text=True, check=False, timeout=60)
    if finished.returncode > 0:
        raise RuntimeError(finished.stderr)
    return finished.returncode


def main(database: str, what: str, *arguments: str) -> None:
    django.setup()
    connection.settings_dict["NAME"] = database
    duties = {
        "sell": sell, "post": post, "drain": drain, "rebuild": rebuild, "seal": seal, "jobs": jobs, "command": command,
    }  # fmt: skip
    duties[what](*arguments)


def sell(variant_id: str, tenant_slug: str) -> None:
    """Sell five."""
    from apps.tenants import queries
    from tests import factories
    from tests.commerce import making

    with factories.at_work(queries.get_tenant(slug_or_id=tenant_slug)):
        making.adjust(uuid.UUID(variant_id), -5)


def post(tenant: str, token: str, key: str, path: str, body: str) -> None:
    """A request with an idempotency key; its answer goes to nobody."""
    from django.test import Client

    headers = {"X-Tenant": tenant, "Authorization": f"Bearer {token}", "Idempotency-Key": key}
    Client().post(path, body, content_type="application/json", headers=headers)


def drain() -> None:
    from apps.consumers import tasks

    tasks.drain()


def command(name: str, *arguments: str) -> None:
    """Any of manage.py."""
    from django.core.management import call_command

    call_command(name, *arguments)


def rebuild() -> None:
    """A rebuild of many small steps."""
    from apps.consumers import projections
    from apps.consumers import rebuild as rebuilding

    rebuilding.STEP_EVENTS = 1
    rebuilding.rebuild(projections.get("products"))


def jobs() -> None:
    """Whatever jobs there are."""
    from apps.jobs import working

    working.advance()


def seal() -> None:
    from apps.audit import tasks

    tasks.seal()


if __name__ == "__main__":
    main(*sys.argv[1:])
