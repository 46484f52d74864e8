"""There is one way out: the lint rule that says so finds every other, in every place where we could put one."""

from __future__ import annotations

import subprocess
import sys

import pytest

from rustok.environment import CHECKOUT

OTHERS = [
    "import requests",
    "import httpx",
    "import urllib3",
    "import aiohttp",
    "import smtplib",
    "import urllib.request",
    "from urllib import request",
    "from urllib.request import urlopen",
    "from http.client import HTTPSConnection",
    "import ftplib",
]


def judged(source: str, path: str) -> str:
    """What ruff, as the project is set up, says of a file with this source."""
    asked = [sys.executable, "-m", "ruff", "check", "--select", "TID251", "--stdin-filename", path, "-"]
    done = subprocess.run(asked, cwd=CHECKOUT, input=source, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


@pytest.mark.parametrize("place", ["apps/commerce/services/webhooks.py", "rustok/health.py"])
def test_every_other_way_out_is_found(place: str) -> None:
    told = judged("\n".join(OTHERS) + "\n", place)

    for number in range(1, len(OTHERS) + 1):
        assert f"{place}:{number}:" in told, OTHERS[number - 1]


def test_the_one_way_out_is_let_through() -> None:
    assert "All checks passed" in judged("import urllib3\n", "apps/kernel/outbound.py")
