"""Whatever a client is told can be translated, and whatever is ignored says why; and each guard says no."""

from __future__ import annotations

from pathlib import Path

import pytest

from apps.kernel import errors, problems
from tests.architecture import source

CHECKOUT = Path(__file__).parents[2]


def error_classes() -> set[str]:
    problems.catalogue()  # loads them all
    return {kind.__name__ for kind in problems._kinds(errors.DomainError)} | {"DomainError"}


def test_errors_are_told_in_sentences_that_can_be_translated() -> None:
    names = error_classes()
    answered = [(path, text) for path, text in source.files("apps", root=CHECKOUT) if source.is_answered(path)]

    assert len(answered) > 100
    assert len(names) > 100
    assert [f"{path}:{line}" for path, text in answered for line in source.untranslatable(text, names)] == []


@pytest.mark.parametrize(
    "text",
    [
        'NotFound("There is no node.")',
        'raise errors.NotFound(f"There is no node {node}.")',
        'errors.NotFound("There is no node " + node)',
        'errors.NotFound("There is no node %s" % node)',
        'errors.NotFound("; ".join(found))',
        'errors.NotFound("a" if found else wording.say("b"))',
        'errors.NotFound(detail="There is no node.")',
        'errors.ValidationFailed.for_field("/a", "wrong", "send text")',
        'errors.FieldProblem("/a", "wrong", detail=f"send {text}")',
        'wording.say(f"There is no node {node}.")',
        'wording.refusal("wrong", "send " + what)',
    ],
)
def test_a_sentence_nobody_can_translate_is_found(text: str) -> None:
    assert list(source.untranslatable(text, {"NotFound"})) == [1]


@pytest.mark.parametrize(
    "text",
    [
        'errors.NotFound(wording.say("There is no node {node}.", node=node))',
        "errors.NotFound(detail, problems=problems)",
        'errors.FieldProblem("/a", "wrong", wording.say("send text"))',
        'CommandError("There is no node.")',
    ],
)
def test_a_sentence_that_is_said_is_let_through(text: str) -> None:
    assert list(source.untranslatable(text, {"NotFound"})) == []


def test_what_is_ignored_says_why() -> None:
    found = source.files("apps", "rustok", "tests", root=CHECKOUT)

    assert [f"{path}:{line}" for path, text in found for line in source.silent(text)] == []


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("with suppress(OSError):\n    go()\n", [1]),
        ("with contextlib.suppress(OSError):\n    go()  # gone\n", [1]),
        ("with suppress(OSError):  # noqa: SIM105\n    go()\n", [1]),
        ("try:\n    go()\nexcept OSError:\n    pass\n", [3]),
        ("with suppress(OSError):  # it may be gone\n    go()\n", []),
        ("# it may be gone\nwith suppress(OSError):\n    go()\n", []),
        ("with suppress(OSError):  # noqa: SIM105 - it may be gone\n    go()\n", []),
        ("try:\n    go()\nexcept OSError:\n    pass  # it may be gone\n", []),
        ("try:\n    go()\nexcept OSError:\n    raise\n", []),
    ],
)
def test_an_exception_ignored_in_silence_is_found(text: str, lines: list[int]) -> None:
    assert list(source.silent(text)) == lines
