"""Celery's share of the audit log: sealing and dropping what is old enough."""

from __future__ import annotations

import time

import structlog
from django.conf import settings
from django.utils import timezone
from prometheus_client import Gauge

from apps.audit import checkpoints, queries, retention, sealing
from apps.kernel import errors
from apps.kernel.tasks import platform_task

log = structlog.get_logger(__name__)

SEAL_AGE = Gauge(
    "rustok_audit_seal_age_seconds",
    "Age of the oldest entry without a seal; 0 when all have one.",
    multiprocess_mode="mostrecent",
)
UNSEALED = Gauge("rustok_audit_unsealed_entries", "Entries without a seal.", multiprocess_mode="mostrecent")


@platform_task("audit.seal")
def seal() -> int:
    """Seal what is committed, write the checkpoint, tell what is left. Right if it runs zero, one or many times."""
    sealed = sealing.drain(now=timezone.now, deadline=time.monotonic() + settings.EVENTS_TIME_SLICE_SECONDS)
    _write_checkpoint()
    count, age_seconds = queries.measure_unsealed(now=timezone.now())
    UNSEALED.set(count)
    SEAL_AGE.set(age_seconds)
    return sealed


def _write_checkpoint() -> None:
    """What is sealed stays sealed when the file can't be written; the next run writes what this one could not."""
    try:
        behind = checkpoints.export()
    except (OSError, errors.DomainError) as error:
        log.error("audit.checkpoint_not_written", path=str(checkpoints.path()), reason=str(error))  # noqa: TRY400 - the reason says it all
        return
    for found in behind:
        log.error("audit.behind_its_checkpoint", chain=str(found.chain), number=found.number)


@platform_task("audit.prune")
def prune() -> None:
    """Drop sealed entries that are older than RUSTOK_AUDIT_KEEP_DAYS; nothing without it."""
    if settings.AUDIT_KEEP_DAYS is None:
        return
    dropped = retention.prune(now=timezone.now(), keep_days=settings.AUDIT_KEEP_DAYS)
    if dropped:
        log.info("audit.pruned", entries=dropped, keep_days=settings.AUDIT_KEEP_DAYS)
