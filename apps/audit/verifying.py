"""Verifying: every entry is what it was, where it was, and none is missing; else the first that is not is named.

Reads a chain in pages along its seals, in constant memory. docs/explanation/audit.md says what cannot be found.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from apps.audit import checkpoints, hashing, models, retention
from apps.audit.models import PLATFORM_CHAIN
from apps.kernel import isolation

PAGE = 2_000

_ENTRY = (
    "id", "tenant_id", "occurred_at", "actor", "authority", "action", "object_type", "object_id", "changes",
    "correlation_id", "personal_digest",
)  # fmt: skip
PLACES = f"""
SELECT p.sequence, p.entry_id, p.mac, p.key_id, e.hash, x.salt, x.client_address, x.changes,
       {", ".join(f"e.{name}" for name in _ENTRY)}
FROM audit_position p LEFT JOIN audit_entry e ON e.id = p.entry_id
     LEFT JOIN audit_personal x ON x.entry_id = p.entry_id
WHERE p.chain = %s AND p.sequence > %s AND p.sequence <= %s ORDER BY p.sequence LIMIT {PAGE}
"""  # noqa: S608 - constants
CHAINS = """
SELECT DISTINCT chain FROM audit_seal UNION SELECT DISTINCT chain FROM audit_position
UNION SELECT DISTINCT COALESCE(tenant_id, %s) FROM audit_entry ORDER BY 1
"""
# Each in one statement, so that a sealer at work is seen before or after its commit, not in between.
PLACES_WITHOUT_SEAL = """
SELECT p.sequence, p.entry_id FROM audit_position p
WHERE p.chain = %s AND p.sequence > %s
  AND NOT EXISTS (SELECT 1 FROM audit_seal s WHERE s.chain = p.chain AND s.last >= p.sequence)
ORDER BY p.sequence LIMIT 1
"""
PASSED_OVER = """
SELECT e.id FROM audit_horizon h, audit_entry e
WHERE e.tenant_id IS NOT DISTINCT FROM %s AND pg_visible_in_snapshot(e.xid, h.snap)
  AND NOT EXISTS (SELECT 1 FROM audit_position p WHERE p.entry_id = e.id)
