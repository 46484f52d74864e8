"""Servers and an empty database of a benchmark's own, and Django set up on them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Ratio:
    """One line of a report: what was measured against a ceiling of the same run, both in the same unit.

    `is_met` compares with `target`: at least that much, or at most when `at_most`.
    """

    name: str
    measured: float
    ceiling: float
    target: float
    unit: str = "events/s"
    at_most: bool = False

    @property
    def value(self) -> float:
        return self.measured / self.ceiling if self.ceiling else 0.0

    @property
    def is_met(self) -> bool:
        return self.value <= self.target if self.at_most else self.value >= self.target

    def __str__(self) -> str:
        sign = "≤" if self.at_most else "≥"
        verdict = "met" if self.is_met else "MISSED"
        return (
            f"{self.name:<58} {self.measured:>12,.1f} / {self.ceiling:>12,.1f} {self.unit:<9} = {self.value:>7.2f}"
            f"  ({sign} {self.target:g}: {verdict})"
        )


@contextmanager
def own_installation() -> Iterator[Path]:
    """Throw-away servers, migrated; `manage` and Django in this process use them."""
    with tempfile.TemporaryDirectory(prefix="rk-") as folder:
        Path(folder).chmod(0o755)
        data_dir = Path(folder) / "data"
        os.environ["RUSTOK_DATA_DIR"] = str(data_dir)
        manage("migrate", "--verbosity", "0")
        set_up_django()
        try:
            yield data_dir
        finally:
            manage("services", "stop")
            shutil.rmtree(data_dir, ignore_errors=True)


def set_up_django() -> None:
    sys.path.insert(0, str(CHECKOUT))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "rustok.settings")
    import logging

    import django

    from rustok.testing import limits

    os.environ.setdefault("RUSTOK_LIMITS", limits.OUT_OF_REACH)

    django.setup()
    logging.disable(logging.WARNING)


def manage(*arguments: str) -> str:
    """Run a command of the product; its output. Ends the benchmark when it fails."""
    command = [sys.executable, str(CHECKOUT / "manage.py"), *arguments]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    if finished.returncode:
        sys.exit(f"{' '.join(arguments)} failed:\n{finished.stdout}{finished.stderr}")
    return finished.stdout + finished.stderr
