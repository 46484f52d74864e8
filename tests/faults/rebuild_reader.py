"""A storefront that reads one page again and again until SIGTERM: python -m tests.faults.rebuild_reader TENANT FILE"""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

from tests.benchmarks.installation import set_up_django


def main(tenant_slug: str, file: str) -> None:
    set_up_django()
    from django.test import Client

    from tests.faults.rebuild_proof import MARK, MARKED

    stopped: list[bool] = []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
    client = Client(raise_request_exception=False)
    seen = dict.fromkeys(("reads", "failed", "mixed", "new"), 0)
    while not stopped:
        answer = client.get(f"/api/v1/store/content/post?limit={MARKED}", headers={"X-Tenant": tenant_slug})
        seen["reads"] += 1
        if answer.status_code != 200:
            seen["failed"] += 1
            continue
        titles = [document["title"] for document in answer.json()["data"]]
        marked = sum(title.startswith(MARK) for title in titles)
        seen["new"] += marked == 0
        seen["mixed"] += marked not in (0, MARKED) or len(titles) != MARKED
    Path(file).write_text(json.dumps(seen))


if __name__ == "__main__":
    main(*sys.argv[1:])
