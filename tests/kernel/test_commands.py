"""Management commands: what goes wrong is one line, not a traceback."""

from __future__ import annotations

import io
import signal
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.core.management.base import BaseCommand
from django.db import OperationalError, connection, transaction

from apps.kernel.commands import readable_errors


def ending_in(work: Callable[[], Any], *, code: int = 1) -> str:
    class Command(BaseCommand):
        tenancy = "public"

        @readable_errors
        def handle(self, *args: Any, **options: Any) -> None:
            work()

    with pytest.raises(CommandError) as ended:
        call_command(Command(stdout=io.StringIO()))
    assert ended.value.returncode == code
    return str(ended.value)


def run(sql: str) -> Callable[[], Any]:
    def work() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(sql)

    return work


def test_ctrl_c_is_exit_code_130_and_no_traceback() -> None:
    message = ending_in(lambda: signal.raise_signal(signal.SIGINT), code=130)

    assert message == "interrupted; what was committed stays."


@pytest.mark.usefixtures("committed_db")
def test_a_lost_database_is_one_line_that_says_how_to_go_on() -> None:
    message = ending_in(run("SELECT pg_terminate_backend(pg_backend_pid())"))
    connection.close()

    assert message.startswith("the database went away (terminating connection")
    assert message.endswith("); what was committed stays, run the command again to finish.")
    assert "\n" not in message


@pytest.mark.usefixtures("committed_db")
def test_a_database_that_is_there_is_not_said_to_be_lost() -> None:
    message = ending_in(run("SET LOCAL statement_timeout = 1; SELECT pg_sleep(5)"))

    assert message.startswith("the database could not go on (canceling statement")


def test_a_connection_that_breaks_without_a_word_is_a_lost_database() -> None:
    def work() -> None:
        raise OperationalError("the connection is lost\nin many lines") from psycopg.OperationalError()

    assert "went away (the connection is lost);" in ending_in(work)
