"""The house stands: imports and foreign keys point down, tenant tables know their tenant; and each guard says no."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from django.apps import apps
from django.db import connection, models
from django.test.utils import isolate_apps

from apps.tenants.models import InTenantForeignKey, TenantModel
from tests.architecture import floors

CHECKOUT = Path(__file__).parents[2]


def our_models() -> list[type[models.Model]]:
    return [model for model in apps.get_models() if model._meta.app_label in floors.FLOORS]


def test_foreign_keys_point_down() -> None:
    assert list(floors.foreign_key_violations(our_models())) == []


def test_tenant_tables_lead_with_their_tenant() -> None:
    checked = [model for model in our_models() if issubclass(model, TenantModel)]

    assert len(checked) > 20
    assert list(floors.tenancy_violations(checked)) == []


@isolate_apps("apps.tenants")
def test_a_foreign_key_pointing_up_or_aside_is_found() -> None:
    class Upward(models.Model):
        product = models.ForeignKey("commerce.Product", on_delete=models.CASCADE)

        class Meta:
            app_label = "tenants"

    Upward._meta.get_field("product").remote_field.model = apps.get_model("commerce", "Product")

    assert list(floors.foreign_key_violations([Upward])) == ["tenants.Upward.product points to commerce.Product"]


@isolate_apps("apps.commerce")
def test_a_tenant_table_that_forgets_its_tenant_is_found() -> None:
    class Shelf(TenantModel):
        class Meta(TenantModel.Meta):
            app_label = "commerce"

    class Book(TenantModel):
        shelf = InTenantForeignKey(Shelf)
        isbn = models.TextField(unique=True)

        class Meta:
            app_label = "commerce"
            constraints = [models.UniqueConstraint(fields=["shelf"], name="book_shelf")]
            indexes = [models.Index(fields=["isbn"], name="book_isbn")]

    found = list(floors.tenancy_violations([Shelf, Book]))

    assert len(found) == 5
    assert any("base manager sees every tenant" in line for line in found)
    assert any("no SameTenant constraint" in line for line in found)
    assert any("unique over all tenants" in line for line in found)
    assert any("unique book_shelf does not lead" in line for line in found)
    assert any("index book_isbn does not lead" in line for line in found)


def test_the_database_holds_every_reference_between_tenant_tables(db: None) -> None:
    """The catalogue, not the models: a composite foreign key on (tenant_id, …) per reference."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'f'"
        )
        held = {(table, definition.split(" REFERENCES")[0]) for table, definition in cursor.fetchall()}

    for model in our_models():
        for field in model._meta.concrete_fields:
            target = field.related_model
            if issubclass(model, TenantModel) and isinstance(target, type) and issubclass(target, TenantModel):
                expected = (model._meta.db_table, f"FOREIGN KEY (tenant_id, {field.column})")
                assert expected in held, expected


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def copied_house(tmp_path: Path) -> Path:
    for package in ("apps", "rustok"):
        ignored = shutil.ignore_patterns("migrations", "__pycache__", "management")
        shutil.copytree(CHECKOUT / package, tmp_path / package, ignore=ignored)
    shutil.copy(CHECKOUT / ".importlinter", tmp_path)
    return tmp_path


def import_upwards(house: Path) -> None:
    (house / "apps/kernel/upward.py").write_text("from apps.tenants import scope\n")


def import_sibling(house: Path) -> None:
    (house / "apps/content/aside.py").write_text("from apps.commerce import models\n")


def import_root(house: Path) -> None:
    (house / "apps/kernel/root.py").write_text("from rustok import settings\n")


def add_app_without_floor(house: Path) -> None:
    (house / "apps/shipping").mkdir()
    (house / "apps/shipping/__init__.py").touch()


def test_imports_point_down(copied_house: Path) -> None:
    finished = lint_imports(copied_house)

    assert finished.returncode == 0, finished.stdout


@pytest.mark.parametrize("damage", [import_upwards, import_sibling, import_root, add_app_without_floor])
def test_the_import_contract_says_no(copied_house: Path, damage: Callable[[Path], None]) -> None:
    damage(copied_house)

    finished = lint_imports(copied_house)

    assert finished.returncode != 0, finished.stdout
