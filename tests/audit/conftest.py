from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(autouse=True)
def checkpoint_dir(settings: Any, tmp_path: Path) -> Path:
    """A checkpoint of the test's own: the platform's chain begins anew with every emptied database."""
    settings.AUDIT_CHECKPOINT_DIR = tmp_path / "audit"
    return tmp_path / "audit"
