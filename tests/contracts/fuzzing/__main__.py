"""Fuzz a live server of its own as every kind of caller: `make fuzz-api MINUTES=20 SEED=7`.

Exit codes: 0 nothing was found, 1 the report tells what.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.benchmarks.installation import own_installation

ROUND_SECONDS = 60


def main() -> int:
    options = _options()
    os.environ.setdefault("RUSTOK_PROFILE", "test")  # cheap hashes of passwords, mails that go nowhere
    with own_installation():
        from tests import serving

        port = serving.free_port()
        command = serving.command_of("web", port=port)
        with tempfile.TemporaryDirectory(prefix="rk-") as folder:
            log = Path(folder) / "web.log"
            with serving.running(command, log):
                _wait(port)
                return _fuzz(f"http://127.0.0.1:{port}", options, log)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    parser.add_argument("--as", dest="callers", nargs="*", help="only these kinds of callers")
    return parser.parse_args()


def _wait(port: int) -> None:
    from tests import serving
    from tests.faults.stack import eventually

    eventually(lambda: serving.status_of(port, "/health/live") == 200, seconds=120)


def _fuzz(url: str, options: argparse.Namespace, log: Path) -> int:
    from django.conf import settings

    from tests.contracts.fuzzing import callers, fuzzer
    from tests.sweep import mirrored

    settings.MAILERS = {"default": {"BACKEND": "django.core.mail.backends.dummy.EmailBackend"}}
    names = options.callers or callers.names()
    print(f"Fuzzing {url} for {options.minutes:g} minutes as {', '.join(names)}; seed {options.seed}.", flush=True)
    report, started = fuzzer.Report(), time.monotonic()
    seconds = options.minutes * 60
    for number in range(10**6):
        left = seconds - (time.monotonic() - started)
        if left < 5:
            break
        share = left / (len(names) - number) if number < len(names) else ROUND_SECONDS
        name = names[number % len(names)]
        side = mirrored.make_side("qk")
        budget = fuzzer.Budget(seed=options.seed + number, seconds=max(5, int(min(share, left))))
        found = fuzzer.fuzz(callers.make_caller(name, side), budget, url=url)
        report.add(found)
        print(
            f"{time.monotonic() - started:6.0f} s  {name:<16} {found.requests:>6,} requests, "
            f"{len(found.succeeded()):>3} operations with success, {len(found.findings)} findings",
            *found.told(),
            sep="\n\n",
            flush=True,
        )
    return _tell(report, log)


def _tell(report: object, log: Path) -> int:
    from tests.contracts.fuzzing.fuzzer import Report

    assert isinstance(report, Report)
    statuses = Counter[int]()
    for (_, status), count in report.answers.items():
        statuses[status] += count
    shown = ", ".join(f"{count:,} × {status}" for status, count in sorted(statuses.items()))
    asked = {operation for operation, _ in report.answers}
    print(f"\n{report.requests:,} requests ({dict(report.phases)}): {shown}")
    print(f"{len(report.succeeded())} operations of {len(asked)} have answered with success.")
    if report.findings:
        print(f"{len(report.findings)} findings. The end of the server's log:\n{log.read_text()[-4000:]}")
    else:
        print("Nothing was found.")
    return 1 if report.findings else 0


if __name__ == "__main__":
    sys.exit(main())
