"""`manage.py` as the terminal meets it: what goes wrong before a command begins is one line too."""

import os
import subprocess
import sys

import pytest

from rustok.environment import CHECKOUT

NOBODY = "postgresql://user:top-secret@127.0.0.1:1/shop"


def manage(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(CHECKOUT / "manage.py"), *arguments],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("command", [["events_status"], ["events_verify"], ["migrate"], ["create_tenant", "shop"]])
def test_a_database_nobody_answers_at_is_one_line(command):
    ended = manage(*command, DATABASE_URL=NOBODY)

    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr.count("\n") == 1
    assert ended.stderr.startswith("The database cannot be used (connection failed: ")
    assert "Connection refused" in ended.stderr
    assert "DATABASE_URL" in ended.stderr
    assert "top-secret" not in ended.stderr


def test_the_traceback_is_there_for_who_asks():
    ended = manage("events_status", "--traceback", DATABASE_URL=NOBODY)

    assert ended.returncode == 1
    assert "Traceback" in ended.stderr


@pytest.mark.parametrize("command", [["openapi", "check"], ["messages", "--check"]])
def test_a_check_of_files_needs_no_database(command):
    assert manage(*command, DATABASE_URL=NOBODY, VALKEY_URL="redis://127.0.0.1:1/0").returncode == 0
