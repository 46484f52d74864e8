"""Recording: an entry exists if and only if the transaction that did the thing commits. The door for every other app.

No lock is taken and nothing read. In a unit of work the entries of a transaction are one statement before its commit.
"""

from __future__ import annotations

import os
import uuid
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import orjson
from django.db import connection, transaction
from django.utils import timezone

from apps.audit import hashing, redacting
from apps.events import registry
from apps.kernel import context, ids, isolation, validation
from apps.outbox import append

# In the database because plans are kept there. migrations/0001
RECORD = "SELECT audit_record(%s::json)"


class TransactionRequired(RuntimeError):
    """Something was to be recorded outside a transaction: the entry could be there without what it tells of."""


@dataclass(slots=True)
class Run:
    """Something that changes many rows and is told as one: `counts` are the actions done by now, `result` its own."""

    tenant_id: uuid.UUID | None
    counts: Counter[str] = field(default_factory=Counter)
    result: dict[str, Any] = field(default_factory=dict)


_run: ContextVar[Run | None] = ContextVar("rustok_audit_run", default=None)


def record(
    *,
    action: str,
    tenant_id: uuid.UUID | None,
    object_type: str,
    object_id: object = "",
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    redact: Collection[str] = (),
    personal: Collection[str] = (),
) -> None:
    """Write down, in the caller's transaction, what the one in the context did.

    `action` is `module.entity.verb` or `resource.verb` in the past; `tenant_id` None is the installation; `before` and
    `after` are the fields that may differ. Fields that look secret are covered, and so are those in `redact`; those in
    `personal` go where they can be erased. Within a `run` it is only counted. Raises TransactionRequired.
    """
    if not connection.in_atomic_block:
        raise TransactionRequired("record inside the transaction that makes the change")
    if (run := _run.get()) is not None and run.tenant_id == tenant_id:
        if not append.write_with(_count, (run, action)):
            _count([(run, action)])
        return
    changes, apart = redacting.difference(before or {}, after or {}, redact=redact, personal=personal)
    entry = _entry(tenant_id, action, object_type, str(object_id), changes, apart)
    if not append.write_with(_write, entry):
        _write([entry])


def record_event(
    payload: registry.Payload,
    *,
    tenant_id: uuid.UUID,
    aggregate_type: str,
    aggregate_id: uuid.UUID,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """The entry for a change that has an event: its name is the action, its aggregate the object.

    Without `after` the payload's fields are; `old_x` beside `new_x` are before and after of `x`.
    """
    if is_counted_only(tenant_id) or after is not None:
        told: tuple[Mapping[str, Any], Mapping[str, Any]] = before or {}, after or {}
    else:
        told = _told_by(payload, before or {})
    record(
        action=registry.type_of(payload).name,
        tenant_id=tenant_id,
        object_type=aggregate_type,
        object_id=aggregate_id,
        before=told[0],
        after=told[1],
    )


def record_operation(*, action: str, consumer: str, subject: str, reason: str) -> None:
    """The entry for what an operator did to a consumer."""
    after = {"subject": subject or None, "reason": reason or None}
    verb = action.replace(" ", "_")
    record(action=f"events.consumer.{verb}", tenant_id=None, object_type="consumer", object_id=consumer, after=after)


def is_counted_only(tenant_id: uuid.UUID) -> bool:
    """Whether a `run` is under way, so that finding out what was there before is wasted."""
    run = _run.get()
    return run is not None and run.tenant_id == tenant_id


@contextmanager
def run(*, action: str, tenant_id: uuid.UUID | None, object_type: str, object_id: object = "") -> Iterator[Run]:
    """Tell an import or the like as one: `<action>.started` before, and `.finished` or `.stopped` with counts after.

    A killed run has left its first entry. What it does within is counted, not told one by one.
    """
    told: dict[str, Any] = {"tenant_id": tenant_id, "object_type": object_type, "object_id": object_id}
    with transaction.atomic():
        record(action=f"{action}.started", **told)
    ending, failure = "stopped", None
    under_way = Run(tenant_id)
    try:
        with counting(tenant_id, under_way):
            yield under_way
        ending = "finished"
    except BaseException as error:
        failure = type(error).__name__
        raise
    finally:
        after = {"actions": dict(under_way.counts) or None, "stopped_by": failure, **under_way.result}
        if not connection.needs_rollback:
            with transaction.atomic():
                record(action=f"{action}.{ending}", after=after, **told)


@contextmanager
def counting(tenant_id: uuid.UUID | None, under_way: Run | None = None) -> Iterator[Run]:
    """A part of something that is told as one elsewhere: what is done within is counted."""
    found = under_way or Run(tenant_id)
    token = _run.set(found)
    try:
        yield found
    finally:
        _run.reset(token)


def _told_by(payload: registry.Payload, before: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    old, new = dict(before), {name: getattr(payload, name) for name in type(payload).model_fields}
    for name in [name for name in new if name.startswith("old_") and f"new_{name[4:]}" in new]:
        old[name[4:]], new[name[4:]] = new.pop(name), new.pop(f"new_{name[4:]}")
    return old, new


def _entry(
    tenant_id: uuid.UUID | None,
    action: str,
    object_type: str,
    object_id: str,
    changes: dict[str, Any],
    apart: dict[str, Any],
) -> dict[str, Any]:
    """The row, with bytes in hexadecimal as they travel."""
    acting, now, entry_id = context.current(), timezone.now(), ids.new_id()
    personal = {"client_address": acting.client_address, "changes": hashing.canonical(apart)}
    salt = os.urandom(16) if acting.client_address or apart else b""
    hashed: dict[str, Any] = {
        "id": entry_id,
        "tenant_id": tenant_id,
        "occurred_at": now,
        "actor": acting.actor,
        "authority": acting.authority,
        "action": action,
        "object_type": object_type,
        "object_id": object_id,
        "changes": hashing.canonical(changes),
        "correlation_id": acting.correlation_id,
        "personal_digest": hashing.of_personal(salt=salt, **personal) if salt else b"",
    }
    row = hashed | {"hash": hashing.of_entry(**hashed).hex(), "occurred_at": validation.to_text(now)}
    row["personal_digest"] = hashed["personal_digest"].hex()
    return row | ({"client_address": personal["client_address"], "personal": personal["changes"], "salt": salt.hex()})


def _write(entries: Sequence[Mapping[str, Any]]) -> None:
    with _showing({entry["tenant_id"] for entry in entries}), connection.cursor() as cursor:
        cursor.execute(RECORD, [orjson.dumps(entries).decode()])


def _showing(tenant_ids: set[uuid.UUID | None]) -> Any:
    """A row is written where it may be seen: in its tenant's rows, or in those of all."""
    if isolation.shows_all():
        return nullcontext()
    if len(tenant_ids) == 1 and (tenant_id := next(iter(tenant_ids))) is not None:
        return nullcontext() if isolation.shown() == str(tenant_id) else isolation.to_tenant(tenant_id)
    return isolation.all_tenants(reason="audit of the platform")


def _count(actions: Sequence[tuple[Run, str]]) -> None:
    for under_way, action in actions:
        under_way.counts[action] += 1
