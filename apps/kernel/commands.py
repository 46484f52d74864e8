"""What management commands share: anticipated errors as one readable line and a non-zero exit code."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, Concatenate

from django.core.management.base import BaseCommand, CommandError
from django.db import InterfaceError, OperationalError

from apps.kernel import errors, isolation

INTERRUPTED = 130  # as shells have it: 128 and the number of SIGINT


def readable_errors[C: BaseCommand, **P](
    handle: Callable[Concatenate[C, P], Any],
) -> Callable[Concatenate[C, P], Any]:
    """Let `handle` raise domain errors; the terminal shows the message, the exit code is 1.

    The command says in `tenancy` whose rows it works on: "platform" for those of all tenants, "tenant" for those of
    one, whose scope it enters itself, "public" for nobody's. A database that is lost on the way is anticipated too:
    what was committed stays.
    """

    @wraps(handle)
    def wrapped(self: C, /, *args: P.args, **options: P.kwargs) -> Any:
        try:
            with _shown_to(self):
                return handle(self, *args, **options)
        except errors.DomainError as error:
            raise CommandError(error.detail) from error
        except (OperationalError, InterfaceError) as error:
            raise CommandError(_without_database(error)) from error
        except KeyboardInterrupt:
            raise CommandError("interrupted; what was committed stays.", returncode=INTERRUPTED) from None

    return wrapped


@contextmanager
def _shown_to(command: BaseCommand) -> Iterator[None]:
    if command.tenancy != "platform":  # type: ignore[attr-defined] # every command of ours says it, a test looks
        yield
        return
    with isolation.all_tenants(reason=f"command {type(command).__module__.rpartition('.')[2]}"):
        yield


@contextmanager
def interruptible(so_far: Callable[[], str]) -> Iterator[None]:
    """Let Ctrl-C end the command with exit code 130 and a message: `so_far` tells how far it came, without a full stop.

    For work in batches that can be done again: what is in is found to be there.
    """
    try:
        yield
    except KeyboardInterrupt:
        raise CommandError(f"interrupted; {so_far()}. Run it again to go on.", returncode=INTERRUPTED) from None


def _without_database(error: Exception) -> str:
    """PostgreSQL gives a reason of its own, such as a full disk or a deadlock, unless the connection broke."""
    state = getattr(error.__cause__, "sqlstate", None) or ""
    is_lost = not state or state.startswith(("08", "57P"))
    reason = (str(error).strip().splitlines() or ["no reason given"])[0]
    return (
        f"the database {'went away' if is_lost else 'could not go on'} ({reason}); "
        "what was committed stays, run the command again to finish."
    )
