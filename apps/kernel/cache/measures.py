"""What the caches tell Prometheus, by kind and, where both have it, by level: `memory` or `valkey`."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

MEMORY, VALKEY = "memory", "valkey"

_KIND_AND_LEVEL = ["kind", "level"]
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)

HITS = Counter("rustok_cache_hits_total", "Values found fresh.", _KIND_AND_LEVEL)
NEGATIVE_HITS = Counter("rustok_cache_negative_hits_total", "Known absences found fresh.", _KIND_AND_LEVEL)
MISSES = Counter("rustok_cache_misses_total", "Reads that found nothing fresh.", _KIND_AND_LEVEL)
STALE = Counter("rustok_cache_stale_served_total", "Stale values given out while or because no newer came.", ["kind"])
LOADS = Counter("rustok_cache_loads_total", "Loads from the source.", ["kind"])
LOAD_ERRORS = Counter("rustok_cache_load_errors_total", "Loads that failed.", ["kind"])
LOAD_SECONDS = Histogram("rustok_cache_load_seconds", "Duration of loads.", ["kind"], buckets=_SECONDS)
LOCK_WAIT_SECONDS = Histogram(
    "rustok_cache_lock_wait_seconds", "Waits for a load of another process.", ["kind"], buckets=_SECONDS
)
COALESCED = Counter("rustok_cache_coalesced_total", "Reads that took the result of another's load.", _KIND_AND_LEVEL)
INVALIDATIONS = Counter("rustok_cache_invalidations_total", "Groups dropped because of a change.", _KIND_AND_LEVEL)
REJECTED = Counter("rustok_cache_rejected_sets_total", "Values loaded before a change and refused.", _KIND_AND_LEVEL)
EVICTIONS = Counter("rustok_cache_evictions_total", "Entries dropped from memory for room.", ["kind"])
DEGRADED_READS = Counter("rustok_cache_degraded_reads_total", "Reads that had to do without Valkey.", ["kind"])
IS_DEGRADED = Gauge("rustok_cache_is_degraded", "1 while a process does without Valkey.", multiprocess_mode="livemax")
