"""A cache of two levels: this process, then Valkey, then the loader. docs/explanation/tenant-resolution.md

two_levels   what a caller uses          memory      level 1, in the process
flights      one load per process        shared      level 2, in Valkey, with generations and the lock between processes
listening    hears of invalidations      measures    what Prometheus is told
"""

from __future__ import annotations

from apps.kernel.cache.two_levels import Cache, Policy, forget_process

__all__ = ["Cache", "Policy", "forget_process"]
