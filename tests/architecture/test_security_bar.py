"""The page of the security bar names tests that exist, for every row, or says what is missing."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
PAGE = CHECKOUT / "docs/reference/security-bar.md"
# Later ones may stand there; none of these may be missing.
REQUIRED = (*range(1, 38), 43, 44, 47)
TEST = re.compile(r"`([^`\s]+\.py)::([^`]+)`")


@cache
def named_in(file: Path) -> frozenset[str]:
    """The tests of a file as they are named on a command line; none where there is no such file."""
    if not file.exists():
        return frozenset()
    found = set()
    for node in ast.parse(file.read_text()).body:
        inside = node.body if isinstance(node, ast.ClassDef) else [node]
        prefix = f"{node.name}::" if isinstance(node, ast.ClassDef) else ""
        found |= {f"{prefix}{entry.name}" for entry in inside if isinstance(entry, ast.FunctionDef)}
    return frozenset(name for name in found if name.rpartition("::")[2].startswith("test_"))


def problems_of(text: str) -> list[str]:
    """What is wrong with a page, in words."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    rows = [cells for cells in rows if cells[0].isdecimal()]
    numbers = [int(cells[0]) for cells in rows]
    found = [f"row {number} is missing" for number in REQUIRED if number not in numbers]
    if numbers != sorted(set(numbers)):
        found.append("the rows are not in order, each once")
    for number, *cells in rows:
        if len(cells) != 3:
            found.append(f"row {number} has {len(cells) + 1} columns")
            continue
        promise, proof, reason = cells
        if not promise:
            found.append(f"row {number} promises nothing")
        if not proof and len(reason.split()) < 5:
            found.append(f"row {number} has neither a test nor a reason")
        named = TEST.findall(proof)
        if TEST.sub("", proof).strip(" ,"):
            found.append(f"row {number} names something that is no test: {TEST.sub('', proof).strip(' ,')}")
        found += [
            f"row {number} names {file}::{name}, which does not exist"
            for file, name in named
            if name not in named_in(CHECKOUT / file)
        ]
    return found


def test_every_row_of_the_bar_is_there_and_names_tests_that_exist() -> None:
    assert problems_of(PAGE.read_text()) == []


OWN = f"`tests/architecture/{Path(__file__).name}::test_every_row_of_the_bar_is_there_and_names_tests_that_exist`"
WHOLE = "\n".join(f"| {number} | It holds. | {OWN} | |" for number in REQUIRED)


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ("| 7 | It", "| x | It", "row 7 is missing"),
        ("| 7 | It", "| 8 | It", "the rows are not in order, each once"),
        (f"| 7 | It holds. | {OWN} | |", "| 7 | It holds. | | |", "row 7 has neither a test nor a reason"),
        (f"| 7 | It holds. | {OWN} | |", "| 7 | It holds. | | later |", "row 7 has neither a test nor a reason"),
        ("| 7 | It holds. |", "| 7 | |", "row 7 promises nothing"),
        ("| 7 | It holds. |", "| 7 |", "row 7 has 3 columns"),
        (f"| 7 | It holds. | {OWN}", "| 7 | It holds. | by hand", "row 7 names something that is no test: by hand"),
        (
            f"| 7 | It holds. | {OWN}",
            "| 7 | It holds. | `tests/nowhere.py::test_it`",
            "row 7 names tests/nowhere.py::test_it, which does not exist",
        ),
        (
            f"| 7 | It holds. | {OWN}",
            "| 7 | It holds. | `tests/architecture/test_floors.py::test_gone`",
            "row 7 names tests/architecture/test_floors.py::test_gone, which does not exist",
        ),
    ],
)
def test_what_is_wrong_with_a_page_is_named(before: str, after: str, problem: str) -> None:
    assert problems_of(WHOLE) == []
    assert problem in problems_of(WHOLE.replace(before, after, 1))


def test_a_row_may_say_why_it_has_no_test_and_further_rows_may_follow() -> None:
    reasoned = WHOLE.replace(OWN, "", 1).replace("| |\n", "| There is nothing to be tried here. |\n", 1)

    assert problems_of(f"{reasoned}\n| 99 | It holds too. | {OWN} | |") == []
