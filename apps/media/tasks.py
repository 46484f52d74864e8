"""Celery's share of the media library: looking for files that nothing tells of."""

from __future__ import annotations

from django.utils import timezone

from apps.kernel.tasks import platform_task
from apps.media import sweeping


@platform_task("media.sweep")
def sweep() -> int:
    """Delete files of assets that are not there; returns how many."""
    return sweeping.sweep(now=timezone.now())
