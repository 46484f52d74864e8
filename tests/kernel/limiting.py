"""A process that takes from limits, told by lines on its input what to do; each is answered by one line of JSON.

python -m tests.kernel.limiting

storm POLICY WHO LIMIT THREADS CALLS   how many of so many calls, from so many threads at once, were admitted
skew SECONDS                           null; from here on all clocks of this process are so far off
"""

from __future__ import annotations

import json
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import django

ENOUGH_SECONDS = 20


def be_patient() -> None:
    """A busy machine must not look like a Valkey that is gone."""
    from apps.kernel.limits import deciding, shared

    shared.DEADLINE_SECONDS = ENOUGH_SECONDS
    deciding.forget_process()


class Process:
    def storm(self, policy: str, who: str, limit: str, threads: str, calls: str) -> dict[str, int]:
        from apps.kernel.limits import deciding
        from apps.kernel.limits.policies import Charge

        barrier = threading.Barrier(int(threads))

        def ask(number: int) -> list[tuple[bool, str]]:
            barrier.wait()
            verdicts = [deciding.decide([Charge(policy, who, int(limit))]) for _ in range(int(calls) // int(threads))]
            return [(verdict.is_admitted, verdict.store) for verdict in verdicts]

        with ThreadPoolExecutor(int(threads)) as pool:
            answers = [answer for some in pool.map(ask, range(int(threads))) for answer in some]
        return {
            "asked": len(answers),
            "admitted": sum(is_admitted for is_admitted, _ in answers),
            "local": sum(store == "local" for _, store in answers),
        }

    def skew(self, seconds: str) -> None:
        off = float(seconds)
        real_time, real_monotonic = time.time, time.monotonic
        time.time = lambda: real_time() + off
        time.time_ns = lambda: int((real_time() + off) * 1e9)
        time.monotonic = lambda: real_monotonic() + off


def tell(answer: object) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def main() -> None:
    django.setup()
    be_patient()
    process = Process()
    tell("ready")
    for line in sys.stdin:
        what, *arguments = line.split()
        tell(getattr(process, what)(*arguments))


if __name__ == "__main__":
    main()
