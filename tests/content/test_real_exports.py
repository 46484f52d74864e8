"""Real WordPress exports, where they are at hand: everything in them is taken or is a named row of the report."""

from __future__ import annotations

import csv
import os
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from apps.content import models
from apps.tenants import models as tenants
from tests.content import making

DATA = Path(os.environ.get("RUSTOK_SHARED_DATA") or Path(__file__).parents[3] / "shared" / "data") / "wxr"

pytestmark = [
    pytest.mark.skipif(not DATA.exists(), reason=f"the real exports are not at {DATA}"),
    pytest.mark.usefixtures("at_work"),
]

# What the files hold: nodes by kind; categories, tags and terms as the head declares them; menu items and menus;
# links from nodes to categories of the taxonomy `category` and to tags.
EXPECTED: dict[str, dict[str, Any]] = {
    "wptest.xml": {
        "kinds": {"post": 37, "page": 15, "attachment": 44, "comment": 30},
        "heads": {"categories": 42, "tags": 16},
        "on_items_only": 9,
        "menus": (102, 3),
        "links": (123, 16),
    },
    "themeunittestdata.wordpress.xml": {
        "kinds": {"post": 58, "page": 21, "attachment": 37, "comment": 33},
        "heads": {"categories": 68, "tags": 110, "terms": 1},
        "on_items_only": 13,
        "menus": (70, 6),
        "links": (175, 188),
    },
    "nucleus-theme-demo.xml": {
        "kinds": {"post": 11, "page": 14, "attachment": 122, "comment": 9, "custom": 25 + 8 + 3 + 1 + 1},
        "heads": {"categories": 5, "tags": 3, "terms": 11},
        "menus": (70, 1),
        "links": (11, 30),
    },
    "wptest-fr.xml": {
        "kinds": {"post": 36, "page": 17, "attachment": 44, "comment": 30},
        "heads": {"categories": 42, "tags": 19},
        "menus": (99, 3),
        "links": (120, 16),
    },
    "woocommerce-sample_products.xml": {
        "kinds": {"attachment": 22, "custom": 18 + 7},
        "heads": {},
        "menus": (0, 0),
        "links": (0, 0),
    },
    "block-theme-content.xml": {
        "kinds": {"post": 3, "page": 4, "custom": 8},
        "heads": {"categories": 4, "tags": 11, "terms": 24},
        "menus": (0, 0),
        "links": (3, 24),
    },
    "stylish-press-site.wxr": {"kinds": {"page": 3}, "heads": {}, "menus": (0, 0), "links": (3, 0)},
    "theme-preview.xml": {"kinds": {"post": 7, "comment": 2}, "heads": {}, "menus": (0, 0), "links": (15, 0)},
}


def import_file(name: str, tenant: tenants.Tenant, folder: Path) -> list[list[str]]:
    report = folder / "report.csv"
    call_command("import_wordpress", str(DATA / name), tenant=tenant.slug, report=report, batch_size=200)
    with report.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))[1:]


def made_of_items_only(output: str) -> int:
    """What the summary says."""
    found = re.search(r"terms named on items only: ([\d,]+) created", output)
    return int(found[1].replace(",", "")) if found else 0


@pytest.mark.parametrize("name", EXPECTED)
def test_an_export_is_taken_whole_and_once(
    name: str, tenant: tenants.Tenant, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = EXPECTED[name]

    rows = import_file(name, tenant, tmp_path)
    output, events = capsys.readouterr().out, making.event_count()
    import_file(name, tenant, tmp_path)

    assert making.event_count() == events
    assert Counter(models.Node.objects.values_list("kind", flat=True)) == expected["kinds"]
    in_menus = dict(zip(("menu items", "menus"), expected["menus"], strict=True))
    for label, count in (expected["heads"] | {name: count for name, count in in_menus.items() if count}).items():
        [line] = [line for line in output.splitlines() if line.strip().startswith(f"{label}: ")]
        numbers = [int(word.replace(",", "")) for word in line.split() if word.replace(",", "").isdigit()]
        assert sum(numbers) == count, line
    on_items_only = sum("not among those the file lists first" in row[3] for row in rows)
    assert on_items_only == expected.get("on_items_only", on_items_only)
    assert on_items_only == made_of_items_only(output)
    assert models.Menu.objects.count() == expected["menus"][1]
    categories = models.NodeCategory.objects.filter(category__taxonomy="category").count()
    assert (categories, models.NodeTag.objects.count()) == expected["links"]
    making.check_deferred_constraints()


def test_repeated_ids_of_menu_items_are_named(tenant: tenants.Tenant, tmp_path: Path) -> None:
    rows = import_file("themeunittestdata.wordpress.xml", tenant, tmp_path)

    assert sum("occurs more than once" in row[3] for row in rows) == 18


REFUSED = {"malformed-simple.xml": "line 14, column 0", "missing-version-tag.xml": "no wp:wxr_version"}


@pytest.mark.parametrize("path", sorted((DATA / "importer").glob("*.xml")), ids=lambda path: path.name)
def test_the_small_fixtures_are_taken_or_refused(path: Path, tenant: tenants.Tenant, tmp_path: Path) -> None:
    if message := REFUSED.get(path.name):
        with pytest.raises(CommandError, match=message):
            import_file(f"importer/{path.name}", tenant, tmp_path)
        assert making.event_count() == len(making.types_of(tenant.id))
        return

    import_file(f"importer/{path.name}", tenant, tmp_path)
    events = making.event_count()
    import_file(f"importer/{path.name}", tenant, tmp_path)

    assert making.event_count() == events
