"""What the editors' desk promises of every screen: nothing is written past services, and two people are merged."""

from __future__ import annotations

import ast
import inspect
import textwrap
from pathlib import Path
from typing import Any

import pytest
from django.contrib import admin
from django.http import QueryDict

from apps.accounts.desk import merging
from apps.accounts.desk.asking import Asked, within
from apps.accounts.desk.screens import EditingAdmin, WritesPastServices
from apps.accounts.desk.sheets import Draft, Field, Languages, Section, Sheet, Table
from apps.kernel import errors
from apps.kernel.admin import ReadOnlyAdmin

SCREENS = [screen for screen in admin.site._registry.values() if screen.opts.app_label != "auth"]
WRITERS = {"save_model", "save_form", "save_formset", "save_related", "delete_model", "delete_queryset"}
# Of models and managers: what puts something into a table.
ROW_WRITES = {
    "save", "asave", "delete", "adelete", "create", "acreate", "update", "aupdate", "bulk_create", "bulk_update",
    "get_or_create", "update_or_create", "_raw_delete",
}  # fmt: skip


def row_writes(source: str) -> list[str]:
    """Calls that look like a model's own way to write, such as `row.save()`."""
    calls = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    found = [call.func for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr in ROW_WRITES]
    owners = [(ast.unparse(each.value), each.attr) for each in found]
    return [f"{owner}.{name}" for owner, name in owners if owner not in ("services", "product_writing", "found")]


@pytest.mark.parametrize("screen", SCREENS, ids=lambda screen: screen.opts.label)
def test_a_screen_reads_or_writes_through_services(screen: Any) -> None:
    assert isinstance(screen, ReadOnlyAdmin)
    if isinstance(screen, EditingAdmin):
        for name in sorted(WRITERS):
            assert getattr(type(screen), name) is EditingAdmin.save_model
            with pytest.raises(WritesPastServices):
                getattr(screen, name)(None, None, None, None)
    else:
        assert type(screen).has_add_permission is ReadOnlyAdmin.has_add_permission
        assert type(screen).has_delete_permission is ReadOnlyAdmin.has_delete_permission


def test_there_are_screens_that_write() -> None:
    assert len([screen for screen in SCREENS if isinstance(screen, EditingAdmin)]) >= 6


def test_nothing_of_the_admin_writes_a_row() -> None:
    apps = Path(__file__).parents[2] / "apps"
    files = [*apps.glob("*/admin.py"), *apps.glob("*/admin/*.py"), *apps.glob("accounts/desk/*.py")]

    assert len(files) > 20
    assert {str(file): row_writes(file.read_text()) for file in files if row_writes(file.read_text())} == {}


@pytest.mark.parametrize(
    "line", ["row.save()", "models.Product.objects.filter(id=1).update(vendor='x')", "rows.delete()"]
)
def test_a_row_that_is_written_is_found(line: str) -> None:
    assert row_writes(textwrap.dedent(line))
    assert row_writes(inspect.getsource(merging)) == []


# --- Sheets ---------------------------------------------------------------------------------------------------

SHEET = Sheet(
    [
        Languages(
            title="", fields=[Field(name="words/{locale}/title", label="Title")], locales=["en", "de"],
            shown_by="words/{locale}/title",
        ),
        Section(title="", fields=[
            Field(name="vendor", label="Vendor"), Field(name="shown", label="Shown", kind="flag"),
            Field(name="fixed", label="Fixed", is_fixed=True), Field(name="places", label="Places", kind="find_many"),
            Field(name="stock", label="Stock", is_live=True),
        ]),
        Table(name="rows", title="", row="a row", columns=[Field(name="rows/{row}/sku", label="SKU")]),
    ]
)  # fmt: skip


def test_a_document_holds_what_the_page_said_and_nothing_else() -> None:
    posted = QueryDict(
        "vendor=a%0D%0Ab&fixed=changed&places=1&places=2&places=&rows=x&rows=y&rows=x&rows=%2F..&other=1"
    )
    posted = posted.copy()
    posted["rows/y/gone"] = "on"
    posted["rows/x/sku"] = "X"
    posted["words/en/title"] = "Hello"

    found = SHEET.read(posted, {"fixed": "as it was", "shown": "on", "words/de/title": "Hallo"})

    assert found == {
        "words/en/title": "Hello",
        "words/de/title": "Hallo",
        "vendor": "a\nb",
        "shown": "",
        "fixed": "as it was",
        "places": ["1", "2"],
        "stock": "",
        "rows": ["x"],
        "rows/x/sku": "X",
    }


def test_one_more_row_has_a_name_nobody_has() -> None:
    posted = QueryDict("rows=new1&rows=new7&_add=rows")

    assert SHEET.read(posted, {})["rows"] == ["new1", "new7", "new8"]


