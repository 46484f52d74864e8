"""Every command of docs/how-to/call-the-api.md, typed into a shell in front of a live server."""

from __future__ import annotations

import re
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyotp
import pytest
from django.core import mail
from pytest_django.live_server_helper import LiveServer

from apps.accounts import tasks
from apps.commerce import services
from apps.consumers import tasks as consumers
from apps.kernel import isolation
from rustok.environment import CHECKOUT
from tests import factories
from tests.commerce import making

GUIDE = CHECKOUT / "docs" / "how-to" / "call-the-api.md"
BLOCKS = re.findall(r"^```sh\n(.+?)^```$", GUIDE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
ASSIGNMENT = re.compile(r"^([A-Z_]+)=(\S+)", re.MULTILINE)
EXPECTED = re.compile(r"# (\d{3})\b")
# Notes the status of each answer in a file, and is curl otherwise.
CURL = """
curl() {
    local headers code; headers=$(mktemp)
    command curl "$@" -D "$headers"; code=$?
    head -n 1 "$headers" | cut -d ' ' -f 2 >> %s; rm "$headers"; return $code
}
"""


class Shell:
    """One bash that keeps its variables from block to block."""

    def __init__(self, folder: Path) -> None:
        self._statuses = folder / "statuses"
        self._process = subprocess.Popen(
            ["bash"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.run("set -u -o pipefail\n" + CURL % shlex.quote(str(self._statuses)))

    def run(self, text: str) -> tuple[str, list[str]]:
        """What the text prints, and the statuses of what it asked."""
        assert self._process.stdin
        assert self._process.stdout
        self._statuses.write_text("")
        self._process.stdin.write(f"{text}\necho; echo --- $?\n")
        self._process.stdin.flush()
        lines = []
        for line in self._process.stdout:
            if line.startswith("--- "):
                break
            lines.append(line)
        return "".join(lines), self._statuses.read_text().split()

    def value(self, name: str) -> str:
        return self.run(f'echo "${name}"')[0].strip()

    def end(self) -> None:
        self._process.communicate()


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    shell = Shell(tmp_path)
    yield shell
    shell.end()


@pytest.fixture
def facts(committed_db: None) -> Iterator[dict[str, str]]:
    """What the first block says of the demo, as it is here."""
    tenant = factories.make_tenant(currency="EUR", domains=["walked.localhost"])
    owner = factories.make_member(tenant)
    with factories.at_work(tenant):
        for number in range(3):
            made = making.make_product(title=f"Lamp {number}")
            services.publish_product(product_id=made.id, now=making.NOW)
    with isolation.all_tenants(reason="test"):
        consumers.drain()
    server = LiveServer("127.0.0.1")
    port = server.url.rpartition(":")[2]
    yield {
        "INSTALLATION": f"http://localhost:{port}",
        "SHOP": f"http://walked.localhost:{port}",
        "TENANT": tenant.slug,
        "EMAIL": owner.email,
        "PASSWORD": factories.PASSWORD,
    }
    server.stop()


def mailed_secret() -> str:
    tasks.send_mails()
    found = re.search(r"Token: (rts_\S+)", str(mail.outbox[-1].body))
    assert found
    return found[1]


def test_every_command_of_the_walkthrough_answers_as_it_says(shell: Shell, facts: dict[str, str]) -> None:
    # What a reader looks up: in an app, a moment later, and in a mail.
    lookups: dict[str, Callable[[], str]] = {
        **{name: lambda value=value: value for name, value in facts.items()},  # type: ignore[misc]
        "CODE": lambda: pyotp.TOTP(shell.value("SECRET")).now(),
        "NEXT_CODE": lambda: pyotp.TOTP(shell.value("SECRET")).at(time.time() + 30),
        "MAILED": mailed_secret,
    }
    for block in BLOCKS:
        names = dict(ASSIGNMENT.findall(block))
        looked_up = bool(names) and names.keys() <= lookups.keys()
        typed = "\n".join(f"{name}={shlex.quote(lookups[name]())}" for name in names) if looked_up else block
        printed, statuses = shell.run(typed)
        assert statuses == EXPECTED.findall(typed), f"{block}\n{printed}"


def test_no_block_of_the_guide_is_left_out() -> None:
    assert len(BLOCKS) == GUIDE.read_text("utf-8").count("```") // 2
    assert len(EXPECTED.findall("".join(BLOCKS))) >= 30


def test_the_first_block_names_what_make_dev_starts() -> None:
    named = dict(ASSIGNMENT.findall(BLOCKS[0]))

    readme = (CHECKOUT / "README.md").read_text("utf-8")
    assert all(value in readme for value in named.values()), named
