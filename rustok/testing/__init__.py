"""What the tests of an app are made of, whether it lives in this checkout or outside of it.

plugin      pytest: servers, databases and fixtures      calling     somebody who calls the API in their roles
factories   tenants, people, goods, content, media       draining    everything that was asked for, now
contexts    in which tenant, and as whom                 recording   what was recorded, published and sent
limits      those of the API, out of the way             asserting   exactly these events, this many queries

How to use it: docs/how-to/test-an-app.md. Nothing that runs in production imports any of it.
"""
