"""What management commands share: anticipated errors as one readable line and a non-zero exit code."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate

from django.core.management.base import BaseCommand, CommandError
from django.db import InterfaceError, OperationalError

from apps.kernel import errors


def readable_errors[C: BaseCommand, **P](
    handle: Callable[Concatenate[C, P], Any],
) -> Callable[Concatenate[C, P], Any]:
    """Let `handle` raise domain errors; the terminal shows the message, the exit code is 1.

    A database that is lost on the way is anticipated too: what was committed stays.
    """

    @wraps(handle)
    def wrapped(self: C, /, *args: P.args, **options: P.kwargs) -> Any:
        try:
            return handle(self, *args, **options)
        except errors.DomainError as error:
            raise CommandError(error.detail) from error
        except (OperationalError, InterfaceError) as error:
            raise CommandError(_without_database(error)) from error

    return wrapped


def _without_database(error: Exception) -> str:
    """PostgreSQL gives a reason of its own, such as a full disk or a deadlock, unless the connection broke."""
    state = getattr(error.__cause__, "sqlstate", None) or ""
    is_lost = not state or state.startswith(("08", "57P"))
    reason = (str(error).strip().splitlines() or ["no reason given"])[0]
    return (
        f"the database {'went away' if is_lost else 'could not go on'} ({reason}); "
        "what was committed stays, run the command again to finish."
    )
