"""Reading ahead: Postgres looks for the next rows while this process works on those it has."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from contextvars import copy_context
from itertools import batched
from queue import Empty, Full, Queue

from django.db import connection, transaction

BATCH = 250
BATCHES = 4
PAUSE_SECONDS = 0.2


def read_ahead[T](make: Callable[[], Iterable[T]]) -> Iterator[T]:
    """What `make` yields, made in a thread with a connection and a transaction of its own, some batches ahead.

    For what does not change under the reader, such as the log up to a position. Raises what `make` raises; the thread
    ends with the iterator.
    """
    queue: Queue[tuple[T, ...] | BaseException | None] = Queue(maxsize=BATCHES)
    is_over = threading.Event()

    def put(entry: tuple[T, ...] | BaseException | None) -> None:
        while not is_over.is_set():
            # Full is a reader that is slower: look whether it is over, and try again.
            with suppress(Full):
                queue.put(entry, timeout=PAUSE_SECONDS)
                break

    def produce() -> None:
        try:
            with transaction.atomic():
                for batch in batched(make(), BATCH):
                    put(batch)
                    if is_over.is_set():
                        return
            put(None)
        except BaseException as error:  # noqa: BLE001 - handed over to the reader, who raises it
            put(error)
        finally:
            connection.close()

    thread = threading.Thread(target=copy_context().run, args=[produce], name="read-ahead", daemon=True)
    thread.start()
    try:
        while (batch := _next(queue, thread)) is not None:
            if isinstance(batch, BaseException):
                raise batch
            yield from batch
    finally:
        is_over.set()
        thread.join()


def _next[T](
    queue: Queue[tuple[T, ...] | BaseException | None], thread: threading.Thread
) -> tuple[T, ...] | BaseException | None:
    while True:
        try:
            return queue.get(timeout=PAUSE_SECONDS)
        except Empty:
            if not thread.is_alive() and queue.empty():
                raise RuntimeError("the thread that reads ahead is gone") from None
