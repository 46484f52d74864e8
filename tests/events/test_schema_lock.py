"""The lock of the schemas: what is released stays, and the check names the rule that an edit of the code breaks."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import jsonschema
import pytest
from django.core.management import CommandError, call_command
from pydantic import create_model

from apps.events import checking, corpus, registry, schemas
from apps.events.compatibility import Rule

NAME = "test.order.placed"


def entry(name: str = NAME, *, version: int = 1, upcasters: Any = None, aliases: Any = (), **fields: Any) -> Any:
    """A registered type; a field is a type, or a pair of a type and its default."""
    pairs = {key: field if isinstance(field, tuple) else (field, ...) for key, field in fields.items()}
    payload = create_model("Placed", __base__=registry.Payload, **pairs)
    chain = dict.fromkeys(range(1, version), _same) if upcasters is None else upcasters
    return registry.EventType(name, version, payload, chain, aliases=aliases)


def _same(data: dict[str, Any]) -> dict[str, Any]:
    return data


def sample(data: dict[str, Any], version: int = 1, name: str = NAME) -> corpus.Sample:
    return corpus.Sample("here.jsonl:1", {"type": name, "schema_version": version, "data": data})


def released(*types: registry.EventType) -> schemas.Lock:
    return checking.export(types=types, lock={}, release=True)


ORDER = {"amount": int, "colour": Literal["red", "blue"]}
SAMPLE = sample({"amount": 5, "colour": "red"})
BEFORE = released(entry(**ORDER))


def rules(types: list[registry.EventType], lock: schemas.Lock, *samples: corpus.Sample) -> set[tuple[str, int, Rule]]:
    found = checking.check(types=types, lock=lock, samples=samples or [SAMPLE])
    return {(broken.type, broken.version, broken.rule) for broken in found}


def test_the_code_keeps_to_its_lock_and_corpus() -> None:
    ours = [entry for entry in registry.all_types() if entry.payload.__module__.startswith("apps.")]

    broken = checking.check(types=ours, lock=schemas.published(), samples=corpus.published())

    assert broken == []
    assert len(schemas.published()) >= 49


def test_the_stored_lock_is_as_export_writes_it() -> None:
    assert schemas.LOCK.read_text() == schemas.to_text(schemas.published())


def test_every_schema_in_the_lock_is_a_closed_2020_12_schema_at_its_address() -> None:
    for name, versions in schemas.published().items():
        for version, locked in versions.items():
            jsonschema.Draft202012Validator.check_schema(locked.schema)
            assert locked.schema["$schema"] == jsonschema.Draft202012Validator.META_SCHEMA["$id"]
            assert locked.schema["$id"] == f"/schemas/{name}/{version}"
            assert locked.schema["additionalProperties"] is False


@pytest.mark.parametrize(
    ("edited", "rule"),
    [
        (entry(**ORDER, note=str), Rule.REQUIRED_ADDED),
        (entry(amount=int), Rule.FIELD_REMOVED),
        (entry(amount=bool, colour=Literal["red", "blue"]), Rule.TYPE_NARROWED),
        (entry(amount=int, colour=Literal["red"]), Rule.ENUM_VALUE_REMOVED),
        (entry(**ORDER, note=(str, "")), Rule.RELEASED_CHANGED),
        (entry(amount=int | None, colour=Literal["red", "blue"]), Rule.RELEASED_CHANGED),
    ],
)
def test_an_edit_of_a_released_version_is_named_and_not_exported(edited: registry.EventType, rule: Rule) -> None:
    assert (NAME, 1, rule) in rules([edited], BEFORE)
    with pytest.raises(checking.ExportRefused, match="write the next one with an upcaster"):
        checking.export(types=[edited], lock=BEFORE)


def test_an_optional_field_that_becomes_required_is_named() -> None:
    lock = released(entry(amount=(int, 1)))

    assert rules([entry(amount=int)], lock, sample({"amount": 1})) == {(NAME, 1, Rule.BECAME_REQUIRED)}


def test_a_draft_may_change_until_it_is_released() -> None:
    draft = checking.export(types=[entry(amount=int)], lock={})
    edited = entry(amount=str, note=str)
    stored = sample({"amount": "5", "note": ""})

    assert [broken.rule for broken in checking.check_released(draft)] == [Rule.NOT_RELEASED]
    assert rules([edited], draft, stored) == {(NAME, 1, Rule.LOCK_OUTDATED)}

    followed = checking.export(types=[edited], lock=draft, release=True)

    assert rules([edited], followed, stored) == set()
    assert checking.check_released(followed) == []
    with pytest.raises(checking.ExportRefused):
        checking.export(types=[entry(amount=int)], lock=followed)


def test_describing_a_released_version_better_is_an_export_away() -> None:
    described = entry(**ORDER)
    described.payload.__doc__ = "An order was placed."
    described.payload.model_rebuild(force=True)

    assert rules([described], BEFORE) == {(NAME, 1, Rule.LOCK_OUTDATED)}
    after = checking.export(types=[described], lock=BEFORE)[NAME][1]
    assert after.is_released
    assert after.schema["description"] == "An order was placed."


def test_a_new_type_needs_a_sample_when_it_is_released() -> None:
    draft = checking.export(types=[entry(**ORDER)], lock={})
    released = checking.export(types=[entry(**ORDER)], lock=draft, release=True)

    assert [broken.rule for broken in checking.check(types=[entry(**ORDER)], lock=draft, samples=[])] == []
    assert [broken.rule for broken in checking.check(types=[entry(**ORDER)], lock=released, samples=[])] == [
        Rule.SAMPLE_MISSING
    ]


def test_a_new_version_is_missing_until_it_is_exported_and_sampled() -> None:
    newer = entry(version=2, upcasters={1: lambda data: data | {"note": ""}}, **ORDER, note=str)

    assert rules([newer], BEFORE) == {(NAME, 2, Rule.VERSION_MISSING)}

    lock = checking.export(types=[newer], lock=BEFORE)
    assert rules([newer], lock) == {(NAME, 2, Rule.SAMPLE_MISSING)}
    assert lock[NAME][1] == BEFORE[NAME][1]
    newest = sample({"amount": 1, "colour": "red", "note": "quick"}, 2)
    assert rules([newer], lock, SAMPLE, newest) == set()


def test_an_old_version_that_was_never_on_record_cannot_be_exported() -> None:
    newer = entry(version=2, **ORDER)

    assert (NAME, 1, Rule.VERSION_MISSING) in rules([newer], {})
    with pytest.raises(checking.ExportRefused, match="version missing from the lock"):
        checking.export(types=[newer], lock={})


def test_a_missing_upcaster_is_named() -> None:
    assert (NAME, 1, Rule.UPCASTER_MISSING) in rules([entry(version=2, upcasters={}, **ORDER)], BEFORE)


def test_a_type_or_version_that_left_the_code_is_named() -> None:
    two = checking.export(types=[entry(version=2, **ORDER)], lock=BEFORE, release=True)

    assert (NAME, 1, Rule.TYPE_UNKNOWN) in rules([], BEFORE)
    assert (NAME, 2, Rule.VERSION_UNKNOWN) in rules([entry(**ORDER)], two)
    with pytest.raises(checking.ExportRefused, match="aliases"):
        checking.export(types=[], lock=BEFORE)


def test_an_older_draft_stays_on_record_when_the_next_version_comes() -> None:
    draft = checking.export(types=[entry(**ORDER)], lock={})

    both = checking.export(types=[entry(version=2, **ORDER)], lock=draft)

    assert both[NAME][1] == draft[NAME][1]
    assert set(both[NAME]) == {1, 2}
    assert checking.export(types=[entry(**ORDER)], lock=both) == draft


def test_a_draft_that_left_the_code_leaves_the_lock_too() -> None:
    draft = checking.export(types=[entry(**ORDER)], lock={})

    assert checking.export(types=[], lock=draft) == {}


def test_a_renamed_type_keeps_its_old_name_on_record() -> None:
    renamed = entry("test.purchase.placed", aliases=(NAME,), **ORDER)
    stored = sample({"amount": 1, "colour": "blue"}, name="test.purchase.placed")

    lock = checking.export(types=[renamed], lock=BEFORE, release=True)

    assert set(lock) == {NAME, "test.purchase.placed"}
    assert rules([renamed], lock, SAMPLE, stored) == set()
    narrowed = entry("test.purchase.placed", aliases=(NAME,), amount=int)
    assert (NAME, 1, Rule.FIELD_REMOVED) in rules([narrowed], lock, SAMPLE, stored)


@pytest.mark.parametrize(
    "upcaster", [lambda data: data, lambda data: data["colour"].missing, lambda data: data | {"note": 5}]
)
def test_a_stored_sample_that_does_not_become_the_newest_version_is_named(
    upcaster: Callable[[dict[str, Any]], dict[str, Any]],
) -> None:
    newer = entry(version=2, upcasters={1: upcaster}, **ORDER, note=str)

    assert (NAME, 1, Rule.SAMPLE_UNREADABLE) in rules([newer], BEFORE)


@pytest.fixture
def lock_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the lock for the command to read and write, with what this application has released alone in it and in
    the catalogue."""
    path = tmp_path / "schemas.lock.json"
    released = {
        name: versions
        for name, versions in json.loads(schemas.LOCK.read_text()).items()
        if any(version["released"] for version in versions.values())
    }
    path.write_text(json.dumps(released, indent=2, ensure_ascii=False) + "\n")
    monkeypatch.setattr(schemas, "LOCK", path)
    types = {name: found for name, found in registry._types.items() if name in released}
    monkeypatch.setattr(registry, "_types", types)
    return path


