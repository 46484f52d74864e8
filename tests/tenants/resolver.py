"""A process that resolves hosts of a database, told by lines on its input; each is answered by one line of JSON.

python -m tests.tenants.resolver DATABASE

find HOST                  what is known of the tenant, or null
storm HOST THREADS ALL     what so many threads find; nothing is loaded before those of all processes have come
"""

from __future__ import annotations

import json
import sys
import threading
import time
from typing import Any

import django

COUNT_SECONDS = 20


def find(host: str) -> dict[str, Any] | None:
    from apps.tenants import resolution

    known = resolution.find_by_host(host)
    if known is None:
        return None
    shown = {"slug": known.scope.slug, "locales": known.scope.locales, "currency": known.scope.currency}
    return shown | {"is_active": known.is_active}


def storm(host: str, threads: str, all_threads: str) -> list[Any]:
    from django.db import connection

    from apps.tenants import resolution
    from tests.kernel import caching

    load = resolution._load

    def load_when_all_have_come(name: str) -> resolution.Known | None:
        until = time.monotonic() + COUNT_SECONDS
        while int(caching.valkey().get("arrived") or 0) < int(all_threads) and time.monotonic() < until:
            time.sleep(0.01)
        with connection.execute_wrapper(count):
            found = load(name)
        connection.close()
        return found

    def count(execute: Any, sql: str, *arguments: Any) -> Any:
        if "tenants_" in sql:  # and not what opening the connection takes
            caching.valkey().incr("queries")
        return execute(sql, *arguments)

    def ask() -> None:
        barrier.wait()
        found.append(find(host))

    resolution._load = load_when_all_have_come
    found: list[Any] = []
    barrier = threading.Barrier(int(threads), lambda: caching.valkey().incr("arrived", threads))
    workers = [threading.Thread(target=ask) for _ in range(int(threads))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return [len(found), found[0] if all(one == found[0] for one in found) else found]


def main(database: str) -> None:
    django.setup()
    from django.db import connection

    from tests.kernel import caching

    connection.settings_dict["NAME"] = database
    caching.be_patient()
    _answer("ready")
    for line in sys.stdin:
        what, *arguments = line.split()
        _answer({"find": find, "storm": storm}[what](*arguments))


def _answer(answer: object) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