ORDER BY e.id LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it was sealed. `entry` and `sequence` where it can be told which it is.

    `kind`: edited, deleted, inserted, moved, seal, cut, personal, or key, which is no proof of tampering: the key is
    not among those configured.
    """

    chain: uuid.UUID
    kind: str
    problem: str
    sequence: int | None = None
    entry: uuid.UUID | None = None

    def __str__(self) -> str:
        whose = "the platform" if self.chain == PLATFORM_CHAIN else f"tenant {self.chain}"
        return f"{whose}: {self.problem}"


@dataclass(slots=True)
class Verified:
    """How much was looked at, and what is wrong: the first thing of each chain."""

    chains: int = 0
    entries: int = 0
    seals: int = 0
    erased: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def is_tampered(self) -> bool:
        return any(finding.kind != "key" for finding in self.findings)


class _Found(Exception):
    """Ends the look at a chain."""

    def __init__(self, chain: uuid.UUID, kind: str, problem: str, **where: Any) -> None:
        super().__init__(problem)
        self.finding = Finding(chain, kind, problem, **where)


def verify(
    *,
    chain: uuid.UUID | None = None,
    since: datetime | None = None,
    checkpoint: Mapping[uuid.UUID, checkpoints.Checkpoint] | None = None,
    on_entry: Callable[[], None] = lambda: None,
) -> Verified:
    """Check one chain or all, from the first seal or the first made at or after `since`, against the checkpoint."""
    verified = Verified()
    marks = dict(checkpoint or {})
    with isolation.all_tenants(reason="audit verification"):
        wanted = [chain] if chain else sorted({*_chains(), *marks})
        for each in wanted:
            try:
                with transaction.atomic():
                    _execute(retention.HOLD, [each])
                    _verify_chain(each, since, marks.get(each), verified, on_entry)
            except _Found as found:
                verified.findings.append(found.finding)
            verified.chains += 1
    return verified


def _chains() -> list[uuid.UUID]:
    return [row[0] for row in _execute(CHAINS, [PLATFORM_CHAIN])]


def _verify_chain(
    chain: uuid.UUID,
    since: datetime | None,
    mark: checkpoints.Checkpoint | None,
    verified: Verified,
    on_entry: Callable[[], None],
) -> None:
    """1. Where it begins. 2. Every seal and what is under it. 3. What is under none. 4. Where it should end."""
    if mark and retention.was_purged(chain, since=datetime.fromisoformat(mark.sealed_at)):
        mark = None
    before = _beginning(chain, since)
    newest = models.Seal.objects.filter(chain=chain).order_by("-number").first()
    until = newest.last if newest else before.last
    places = _places(chain, before.last, until)
    for seal in _seals(chain, before.number):
        _follows(chain, before, seal)
        _verify_seal(chain, seal, places, verified, on_entry)
        before = seal
        if mark and seal.number == mark.number and bytes(seal.seal).hex() != mark.seal:
            raise _Found(chain, "cut", f"seal {seal.number} is not the one in the checkpoint: the chain was made anew")
    _nothing_beside(chain, before.last)
    if mark and before.number < mark.number:
        raise _Found(
            chain,
            "cut",
            f"the end was cut off: the checkpoint knows seal {mark.number} over {mark.last:,} entries, "
            f"the database ends with seal {before.number} and entry {before.last:,}",
            sequence=before.last + 1,
        )


def _beginning(chain: uuid.UUID, since: datetime | None) -> models.Seal:
    """What the first seal to look at has to follow: nothing, an anchor, or a seal before `since`."""
    nothing = models.Seal(chain=chain, number=0, last=0, seal=hashing.BEGINNING)
    seals = models.Seal.objects.filter(chain=chain).order_by("number")
    if since is not None:
        earlier = seals.filter(sealed_at__lt=since).last()
        if earlier is not None:
            return earlier
    anchor = models.Anchor.objects.filter(chain=chain).order_by("number").last()
    if anchor is None:
        return nothing
    expected = hashing.of_anchor(
        _key(chain, anchor.key_id), chain=chain, number=anchor.number, last=anchor.last, seal=bytes(anchor.seal)
    )
    if expected != bytes(anchor.mac):
        raise _Found(chain, "seal", f"the anchor at seal {anchor.number} was not made with the key")
    return models.Seal(chain=chain, number=anchor.number, last=anchor.last, seal=anchor.seal)


def _follows(chain: uuid.UUID, before: models.Seal, seal: models.Seal) -> None:
    if seal.number != before.number + 1 or seal.first != before.last + 1:
        raise _Found(
            chain,
            "deleted",
            f"after seal {before.number} (entries up to {before.last:,}) follows seal {seal.number} "
            f"(from {seal.first:,}): what was between is missing",
            sequence=before.last + 1,
        )
    if bytes(seal.previous) != bytes(before.seal):
        raise _Found(chain, "seal", f"seal {seal.number} does not continue seal {before.number}", sequence=seal.first)


def _verify_seal(
    chain: uuid.UUID,
    seal: models.Seal,
    places: Iterator[dict[str, Any]],
    verified: Verified,
    on_entry: Callable[[], None],
) -> None:
    key = _key(chain, seal.key_id)
    hashes = []
    for sequence in range(seal.first, seal.last + 1):
        place = next(places, None)
        if place is None or place["sequence"] != sequence:
            raise _Found(chain, "deleted", f"entry {sequence:,} is missing", sequence=sequence)
        hashes.append(_verify_entry(chain, place, verified))
        on_entry()
    expected = hashing.of_seal(
        key,
        chain=chain,
        number=seal.number,
        first=seal.first,
        previous=bytes(seal.previous),
        sealed_at=seal.sealed_at,
        hashes=hashes,
    )
    if expected != bytes(seal.seal):
        raise _Found(
            chain,
            "seal",
            f"seal {seal.number} over entries {seal.first:,} to {seal.last:,} was not made with the key",
            sequence=seal.first,
        )
    verified.seals += 1


def _verify_entry(chain: uuid.UUID, place: dict[str, Any], verified: Verified) -> bytes:
    """The entry's hash, found to be that of its fields and the one that was given this place."""
    sequence, entry_id = place["sequence"], place["entry_id"]
    where = {"sequence": sequence, "entry": entry_id}
    if place["hash"] is None:
        raise _Found(chain, "deleted", f"entry {entry_id} at {sequence:,} was deleted", **where)
    entry_hash = bytes(place["hash"])
    fields = {name: place[name] for name in _ENTRY} | {"personal_digest": bytes(place["personal_digest"])}
    if hashing.of_entry(**fields) != entry_hash:
        raise _Found(chain, "edited", f"entry {entry_id} at {sequence:,} was edited", **where)
    expected = hashing.of_position(
        _key(chain, place["key_id"]), chain=chain, sequence=sequence, entry_id=entry_id, entry_hash=entry_hash
    )
    if expected != bytes(place["mac"]):
        problem = f"entry {entry_id} at {sequence:,} is not the one that was sealed there"
        raise _Found(chain, "moved", problem, **where)
    _verify_personal(chain, place, verified, where)
    verified.entries += 1
    return entry_hash


