"""What the limits tell Prometheus."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

DECISIONS = Counter(
    "rustok_limits_decisions_total",
    "Requests by the policy that decided, the tightest of those that admitted; `store` is valkey, local or memory.",
    ["policy", "decision", "store"],
)
IS_DEGRADED = Gauge(
    "rustok_limits_is_degraded", "1 while a process limits by itself, without Valkey.", multiprocess_mode="livemax"
)
