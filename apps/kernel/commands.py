"""What management commands share: anticipated errors as one readable line and a non-zero exit code."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate

from django.core.management.base import BaseCommand, CommandError

from apps.kernel import errors


def readable_errors[C: BaseCommand, **P](
    handle: Callable[Concatenate[C, P], Any],
) -> Callable[Concatenate[C, P], Any]:
    """Let `handle` raise domain errors; the terminal shows the message, the exit code is 1."""

    @wraps(handle)
    def wrapped(self: C, /, *args: P.args, **options: P.kwargs) -> Any:
        try:
            return handle(self, *args, **options)
        except errors.DomainError as error:
            raise CommandError(error.detail) from error

    return wrapped
