"""Each mistake in the table is noticed: its scene breaks a promise with it, and none without it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from apps.outbox import sequencer
from tests.faults import invariants, scenes
from tests.faults.mutants import MUTANTS, Edit, Mutant, Stale

pytestmark = pytest.mark.usefixtures("committed_db")

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "event-core-tests.md"
SCENES = sorted({mutant.scene for mutant in MUTANTS})


@pytest.fixture
def stage(committed_db: None) -> Iterator[scenes.Stage]:
    opened = scenes.Stage()
    yield opened
    opened.close()


def play(scene: str, stage: scenes.Stage) -> list[str]:
    played: Callable[[scenes.Stage], list[str]] = getattr(scenes, scene)
    return played(stage)


@pytest.mark.parametrize("scene", SCENES)
def test_no_scene_breaks_a_promise(scene: str, stage: scenes.Stage) -> None:
    assert play(scene, stage) == []


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.name.replace(" ", "-") for mutant in MUTANTS])
def test_every_mutant_is_caught(mutant: Mutant, stage: scenes.Stage) -> None:
    with mutant.applied(), closing(stage):  # so that no transaction of the scene is in the way of taking it back
        found = play(mutant.scene, stage)

    assert mutant.caught_by in invariants.numbers(found), found


def test_a_mutant_that_edits_nothing_is_an_error() -> None:
    with (
        pytest.raises(Stale, match="has no 'ORDER BY colour'"),
        Edit(sequencer, "TICK", (("ORDER BY colour", ""),)).applied(),
    ):
        pass


def test_the_page_lists_every_mutant() -> None:
    text = PAGE.read_text()

    for mutant in MUTANTS:
        assert f"| {mutant.name} | `{mutant.scene}` | {mutant.caught_by} |" in text
