"""What all middleware together costs a read of the storefront: `make bench-edge`.

The same request goes in turns through two WSGI handlers of one process: the product's own with the settings of
production, and one with nothing in front of the view but the tenant, which the view can't do without. The tenant is
cached, the document prepared, the rate limits counted in Valkey and out of reach.

Processor time is that of this process; what Valkey works meanwhile is in the requests a second. Exit code 1 when the
stack costs more than 1 ms of processor time and more than 35 % of the requests a second.
"""

from __future__ import annotations

import argparse
import cProfile
import gc
import os
import pstats
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO, StringIO
from typing import Any

from tests.benchmarks.installation import Ratio, own_installation

type Handler = Callable[..., Any]
PRODUCTS = 20
WARM = 300
MILLISECONDS = 1.0
SHARE = 0.35


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=3_000, help="requests of each side (default: 3,000)")
    parser.add_argument("--profile", action="store_true", help="print where the whole stack spends its time instead")
    options = parser.parse_args()
    # The pool and the limits are those of a web process.
    os.environ["RUSTOK_PROCESS"] = "web"
    with own_installation():
        from django.test import override_settings

        from tests.rustok import production

        edge = production.settings_of_edge() | {"WHITENOISE_AUTOREFRESH": False, "WHITENOISE_USE_FINDERS": False}
        with override_settings(**edge):
            is_met = measure(options.requests, is_profile=options.profile)
    sys.exit(0 if is_met else 1)


@dataclass
class Side:
    """One way to the view, with the seconds each request took, of processor time and by the clock."""

    handler: Handler
    cpu: list[float] = field(default_factory=list)
    clock: list[float] = field(default_factory=list)

    def ask(self, environ: dict[str, Any]) -> None:
        began, worked = time.perf_counter(), time.process_time()
        send(self.handler, environ)
        self.cpu.append(time.process_time() - worked)
        self.clock.append(time.perf_counter() - began)


def measure(times: int, *, is_profile: bool) -> bool:
    from django.db import connection

    environ, scope = make_shop()
    sides = whole, bare = Side(make_handler()), Side(make_handler(only_tenant=scope))
    for side in sides:
        for _ in range(WARM):
            side.ask(environ)
        side.cpu.clear()
        side.clock.clear()
    if is_profile:
        profile(whole.handler, environ, times)
    else:
        in_turns(sides, environ, times)
    connection.close_pool()
    return is_profile or report(whole, bare)


def in_turns(sides: tuple[Side, Side], environ: dict[str, Any], times: int) -> None:
    gc.disable()  # a collection would fall on one of the two
    try:
        for number in range(times):
            for side in sides if number % 2 else reversed(sides):
                side.ask(environ)
            if number % 100 == 0:
                gc.collect()
    finally:
        gc.enable()


def report(whole: Side, bare: Side) -> bool:
    """Print both figures; whether the kinder one is met."""
    cpu = [1000 * statistics.median(side.cpu) for side in (whole, bare)]
    per_second = [1 / statistics.median(side.clock) for side in (whole, bare)]
    cost = Ratio("processor time of the stack / 1 ms", cpu[0] - cpu[1], MILLISECONDS, 1, "ms", at_most=True)
    speed = Ratio("a product by handle, through the stack / the view", *per_second, 1 - SHARE, "req/s")
    print(f"processor time of a request: {cpu[0]:.2f} ms through the stack, {cpu[1]:.2f} ms by the view alone")
    print(f"{cost}\n{speed}")
    return cost.is_met or speed.is_met


def profile(handler: Handler, environ: dict[str, Any], times: int) -> None:
    profiler = cProfile.Profile()
    profiler.enable()
    for _ in range(times):
        send(handler, environ)
    profiler.disable()
    pstats.Stats(profiler).sort_stats("cumulative").print_stats(90)


# --- the two sides ---------------------------------------------------------------------------------------------


def make_shop() -> tuple[dict[str, Any], Any]:
    """What a server says of the request for a published product, and the scope of its tenant."""
    from django.core.management import call_command

    from apps.commerce import services
    from apps.tenants import queries
    from tests import factories
    from tests.commerce import making

    tenant = factories.make_tenant(currency="EUR")
    with factories.at_work(tenant):
        for number in range(PRODUCTS):
            title = f"Walking shoe {number}"
            made = making.make_product(making.sized_fields(*"SML", translations=[{"locale": "en", "title": title}]))
            services.publish_product(product_id=made.id, now=making.NOW)
    call_command("events_run", once=True, stdout=StringIO())
    handle = made.translations["en"].handle
    return _environ(f"/api/v1/store/products/{handle}", f"{tenant.slug}.test"), queries.scope_of(tenant)


def make_handler(*, only_tenant: Any = None) -> Handler:
    """Django as a server calls it, with all middleware or with nothing but this tenant in scope."""
    from django.core.handlers.wsgi import WSGIHandler
    from django.test import override_settings

    if only_tenant is None:
        return WSGIHandler()
    with override_settings(MIDDLEWARE=["tests.benchmarks.edge.InScope"], ONLY_TENANT=only_tenant):
        return WSGIHandler()


class InScope:
    """The least that stands in front of a view."""

    def __init__(self, get_response: Callable[[Any], Any]) -> None:
        from django.conf import settings

        from apps.tenants import scope

        self._work = partial(scope.use, settings.ONLY_TENANT)
        self._get_response = get_response

    def __call__(self, request: Any) -> Any:
        with self._work():
            return self._get_response(request)


def send(handler: Handler, environ: dict[str, Any]) -> None:
    """One request, to the last byte. Raises RuntimeError unless it is answered with 200."""
    told: list[str] = []
    answer = handler(environ | {"wsgi.input": BytesIO()}, lambda status, headers: told.append(status))
    body = b"".join(answer)
    answer.close()
    if told != ["200 OK"]:
        raise RuntimeError(f"{told} {body[:500]!r}")


def _environ(path: str, host: str) -> dict[str, Any]:
    """As a browser's request arrives behind a proxy that has ended TLS."""
    return {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SCRIPT_NAME": "",
        "SERVER_NAME": host,
        "SERVER_PORT": "443",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": host,
        "HTTP_ACCEPT": "application/json",
        "HTTP_ACCEPT_ENCODING": "gzip, deflate, br, zstd",
        "HTTP_ACCEPT_LANGUAGE": "en-GB,en;q=0.8,de;q=0.5",
        "HTTP_USER_AGENT": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "https",
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }


if __name__ == "__main__":
    main()
