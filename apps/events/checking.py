"""Today's code against the lock and the corpus: is every event that was ever recorded still readable?

Readers of the log need BACKWARD_TRANSITIVE: each released version, by its upcasters, becomes the newest one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from apps.events import compatibility, schemas
from apps.events.compatibility import Rule
from apps.events.corpus import Sample
from apps.events.registry import EventType
from apps.events.schemas import Lock, Locked

_NEW_VERSION = "leave this version as it was and write the next one with an upcaster"
FIXES = {
    Rule.RELEASED_CHANGED: _NEW_VERSION,
    Rule.REQUIRED_ADDED: _NEW_VERSION,
    Rule.BECAME_REQUIRED: _NEW_VERSION,
    Rule.FIELD_REMOVED: _NEW_VERSION,
    Rule.TYPE_NARROWED: _NEW_VERSION,
    Rule.ENUM_VALUE_REMOVED: _NEW_VERSION,
    Rule.LOCK_OUTDATED: "run manage.py events_schema export",
    Rule.VERSION_MISSING: "run manage.py events_schema export; an older version comes from version control",
    Rule.VERSION_UNKNOWN: "bring the version back: events of it are in the log",
    Rule.TYPE_UNKNOWN: "bring the type back, or name it in the aliases of the one that replaced it",
    Rule.UPCASTER_MISSING: "add the upcaster from this version to the next",
    Rule.SAMPLE_MISSING: "add a stored event of it to apps/events/corpus/",
    Rule.SAMPLE_UNREADABLE: "mend the upcasters: what is stored does not change",
    Rule.NOT_RELEASED: "run manage.py events_schema export --release",
}


@dataclass(frozen=True, slots=True)
class Broken:
    """A rule that does not hold for a version of a type. `is_for_export` when writing the lock anew is the cure."""

    rule: Rule
    type: str
    version: int
    detail: str
    is_for_export: bool = False

    def __str__(self) -> str:
        return f"{self.type} {self.version}: {self.rule}: {self.detail}. To do: {FIXES[self.rule]}."


class ExportRefused(Exception):
    """The lock can't follow the code: something released would be altered. `broken` says what."""

    def __init__(self, broken: Sequence[Broken]) -> None:
        super().__init__("\n".join(str(entry) for entry in broken))
        self.broken = broken


def check(*, types: Sequence[EventType], lock: Lock, samples: Sequence[Sample]) -> list[Broken]:
    """Everything that is broken, by type; empty when all that was ever recorded is readable and on record."""
    return sorted(
        [*_check_lock(types, lock), *_check_samples(types, lock, samples)],
        key=lambda entry: (entry.type, entry.version),
    )


def check_released(lock: Lock) -> list[Broken]:
    """The versions that may still change: none of them should be recorded where it counts."""
    return [
        Broken(Rule.NOT_RELEASED, name, version, "it is a draft that may still change")
        for name, versions in lock.items()
        for version, locked in versions.items()
        if not locked.is_released
    ]


def export(*, types: Sequence[EventType], lock: Lock, release: bool = False) -> Lock:
    """The lock that follows the code: new versions as drafts, or all of it released. Raises ExportRefused."""
    broken = list(_check_lock(types, lock))
    if refused := [entry for entry in broken if not entry.is_for_export]:
        raise ExportRefused(refused)
    given_up = {
        (entry.type, entry.version) for entry in broken if entry.rule in {Rule.TYPE_UNKNOWN, Rule.VERSION_UNKNOWN}
    }
    written: Lock = {
        name: {version: locked for version, locked in versions.items() if (name, version) not in given_up}
        for name, versions in lock.items()
    }
    for entry in types:
        for name in _recorded_names(entry, lock):
            before = lock.get(name, {}).get(entry.version)
            schema = schemas.of(entry.payload, name=name, version=entry.version)
            written.setdefault(name, {})[entry.version] = Locked(schema, bool(before and before.is_released))
    return {
        name: {version: Locked(locked.schema, locked.is_released or release) for version, locked in versions.items()}
        for name, versions in written.items()
        if versions
    }


