"""What an answer tells about limits: the customary headers, and those of the IETF draft `RateLimit header fields`."""

from __future__ import annotations

import math
from collections.abc import Mapping

from django.http import HttpResponse

from apps.kernel.limits.policies import WINDOW_SECONDS, Verdict

RETRY_AFTER = "Retry-After"
# Every header there is, with what the documentation of the API says about it.
DESCRIPTIONS: Mapping[str, str] = {
    "X-RateLimit-Limit": "Most requests in any 60 seconds by the policy that is nearest to its limit.",
    "X-RateLimit-Remaining": "What is left of it.",
    "X-RateLimit-Reset": "Seconds until more of it is left; until then no more than `X-RateLimit-Remaining`.",
    "RateLimit-Policy": 'The policies that count: `"<name>";q=<requests>;w=<seconds>`, the nearest to its limit first.',
    "RateLimit": 'Where the nearest stands: `"<name>";r=<remaining>;t=<seconds until more is left>`.',
}
RETRY_AFTER_DESCRIPTION = "Seconds after which the request is admitted, if none of the same client came in between."


def describe(verdict: Verdict) -> dict[str, str]:
    """The headers of a verdict. On a refusal `Retry-After` and the resets are the same."""
    told = verdict.told
    if not told:
        return {}
    tightest = told[0]
    reset = math.ceil(tightest.seconds) if verdict.is_admitted else verdict.retry_after_seconds
    described = {
        "X-RateLimit-Limit": str(tightest.charge.limit),
        "X-RateLimit-Remaining": str(tightest.remaining),
        "X-RateLimit-Reset": str(reset),
        "RateLimit-Policy": ", ".join(
            f'"{standing.charge.policy}";q={standing.charge.limit};w={WINDOW_SECONDS}' for standing in told
        ),
        "RateLimit": f'"{tightest.charge.policy}";r={tightest.remaining};t={reset}',
    }
    if not verdict.is_admitted:
        described[RETRY_AFTER] = str(reset)
    return described


def put(response: HttpResponse, verdict: Verdict) -> None:
    """Tell the client, unless a cache may give the answer to others, whom it would tell about this one."""
    if verdict.is_admitted and _is_for_all(response):
        return
    for name, value in describe(verdict).items():
        response[name] = value


def _is_for_all(response: HttpResponse) -> bool:
    directives = {part.strip().partition("=")[0].lower() for part in response.get("Cache-Control", "").split(",")}
    return not directives.isdisjoint({"public", "s-maxage"})
