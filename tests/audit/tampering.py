"""What somebody could do to the log who is past its triggers, grants and policies: a superuser."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from apps.audit import hashing

Superuser = psycopg.Connection[tuple[Any, ...]]


@contextmanager
def unguarded(superuser: Superuser) -> Iterator[None]:
    """No trigger is asked."""
    superuser.execute("SET session_replication_role = replica")
    try:
        yield
    finally:
        superuser.execute("RESET session_replication_role")


def entry_at(superuser: Superuser, chain: uuid.UUID, sequence: int) -> uuid.UUID:
    row = superuser.execute(
        "SELECT entry_id FROM audit_position WHERE chain = %s AND sequence = %s", [chain, sequence]
    ).fetchone()
    assert row is not None
    return row[0]


def edit(superuser: Superuser, chain: uuid.UUID) -> None:
    superuser.execute(
        "UPDATE audit_entry SET actor = 'user:somebody-else' WHERE id = %s", [entry_at(superuser, chain, 3)]
    )


def edit_with_its_hash(superuser: Superuser, chain: uuid.UUID) -> None:
    """The hash needs no key: whoever can read the code can make a fitting one."""
    edit(superuser, chain)
    _rehash(superuser, entry_at(superuser, chain, 3))


def delete_in_the_middle(superuser: Superuser, chain: uuid.UUID) -> None:
    superuser.execute("DELETE FROM audit_entry WHERE id = %s", [entry_at(superuser, chain, 3)])


def delete_and_close_the_gap(superuser: Superuser, chain: uuid.UUID) -> None:
    delete_in_the_middle(superuser, chain)
    superuser.execute("DELETE FROM audit_position WHERE chain = %s AND sequence = 3", [chain])
    for sequence in range(4, 7):
        superuser.execute(
            "UPDATE audit_position SET sequence = sequence - 1 WHERE chain = %s AND sequence = %s", [chain, sequence]
        )


def swap_two(superuser: Superuser, chain: uuid.UUID) -> None:
    third, fourth = entry_at(superuser, chain, 3), entry_at(superuser, chain, 4)
    for sequence, entry_id in ((3, uuid.uuid4()), (4, third), (3, fourth)):
        superuser.execute(
            "UPDATE audit_position SET entry_id = %s WHERE chain = %s AND sequence = %s", [entry_id, chain, sequence]
        )


def insert_one(superuser: Superuser, chain: uuid.UUID) -> None:
    """An entry that claims to have been written long ago, with the transaction of an old one."""
    forged = uuid.uuid4()
    superuser.execute(
        """
        INSERT INTO audit_entry (id, tenant_id, occurred_at, actor, authority, action, object_type, object_id, changes,
                                 correlation_id, personal_digest, hash, xid)
        SELECT %s, tenant_id, occurred_at, 'user:framed', authority, action, object_type, object_id, changes,
               correlation_id, personal_digest, hash, xid FROM audit_entry WHERE id = %s
        """,
        [forged, entry_at(superuser, chain, 3)],
    )
    _rehash(superuser, forged)


def recompute_without_the_key(superuser: Superuser, chain: uuid.UUID) -> None:
    """Edit, and make the whole chain anew with a key of one's own under the old key's name."""
    edit_with_its_hash(superuser, chain)
    rows = superuser.execute(
        "SELECT sequence, entry_id, key_id, hash FROM audit_position JOIN audit_entry ON id = entry_id "
        "WHERE chain = %s ORDER BY sequence",
        [chain],
    ).fetchall()
    key = hashing.Key(rows[0][2], b"not the key")
    for sequence, entry_id, _, entry_hash in rows:
        mac = hashing.of_position(key, chain=chain, sequence=sequence, entry_id=entry_id, entry_hash=entry_hash)
        superuser.execute(
            "UPDATE audit_position SET mac = %s WHERE chain = %s AND sequence = %s", [mac, chain, sequence]
        )


def cut_the_end(superuser: Superuser, chain: uuid.UUID) -> None:
    """Everything of the last seal, so that what is left is a whole chain."""
    row = superuser.execute(
        "DELETE FROM audit_seal WHERE chain = %s AND number = 2 RETURNING first", [chain]
    ).fetchone()
    assert row is not None
    superuser.execute(
        "DELETE FROM audit_entry WHERE id IN (SELECT entry_id FROM audit_position WHERE chain = %s AND sequence >= %s)",
        [chain, row[0]],
    )
    superuser.execute("DELETE FROM audit_position WHERE chain = %s AND sequence >= %s", [chain, row[0]])


def forget_a_seal(superuser: Superuser, chain: uuid.UUID) -> None:
    superuser.execute("DELETE FROM audit_seal WHERE chain = %s AND number = 1", [chain])


def edit_what_is_personal(superuser: Superuser, chain: uuid.UUID) -> None:
    superuser.execute(
        "UPDATE audit_personal SET client_address = '192.0.2.66' WHERE entry_id = %s", [entry_at(superuser, chain, 3)]
    )


# The damage, what is told of it, and the place it is found at; None where no place can be named.
DAMAGES: list[tuple[Callable[[Superuser, uuid.UUID], None], str, int | None]] = [
    (edit, "edited", 3),
    (edit_with_its_hash, "moved", 3),
    (delete_in_the_middle, "deleted", 3),
    (delete_and_close_the_gap, "moved", 3),
    (swap_two, "moved", 3),
    (insert_one, "inserted", None),
    (recompute_without_the_key, "moved", 1),
    (cut_the_end, "cut", 5),
    (forget_a_seal, "deleted", 1),
    (edit_what_is_personal, "personal", 3),
]


def _rehash(superuser: Superuser, entry_id: uuid.UUID) -> None:
    names = (
        "id", "tenant_id", "occurred_at", "actor", "authority", "action", "object_type", "object_id", "changes",
        "correlation_id", "personal_digest",
    )  # fmt: skip
    row = superuser.execute(f"SELECT {', '.join(names)} FROM audit_entry WHERE id = %s", [entry_id]).fetchone()
    assert row is not None
    fitting = hashing.of_entry(**dict(zip(names, row, strict=True)))
    superuser.execute("UPDATE audit_entry SET hash = %s WHERE id = %s", [fitting, entry_id])
