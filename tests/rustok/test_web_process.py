"""What holds in processes that answer requests and not in commands and workers."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from rustok.environment import CHECKOUT

SLOW = """
import django; django.setup()
from django.db import OperationalError, connection
try:
    connection.cursor().execute("SELECT pg_sleep(1.5)")
    print("finished")
except OperationalError as error:
    print(error)
if "pool" in connection.settings_dict["OPTIONS"]:
    connection.close_pool()
"""


@pytest.mark.parametrize(
    ("process", "outcome"), [("web", "canceling statement due to statement timeout"), ("worker", "finished")]
)
def test_a_slow_statement_is_given_up_in_a_web_process_only(process: str, outcome: str) -> None:
    environment = os.environ | {"RUSTOK_PROCESS": process, "RUSTOK_DATABASE_STATEMENT_SECONDS": "1"}

    done = subprocess.run(
        [sys.executable, "-c", SLOW], cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False
    )

    assert outcome in done.stdout, done.stderr