def _recorded_names(entry: EventType, lock: Lock) -> list[str]:
    """The names under which the newest version is, or is to be, on record."""
    return [entry.name, *(name for name in entry.aliases if entry.version in lock.get(name, {}))]


def _check_lock(types: Sequence[EventType], lock: Lock) -> Iterator[Broken]:
    owners = {name: entry for entry in types for name in (entry.name, *entry.aliases)}
    for name, versions in lock.items():
        for version, locked in versions.items():
            if name not in owners:
                detail = "no payload is registered under this name"
                yield Broken(Rule.TYPE_UNKNOWN, name, version, detail, is_for_export=not locked.is_released)
            elif version > owners[name].version:
                detail = f"the code stands at version {owners[name].version}"
                yield Broken(Rule.VERSION_UNKNOWN, name, version, detail, is_for_export=not locked.is_released)
            elif version == owners[name].version:
                yield from _check_newest(owners[name], name, locked)
    for entry in types:
        yield from _check_chain(entry, lock)


def _check_newest(entry: EventType, name: str, locked: Locked) -> Iterator[Broken]:
    """What is on record of the newest version against the payload as it is now."""
    now = schemas.of(entry.payload, name=name, version=entry.version)
    if now == locked.schema:
        return
    if not locked.is_released or compatibility.canonical(now) == compatibility.canonical(locked.schema):
        yield Broken(Rule.LOCK_OUTDATED, name, entry.version, "the payload says something else", is_for_export=True)
        return
    differences = compatibility.breaks(locked.schema, now)
    for found in differences:
        yield Broken(found.rule, name, entry.version, f"field {found.field}: {found.detail}")
    if not differences:
        yield Broken(
            Rule.RELEASED_CHANGED, name, entry.version, "old events stay readable, but readers hold the old one"
        )


def _check_chain(entry: EventType, lock: Lock) -> Iterator[Broken]:
    """Every version up to the newest is on record and leads to the next."""
    for version in range(1, entry.version + 1):
        if not any(version in lock.get(name, {}) for name in (entry.name, *entry.aliases)):
            is_newest = version == entry.version
            detail = "nobody can look it up"
            yield Broken(Rule.VERSION_MISSING, entry.name, version, detail, is_for_export=is_newest)
        if version < entry.version and version not in entry.upcasters:
            yield Broken(Rule.UPCASTER_MISSING, entry.name, version, f"nothing makes a version {version + 1} of it")


def _check_samples(types: Sequence[EventType], lock: Lock, samples: Sequence[Sample]) -> Iterator[Broken]:
    owners = {name: entry for entry in types for name in (entry.name, *entry.aliases)}
    found: dict[tuple[str, int], list[Sample]] = defaultdict(list)
    for sample in samples:
        found[sample.key].append(sample)
    for name, versions in lock.items():
        for version, locked in versions.items():
            # A new type may still change, and a line of the corpus may not: it is due with the release.
            is_new = version == 1 and not locked.is_released
            if (name, version) not in found and not is_new:
                yield Broken(Rule.SAMPLE_MISSING, name, version, "the corpus has no event of it")
    for (name, version), stored in found.items():
        for sample in stored:
            if (problem := _unreadable(owners.get(name), version, sample)) is not None:
                yield Broken(Rule.SAMPLE_UNREADABLE, name, version, f"{sample.place}: {problem}")


def _unreadable(entry: EventType | None, version: int, sample: Sample) -> str | None:
    """Why a sample does not become the newest version, None when it does."""
    if entry is None:
        return "no payload is registered under this name"
    try:
        entry.payload.model_validate(entry.upcast(version, sample.data))
    except Exception as error:  # noqa: BLE001 - whatever an upcaster raises would stop a reader of the log
        return " ".join(str(error).split()) or repr(error)
    return None