@pytest.mark.parametrize(
    ("pointer", "place"),
    [
        ("/words/1/title", "words/de/title"),
        ("/rows/0/sku", "rows/b/sku"),
        ("/rows/1/values/3", "rows/a/sku"),
        ("/rows", "rows/b/sku"),
        ("/vendor", "vendor"),
        ("/nowhere", None),
        ("/words/²/title", "words/en/title"),
        (f"/words/{'9' * 5_000}/title", "words/en/title"),
        ("", None),
    ],
)
def test_a_pointer_leads_to_its_field(pointer: str, place: str | None) -> None:
    asked = Asked({"rows": ["b", "a"]})
    asked.listed("words", {"en": {}, "de": {}})
    asked.listed("rows", {"b": {}, "a": {}})
    draft = Draft(SHEET, {"rows": ["b", "a"]})

    draft.point(asked.path_of(pointer), "wrong")

    assert draft.problems == ({place: ["wrong"]} if place else {})
    assert draft.general == ([] if place else ["wrong"])


def test_a_problem_within_a_value_says_where_and_a_field_that_is_needed_is_to_be_filled() -> None:
    sheet = Sheet(
        [Section(title="", fields=[Field(name="title", label="Title", is_required=True), Field(name="body", label="")])]
    )
    draft = Draft(sheet, {"title": "", "body": "[]"})

    draft.point("body/1/items/0/label", "this is too long")
    draft.point(f"body/{'9' * 5_000}", "there is no such field")
    draft.point("title", "this has at least 1 entries")

    assert draft.problems["body"][0] == "no. 2, items, no. 1, label: this is too long"
    assert draft.within["body"][0] == "1/items/0/label"
    assert draft.problems["title"] == ["this is required"]
    assert [cell.called for cell in draft.wrong] == ["Title", ""]


@pytest.mark.parametrize(
    ("path", "called"), [("rows/a/sku", "SKU (no. 2)"), ("words/de/title", "SKU (de)"), ("title", "SKU")]
)
def test_a_field_is_called_by_its_label_and_which_it_is(path: str, called: str) -> None:
    draft = Draft(SHEET, {"rows": ["b", "a"]})

    assert draft.cell(Field(name=path, label="SKU"), path).called == called


def test_what_is_wrong_within_a_row_is_wrong_there() -> None:
    with pytest.raises(errors.DomainError) as raised, within("rows/a"):
        raise errors.ValidationFailed.for_field("/sku", "taken", "taken")
    assert [problem.pointer for problem in raised.value.problems] == ["/rows/a/sku"]
    with pytest.raises(errors.DomainError) as raised, within("rows/a"):
        raise errors.Conflict("no")
    assert [problem.pointer for problem in raised.value.problems] == ["/rows/a"]


def merged(before: dict[str, Any], mine: dict[str, Any], theirs: dict[str, Any]) -> merging.Merged:
    return merging.merge(made_from=merging.mark(before), mine=mine, theirs=theirs, sheet=SHEET)


def test_each_of_two_changes_is_kept() -> None:
    before = {"vendor": "a", "words/en/title": "a", "words/de/title": "a", "rows": [], "stock": "1"}

    found = merged(
        before,
        {**before, "vendor": "mine", "words/en/title": "mine"},
        {**before, "words/en/title": "theirs", "words/de/title": "theirs", "stock": "0"},
    )

    assert found.document == {
        "vendor": "mine", "words/en/title": "mine", "words/de/title": "theirs", "rows": [], "stock": "0",
    }  # fmt: skip
    assert found.taken == {"words/de/title": "theirs"}
    assert found.disputed == {"words/en/title": "theirs"}
    assert not found.is_quiet


def test_the_same_change_twice_and_what_moves_by_itself_are_no_conflict() -> None:
    before = {"vendor": "a", "stock": "1", "rows": []}

    found = merged(before, {**before, "vendor": "b"}, {**before, "vendor": "b", "stock": "0"})

    assert found.is_quiet
    assert found.document["stock"] == "0"


def test_a_row_somebody_added_comes_along_and_one_they_removed_goes() -> None:
    before = {"rows": ["a"], "rows/a/sku": "A"}

    added = merged(before, dict(before), {"rows": ["a", "b"], "rows/a/sku": "A", "rows/b/sku": "B"})
    removed = merged(before, dict(before), {"rows": []})

    assert added.document == {"rows": ["a", "b"], "rows/a/sku": "A", "rows/b/sku": "B"}
    assert removed.document == {"rows": []}


@pytest.mark.parametrize("text", ["", "nonsense", "[]", '{"a": "b"}', "{"])
def test_marks_somebody_tampered_with_mark_nothing(text: str) -> None:
    assert merging.read(text) == {}
