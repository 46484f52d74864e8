#!/usr/bin/env python3
"""Django's command line, from any directory. Starts or finds the embedded servers for commands that need them."""

import os
import sys

# Written for old Pythons too, so that they get a sentence and not a syntax error.
if sys.version_info < (3, 12):  # noqa: UP036
    sys.exit(
        "RusToK needs Python 3.12 or newer, and this is %d.%d.\n" % sys.version_info[:2]  # noqa: UP031
        + "Run `make env`, then use .venv/bin/python manage.py ..."
    )

CHECKOUT = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - before anything may be imported

# Their system checks included, they read neither database nor Valkey, or look after the servers themselves.
WITHOUT_SERVERS = {
    "collectstatic",
    "compilemessages",
    "dev",
    "diffsettings",
    "docs_reference",
    "doctor",
    "events_schema",
    "findstatic",
    "help",
    "makemessages",
    "messages",
    "new_app",
    "openapi",
    "services",
    "startapp",
    "version",
}


def main() -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "rustok.settings")
    sys.path[:1] = [CHECKOUT]
    try:
        from django.core.exceptions import ImproperlyConfigured
        from django.core.management import execute_from_command_line
        from django.db import InterfaceError, OperationalError

        from rustok import environment, servers
    except ModuleNotFoundError as error:
        sys.exit(
            f"{error.name} is not installed in {sys.executable}.\nRun `make env`, then use .venv/bin/python manage.py …"
        )

    try:
        environment.current()
        if needs_servers(sys.argv[1:]):
            servers.ensure_started()
    except (environment.EnvironmentInvalid, servers.ServersError) as error:
        print(error, file=sys.stderr)
        return 2
    try:
        execute_from_command_line(sys.argv)
    except (OperationalError, InterfaceError) as error:
        # Django's checks ask the database too, before a command could say it in its own words.
        if "--traceback" in sys.argv:
            raise
        print(without_database(error), file=sys.stderr)
        return 2
    except ImproperlyConfigured as error:
        # A role of the database that row policies would not hold, above all.
        if "--traceback" in sys.argv:
            raise
        print(error, file=sys.stderr)
        return 2
    return 0


def without_database(error: Exception) -> str:
    reason = (str(error).strip().splitlines() or ["no reason given"])[0]
    return (
        f"The database cannot be used ({reason}). See that it runs and that DATABASE_URL, where it is set, leads to "
        "it, and run the command again; what was committed stays."
    )


def needs_servers(arguments: list[str]) -> bool:
    if not arguments or arguments[0].startswith("-") or {"-h", "--help"} & set(arguments):
        return False
    command = arguments[0]
    return command not in WITHOUT_SERVERS and not command.startswith("docs_")


if __name__ == "__main__":
    sys.exit(main())