def run(*arguments: str, expect: int = 0) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    if expect:
        with pytest.raises(SystemExit) as stopped:
            call_command("events_schema", *arguments, stdout=out, stderr=err)
        assert stopped.value.code == expect
    else:
        call_command("events_schema", *arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def test_check_says_yes_and_export_writes_nothing_new(lock_file: Path) -> None:
    before = lock_file.read_text()

    assert "all on record" in run("check")[0]
    assert "all on record" in run("check", "--released")[0]
    assert json.loads(run("export", "--json")[0])["ok"] is True
    assert lock_file.read_text() == before


def test_check_fails_with_the_rule_and_the_cure_and_export_refuses(
    lock_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = registry.get("commerce.inventory.low")
    narrower = registry.EventType(
        found.name, found.version, create_model("Low", __base__=registry.Payload, remaining=int), found.upcasters
    )
    monkeypatch.setitem(registry._types, found.name, narrower)
    before = lock_file.read_text()

    _, complaint = run("check", expect=1)
    shown, _ = run("check", "--json", expect=1)
    _, refusal = run("export", "--release", expect=1)

    for text in (complaint, refusal):
        assert "BROKEN: commerce.inventory.low 2: field removed: field threshold" in text
        assert "write the next one with an upcaster" in text
    assert {"field removed", "stored sample no longer readable"} <= {row["rule"] for row in json.loads(shown)["broken"]}
    assert lock_file.read_text() == before


def test_export_brings_a_new_type_as_a_draft_and_release_fixes_it(
    lock_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(registry._types, NAME, entry(**ORDER))

    assert "1 of them drafts" in run("export")[0]
    assert f"{NAME} 1: not released" in run("check", "--released", expect=1)[1]
    assert "0 of them drafts" in run("export", "--release")[0]
    assert schemas.read(lock_file)[NAME][1].is_released


def test_a_spoilt_lock_and_arguments_that_do_not_belong_together_are_refused(lock_file: Path) -> None:
    lock_file.write_text("{")
    with pytest.raises(CommandError, match="version control"):
        call_command("events_schema", "check")
    with pytest.raises(CommandError, match="belongs to export") as refused:
        call_command("events_schema", "check", "--release")
    assert refused.value.returncode == 2


def test_the_deployment_check_says_no_to_drafts(lock_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from apps.events.apps import _everything_is_released

    monkeypatch.setattr(schemas, "published", lambda: schemas.read(lock_file))
    assert _everything_is_released() == []
    monkeypatch.setattr(schemas, "published", lambda: checking.export(types=[entry(**ORDER)], lock={}))
    assert NAME in _everything_is_released()[0].msg
