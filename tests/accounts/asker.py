"""Another process that calls the management API, once for each line it reads: python -m tests.accounts.asker DATABASE

A line is a path and the headers as JSON; the answer is the status and what the account may do.
"""

from __future__ import annotations

import json
import sys


def main(database: str) -> None:
    import django
    from django.conf import settings

    settings.DATABASES["default"]["NAME"] = database
    django.setup()
    from django.test import Client

    client = Client(raise_request_exception=False)
    print("ready", flush=True)
    for line in sys.stdin:
        path, headers = json.loads(line)
        print(client.get(path, headers=headers).status_code, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
