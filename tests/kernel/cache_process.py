"""A process with a cache of its own, told by lines on its input what to do; each is answered by one line of JSON.

python -m tests.kernel.cache_process KIND

get GROUP           the value                          storm GROUP THREADS ALL   the values so many threads get
hold GROUP          says so when it loads, for ever    invalidate GROUP          null, when it is done

Loading a group reads the number `source:<group>` in Valkey and counts itself in `loads:<group>`.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from typing import Any

import django


class Process:
    def __init__(self, kind: str) -> None:
        from tests.kernel import caching

        self.caching = caching
        self.cache = caching.make(kind)
        caching.be_patient()

    def get(self, group: str) -> list[int | None]:
        return [self._get(group)]

    def hold(self, group: str) -> None:
        def load() -> Any:
            self.caching.valkey().incr(f"loads:{group}")
            tell("loading")
            time.sleep(600)

        self.cache.get(group, load)

    def storm(self, group: str, threads: str, all_threads: str) -> list[int | None]:
        """Nothing is loaded before the threads of all processes have come."""
        seen: list[int | None] = []
        barrier = threading.Barrier(int(threads), lambda: self.caching.valkey().incr(f"arrived:{group}", threads))

        def ask() -> None:
            barrier.wait()
            seen.append(self._get(group, wait_for=int(all_threads)))

        workers = [threading.Thread(target=ask) for _ in range(int(threads))]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return [len(seen), *sorted(set(seen), key=str)]

    def invalidate(self, group: str) -> None:
        self.cache.invalidate([group])

    def _get(self, group: str, *, wait_for: int = 0) -> int | None:
        found = self.cache.get(group, lambda: self.caching.load(group, wait_for=wait_for))
        return found.number if found else None


def tell(answer: object) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def main(kind: str) -> None:
    django.setup()
    process = Process(kind)
    tell("ready")
    for line in sys.stdin:
        what, *arguments = line.split()
        tell(getattr(process, what)(*arguments))


if __name__ == "__main__":
    main(*sys.argv[1:])
