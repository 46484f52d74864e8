"""Failpoints: places where a test has the process killed, as the kernel or an operator might. Off everywhere else."""

from __future__ import annotations

import os
import signal

from django.conf import settings

# What has happened at the moment of the kill, and what has not.
POINTS = {
    "append.before_commit": "the events are written, the transaction is open",
    "append.after_commit": "the events are committed, no nudge was sent",
    "idempotency.before_commit": "effect and answer are written, the transaction is open",
    "idempotency.after_commit": "effect and answer are committed, the client has not heard of it",
    "jobs.before_commit": "an operation and its outcome are written, the transaction is open",
    "jobs.after_commit": "operation and outcome are committed, the next one was not begun",
    "sequencer.before_commit": "positions and tick are written, the transaction is open",
    "sequencer.after_commit": "the events have positions, nobody was told",
    "relay.after_publish_before_move": "the bus has the messages, the cursor stands before them",
    "runner.after_apply_before_move": "the rows are written, the checkpoint stands before them",
    "runner.after_move_before_commit": "rows and checkpoint are written, the transaction is open",
    "effects.after_write": "the effects are planned, the transaction is open",
    "sending.after_claim": "tasks are claimed, none is performed",
    "sending.after_perform_before_record": "the outside was told, the record says it was not",
    "audit.before_commit": "entries are sealed, the transaction is open",
    "audit.after_commit": "entries are sealed, the checkpoint was not written",
    "rebuild.after_begin": "an empty generation is there",
    "rebuild.before_mark": "lanes are folded, the transaction with their mark is open",
    "rebuild.after_lanes": "some lanes are folded and marked",
    "rebuild.after_fold": "all lanes are folded",
    "rebuild.after_index": "the indexes are there, the generation follows the log",
    "rebuild.after_catch_up": "it is where the live one is",
    "rebuild.after_verify": "it is ready",
    "rebuild.before_swap_commit": "the views point at it, the transaction is open",
    "rebuild.after_swap": "readers see it, old tables are not dropped",
    "export.after_part": "some parts of the archive are written, it does not have its name yet",
    "import.after_rows": "some tables are written, the transaction is open",
    "import.before_commit": "rows and history are written, the transaction is open",
    "purge.after_batch": "some rows are deleted and counted",
    "purge.before_archive_swap": "an archive of the log is written anew, readers see the old one",
    "purge.after_archive_swap": "readers see the new archive, the old one is not removed",
    "purge.before_receipt": "everything is deleted, nobody has proved it",
}


def reach(name: str) -> None:
    """Kill this process, without any goodbye, when RUSTOK_FAILPOINT names this place."""
    if name == settings.FAILPOINT:
        os.kill(os.getpid(), signal.SIGKILL)
