import os

from django.conf import settings


def test_each_parallel_worker_has_its_own_valkey_databases():
    own = os.environ["RUSTOK_VALKEY_DATABASE"]
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")

    assert int(own) == (3 * (int(worker.removeprefix("gw")) + 1) if worker else 0)
    assert settings.VALKEY_URL.endswith(f"db={own}")
