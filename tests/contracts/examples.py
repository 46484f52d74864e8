"""What the OpenAPI document shows as examples: the story that was told, without what is new each time it is."""

from __future__ import annotations

import json
import re
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings

from apps.kernel import ids
from tests.contracts.telling import Step, Teller

FILE = Path(settings.API_EXAMPLES)
# When the story is said to begin; each step takes a minute.
BEGIN = datetime(2026, 3, 2, 9, tzinfo=UTC)
STEP = timedelta(minutes=1)
# Moments this near to that of their step are those of what just happened; others are as far off as they were.
JUST_NOW = timedelta(minutes=5)
LINES = 3
# What a fast machine measures otherwise than a slow one.
_MEASURED = re.compile(r'(?<="per_second": )[\d.]+')
# Ids of the examples: UUIDv7 of one moment, counted.
FIRST_ID = uuid.UUID("019cade0-b400-7000-8000-000000000000")

_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
_TYPE_ID = r"\b[a-z]+_[0-7][0-9a-hjkmnp-tv-z]{25}\b"
_ID = re.compile(f"{_UUID}|{_TYPE_ID}")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|\+00:00)")
# `{}` is the number of the value among its kind.
_SECRETS = (
    (re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]+"), "access-token"),  # two of one second may be the same
    (re.compile(r"\brtr_[\w-]{43}"), "rtr_refresh-token-{}"),
    (re.compile(r"\brts_[\w-]{43}"), "rts_token-from-the-mail-{}"),
    (re.compile(r"\brtk_\w{4,16}\b"), "rtk_{}"),
    (re.compile(r"\brtk_\w{30,}\b"), "rtk_whole-key-{}"),
    (re.compile(r"\b[0-9a-f]{64}\b"), "{:064x}"),
    (re.compile(r"(?<=/assets/)[0-9a-f]{32}\b"), "{:032x}"),
    (re.compile(r"(?<=cursor=)[\w-]+"), "place-{}"),
)


def of(teller: Teller) -> dict[str, Any]:
    """By operation: what was sent and answered when the story called it first."""
    plain = _Plain(teller)
    found: dict[str, Any] = {}
    for number, step in enumerate(teller.steps):
        shown = plain.step(number, step)
        found.setdefault(step.request.operation.id, shown)
    return dict(sorted(found.items()))


def as_text(examples: Mapping[str, Any]) -> str:
    return json.dumps(examples, ensure_ascii=False, indent=1) + "\n"


def _shortened(answer: Any) -> Any:
    """Of text only the beginning."""
    return "".join(answer.splitlines(keepends=True)[:LINES]) if isinstance(answer, str) else answer


class _Plain:
    """Replaces what is new each time, by what comes in the same order; keep one for the whole story."""

    def __init__(self, teller: Teller) -> None:
        self.steps: Sequence[Step] = teller.steps
        self.known = dict(teller.shown)
        self.numbers: Counter[str] = Counter()
        self.ids: dict[uuid.UUID, uuid.UUID] = {}
        self.moments: dict[datetime, datetime] = {}

    def step(self, number: int, step: Step) -> dict[str, Any]:
        request = step.request
        sent = {"path": dict(request.parts), "query": dict(request.query), "request": request.body}
        sent = {name: value for name, value in sent.items() if value not in (None, {})}
        self.moments |= {moment: moment for moment in map(datetime.fromisoformat, _MOMENT.findall(json.dumps(sent)))}
        shown = sent if step.answer is None else sent | {"response": _shortened(step.answer)}
        text = json.dumps(shown, ensure_ascii=False)
        for pattern, name in _SECRETS:
            text = pattern.sub(lambda found, name=name: self._once(found[0], name), text)  # type: ignore[misc]
        text = _ID.sub(lambda found: self._id(found[0]), text)
        text = _MEASURED.sub("40.0", text)
        text = _MOMENT.sub(lambda found: self._moment(found[0], number, step.at), text)
        for secret, instead in self.known.items():
            text = text.replace(secret, instead)
        return json.loads(text)  # type: ignore[no-any-return] # it was such a dict

    def _once(self, secret: str, name: str) -> str:
        if secret not in self.known:
            self.numbers[name] += 1
            self.known[secret] = name.format(self.numbers[name])
        return self.known[secret]

    def _id(self, text: str) -> str:
        prefix, _, _ = text.rpartition("_")
        real = ids.decode(prefix, text)
        plain = self.ids.setdefault(real, uuid.UUID(int=FIRST_ID.int + len(self.ids) + 1))
        return ids.encode(prefix, plain) if prefix else str(plain)

    def _moment(self, text: str, number: int, at: datetime) -> str:
        """Whole minutes; the first step that shows a moment says which."""
        moment = datetime.fromisoformat(text)
        if moment not in self.moments:
            apart = moment - at
            apart = timedelta() if abs(apart) < JUST_NOW else timedelta(minutes=round(apart / timedelta(minutes=1)))
            self.moments[moment] = BEGIN + STEP * number + apart
        return self.moments[moment].isoformat().replace("+00:00", "Z")
