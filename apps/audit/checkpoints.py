"""Checkpoints: the newest seal of every chain in a file outside the database, by which a cut tail is found."""

from __future__ import annotations

import fcntl
import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
from django.conf import settings
from django.db.models import Max

from apps.audit import models, retention
from apps.kernel import errors

NAME = "checkpoint.json"


class CheckpointUnreadable(errors.DomainError):
    """The file is no checkpoint."""

    code = "audit_checkpoint_unreadable"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A chain ended with this seal, `seal` in hexadecimal; `last` is the place of its last entry."""

    chain: uuid.UUID
    number: int
    last: int
    seal: str
    sealed_at: str


def path() -> Path:
    """Where this installation writes its checkpoint."""
    return Path(settings.AUDIT_CHECKPOINT_DIR) / NAME


def export() -> list[Checkpoint]:
    """Bring the file up to the newest seals; returns what stands in it and the database no longer goes as far as.

    Nothing in the file is moved back, but for a tenant that was purged and came again: that a chain has become shorter
    is what it is for.
    """
    path().parent.mkdir(parents=True, exist_ok=True)
    with _alone():
        ordinal, known = _read(path()) if path().exists() else (0, {})
        newest = models.Seal.objects.aggregate(newest=Max("ordinal"))["newest"] or 0
        if newest == ordinal:
            return []
        behind = []
        # A lower number than the file's: the database is another one, or an older one.
        for found in _newest_since(ordinal if newest > ordinal else 0):
            before = known.get(found.chain)
            if before and _is_behind(found, before):
                behind.append(before)
            else:
                known[found.chain] = found
        _write(newest, known)
    return behind


def read(file: Path) -> dict[uuid.UUID, Checkpoint]:
    """The checkpoint by chain. Raises CheckpointUnreadable."""
    return _read(file)[1]


def _newest_since(ordinal: int) -> Iterator[Checkpoint]:
    """The newest seal of each chain that has one after this one."""
    seals = models.Seal.objects.filter(ordinal__gt=ordinal)
    for seal in seals.order_by("chain", "-number").distinct("chain").iterator(chunk_size=1000):
        yield of(seal)


def _is_behind(found: Checkpoint, before: Checkpoint) -> bool:
    is_shorter = found.number < before.number or (found.number == before.number and found != before)
    return is_shorter and not retention.was_purged(before.chain, since=datetime.fromisoformat(before.sealed_at))


def of(seal: models.Seal) -> Checkpoint:
    return Checkpoint(seal.chain, seal.number, seal.last, bytes(seal.seal).hex(), seal.sealed_at.isoformat())


def _read(file: Path) -> tuple[int, dict[uuid.UUID, Checkpoint]]:
    try:
        found = orjson.loads(file.read_bytes())
        chains = [Checkpoint(**entry | {"chain": uuid.UUID(entry["chain"])}) for entry in found["chains"]]
        return int(found["ordinal"]), {checkpoint.chain: checkpoint for checkpoint in chains}
    except OSError as error:
        raise CheckpointUnreadable(f"{file} can't be read: {error.strerror}.") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise CheckpointUnreadable(f"{file} is not a checkpoint written by audit.seal.") from error


def _write(ordinal: int, chains: Mapping[uuid.UUID, Checkpoint]) -> None:
    content: dict[str, Any] = {"ordinal": ordinal, "chains": [asdict(chains[chain]) for chain in sorted(chains)]}
    temporary = path().with_suffix(".new")
    with temporary.open("wb") as file:
        file.write(orjson.dumps(content, option=orjson.OPT_INDENT_2))
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path())


@contextmanager
def _alone() -> Iterator[None]:
    with path().with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
