"""What the web server serves."""

import os

is_supervised = "RUSTOK_PROCESS" in os.environ
# Before the settings are read: a web process opens a connection pool.
os.environ.setdefault("RUSTOK_PROCESS", "web")
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "rustok.settings")

from django.core.wsgi import get_wsgi_application  # noqa: E402

from rustok import child, starting  # noqa: E402

if is_supervised:
    # The server loads this in each of its workers: a worker whose server was killed must not keep the port.
    child.die_with_program()

starting.refuse_powerful_role()
application = get_wsgi_application()
