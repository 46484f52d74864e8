"""Limits for whoever asks from one address hundreds of times a minute and is not about limits."""

from __future__ import annotations

from apps.kernel.limits import policies

# For RUSTOK_LIMITS.
OUT_OF_REACH = ",".join(f"{name}=1000000" for name in policies.Limits.model_fields)
