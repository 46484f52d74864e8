"""What the web server serves."""

import os

# Before the settings are read: a web process opens a connection pool.
os.environ.setdefault("RUSTOK_PROCESS", "web")
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "rustok.settings")

from django.core.wsgi import get_wsgi_application

from rustok import child

# The server loads this in each of its workers: a worker whose server was killed must not keep the port.
child.die_with_parent()

application = get_wsgi_application()
