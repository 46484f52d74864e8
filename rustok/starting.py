"""What a process that serves looks at before it begins: `python -m rustok.starting PROGRAM ARGUMENTS…` looks, and then
becomes the program.

A database role that row policies would not hold ends it there, in one line. A database that does not answer is another
matter: the process begins and waits for it, and the role is looked at when the first connection comes about.
"""

import os
import sys
from dataclasses import replace

import psycopg

from apps.kernel.database import roles
from rustok import servers
from rustok.environment import EnvironmentInvalid

CONNECT_TIMEOUT_SECONDS = 5
REFUSED = 2  # as manage.py ends


def refuse_powerful_role() -> None:
    """End this process where its database role could read past the row policies."""
    try:
        facts = servers.connection_facts().database
        # Past Django: nothing may stay open where the process is about to fork.
        patient = replace(facts, options={"connect_timeout": str(CONNECT_TIMEOUT_SECONDS)} | facts.options)
        with patient.connect() as connection, connection.cursor() as cursor:
            roles.refuse_powerful(cursor)
    except psycopg.OperationalError:
        return
    except (roles.RoleTooPowerful, EnvironmentInvalid) as refusal:
        print(refusal, file=sys.stderr)
        sys.exit(REFUSED)


if __name__ == "__main__":
    refuse_powerful_role()
    os.execv(sys.executable, [sys.executable, "-m", *sys.argv[1:]])  # noqa: S606 - the caller's own command
