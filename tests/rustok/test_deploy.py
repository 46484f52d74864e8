"""The settings of production pass Django's own examination, with every warning counting; files hold no secret."""

from __future__ import annotations

import subprocess
from pathlib import Path

from rustok.environment import CHECKOUT
from tests.rustok import production

WEAKENED = """
import django
from django.conf import settings
settings.SECURE_SSL_REDIRECT = False
django.setup()
from django.core.management import call_command
call_command("check", deploy=True, fail_level="WARNING")
"""


def test_the_deployment_check_finds_nothing() -> None:
    done = production.run(
        "manage.py", "check", "--deploy", "--fail-level", "WARNING", DATABASE_URL=production.database_url()
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert "no issues" in done.stdout


def test_the_deployment_check_would_say_so() -> None:
    done = production.run("-c", WEAKENED, DATABASE_URL=production.database_url())

    assert done.returncode != 0
    assert "security.W008" in done.stderr


def test_a_secret_in_a_file_is_found(tmp_path: Path) -> None:
    def scan(text: str) -> subprocess.CompletedProcess[str]:
        file = tmp_path / "settings.py"
        file.write_text(text)
        command = ["make", "secrets", f"SCANNED={file}"]
        return subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)

    key = "AKIA" + "IOSFODNN7" + "EXAMPLZ"  # joined here, or the scan would find this line

    assert scan('DATABASE_URL = "postgresql://user:password@host/name"').returncode == 0
    found = scan(f'KEY = "{key}"')
    assert found.returncode != 0
    assert "AWS Access Key" in found.stdout + found.stderr
