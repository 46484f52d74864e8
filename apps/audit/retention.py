"""What leaves the log: a beginning that is old enough, a whole tenant, what is personal. Each is itself recorded."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

from django.db import connection, transaction

from apps.audit import hashing, models, recording
from apps.kernel import isolation

# Held by whoever verifies (shared) and whoever deletes: a chain stands still while it is read.
HOLD = "SELECT pg_advisory_xact_lock_shared(hashtextextended('audit.chain:' || %s::text, 0))"
HOLD_ALONE = "SELECT pg_advisory_xact_lock(hashtextextended('audit.chain:' || %s::text, 0))"
PURGED = "audit.log.purged"


def prune(*, now: datetime, keep_days: float) -> int:
    """Drop the entries under seals older than `keep_days`; returns how many. The newest seal of a chain always stays.

    The last seal that goes is kept as an anchor, bound by the key: what is left verifies from there.
    """
    oldest_kept = now - timedelta(days=keep_days)
    dropped = 0
    with isolation.all_tenants(reason="audit pruning"):
        for chain in models.Seal.objects.order_by().values_list("chain", flat=True).distinct():
            dropped += _prune_chain(chain, oldest_kept, now)
    return dropped


def purge_tenant(*, tenant_id: uuid.UUID, reason: str) -> int:
    """Delete the tenant's whole log, in the caller's transaction or one of its own; returns how many entries it had.

    The platform's log tells it, with the last seal, which is how verification knows a purge from a theft.
    """
    with isolation.all_tenants(reason="audit purge of a tenant"), transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(HOLD_ALONE, [tenant_id])
            newest = models.Seal.objects.filter(chain=tenant_id).order_by("-number").first()
            cursor.execute("SELECT audit_purge(%s)", [tenant_id])
            count = int(cursor.fetchone()[0])
        recording.record(
            action=PURGED,
            tenant_id=None,
            object_type="tenant",
            object_id=tenant_id,
            before={"entries": count, "seal": bytes(newest.seal).hex() if newest else None},
            after={"reason": reason},
        )
    return count


def was_purged(chain: uuid.UUID, *, since: datetime) -> bool:
    """Whether the platform's log, which is verified as any other, tells that this tenant's was purged after `since`.

    What stands in the chain now began anew then.
    """
    with isolation.all_tenants(reason="audit purge of a tenant"):
        told = models.Entry.objects.filter(tenant_id=None, action=PURGED, object_id=str(chain))
        return told.filter(occurred_at__gte=since).exists()


def erase_personal(*, entry_ids: list[uuid.UUID], tenant_id: uuid.UUID | None, reason: str) -> int:
    """Erase what is personal in these entries; they verify all the same. Returns how many had something."""
    with transaction.atomic():
        erased, _ = models.Personal.objects.filter(entry_id__in=entry_ids, tenant_id=tenant_id).delete()
        recording.record(
            action="audit.personal.erased",
            tenant_id=tenant_id,
            object_type="audit",
            after={"entries": sorted(entry_ids), "reason": reason},
        )
    return erased


def _prune_chain(chain: uuid.UUID, oldest_kept: datetime, now: datetime) -> int:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(HOLD_ALONE, [chain])
        seals = models.Seal.objects.filter(chain=chain)
        newest = seals.order_by("-number").values_list("number", flat=True).first()
        old = seals.filter(sealed_at__lt=oldest_kept, number__lt=newest or 0).order_by("-number").first()
        if old is None:
            return 0
        key = hashing.current_key()
        seal = bytes(old.seal)
        models.Anchor.objects.create(
            chain=chain,
            number=old.number,
            last=old.last,
            seal=seal,
            mac=hashing.of_anchor(key, chain=chain, number=old.number, last=old.last, seal=seal),
            key_id=key.id,
            pruned_at=now,
        )
        cursor.execute("SELECT audit_prune(%s, %s)", [chain, old.number])
        count = int(cursor.fetchone()[0])
        recording.record(
            action="audit.log.pruned",
            tenant_id=None if chain == models.PLATFORM_CHAIN else chain,
            object_type="audit",
            before={"entries": count, "until": old.sealed_at},
        )
    return count
