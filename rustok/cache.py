"""Django's own Redis cache, counted by django-prometheus.

django-prometheus has such a class too, but importing it needs the django-redis package.
"""

from typing import Any

from django.core.cache.backends.redis import RedisCache
from django_prometheus.cache.metrics import (
    django_cache_get_total,
    django_cache_hits_total,
    django_cache_misses_total,
)


class ValkeyCache(RedisCache):
    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        django_cache_get_total.labels(backend="valkey").inc()
        missing = object()
        value = super().get(key, default=missing, version=version)
        (django_cache_misses_total if value is missing else django_cache_hits_total).labels(backend="valkey").inc()
        return default if value is missing else value