def _verify_personal(chain: uuid.UUID, place: dict[str, Any], verified: Verified, where: dict[str, Any]) -> None:
    digest = bytes(place["personal_digest"])
    if place["salt"] is None:
        verified.erased += bool(digest)
        return
    found = hashing.of_personal(
        salt=bytes(place["salt"]), client_address=place["client_address"], changes=place["personal_changes"]
    )
    if found != digest:
        problem = f"what is personal of entry {place['entry_id']} at {place['sequence']:,} was edited"
        raise _Found(chain, "personal", problem, **where)


def _nothing_beside(chain: uuid.UUID, last: int) -> None:
    if found := _execute(PLACES_WITHOUT_SEAL, [chain, last]):
        sequence, entry_id = found[0]
        problem = f"entry {entry_id} at {sequence:,} stands under no seal: it was inserted, or its seal deleted"
        raise _Found(chain, "inserted", problem, sequence=sequence, entry=entry_id)
    if found := _execute(PASSED_OVER, [None if chain == PLATFORM_CHAIN else chain]):
        entry_id = found[0][0]
        problem = f"entry {entry_id} has no place though the sealer passed it: it was inserted, or its place deleted"
        raise _Found(chain, "inserted", problem, entry=entry_id)


def _key(chain: uuid.UUID, key_id: str) -> hashing.Key:
    key = hashing.find_key(key_id)
    if key is None:
        raise _Found(
            chain, "key", f"it was sealed with the key {key_id}, which is not here: add it to RUSTOK_AUDIT_OLD_KEYS"
        )
    return key


def _seals(chain: uuid.UUID, after: int) -> Iterator[models.Seal]:
    while True:
        page = list(models.Seal.objects.filter(chain=chain, number__gt=after).order_by("number")[:PAGE])
        yield from page
        if len(page) < PAGE:
            return
        after = page[-1].number


def _places(chain: uuid.UUID, after: int, until: int) -> Iterator[dict[str, Any]]:
    names = ("sequence", "entry_id", "mac", "key_id", "hash", "salt", "client_address", "personal_changes", *_ENTRY)
    while True:
        page = _execute(PLACES, [chain, after, until])
        for row in page:
            yield dict(zip(names, row, strict=True))
        if len(page) < PAGE:
            return
        after = page[-1][0]


def _execute(statement: str, parameters: list[Any]) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        rows: list[Any] = cursor.fetchall()
    return rows
