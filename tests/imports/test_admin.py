"""Imports in the admin: sent, looked through, taken by workers that may be killed, watched, stopped and taken back."""

from __future__ import annotations

import gzip
import time
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from apps.accounts.access import roles
from apps.accounts.models import User
from apps.audit import models as audit
from apps.commerce import models
from apps.commerce.importing.writing import ProductsImporter
from apps.imports import formats, serving
from apps.imports import models as imports
from apps.kernel import failpoints, isolation
from apps.tenants import models as tenants
from tests import factories

HEADER = "Handle,Title,Variant Price\n"
SHOP = HEADER + "".join(f"p-{number},Product {number},9.90\n" for number in range(120)) + "bad,,1\n"


class Killed(BaseException):
    """As if the worker were gone."""


@pytest.fixture
def tenant(db: None) -> tenants.Tenant:
    return factories.make_tenant(default_locale="en", currency="EUR")


@pytest.fixture
def user(tenant: tenants.Tenant) -> User:
    return factories.make_member(tenant, "owner", factories.make_user(is_staff=True))


class Desk:
    """The admin of somebody, on the host of the tenant."""

    def __init__(self, tenant: tenants.Tenant, user: User) -> None:
        self.browser = Client(headers={"host": f"{tenant.slug}.test"})
        self.browser.force_login(user)

    def send(self, content: bytes | str = SHOP, name: str = "shop.csv", **fields: str) -> Any:
        data = content.encode() if isinstance(content, str) else content
        choices = {"format": "shopify", "locale": "en", "currency": "EUR", "location": "default"} | fields
        file = SimpleUploadedFile(name, data, content_type="text/csv")
        return self.browser.post("/admin/imports/run/upload/", choices | {"file": file})

    def page(self, run: imports.Run, rest: str = "change/") -> Any:
        return self.browser.get(f"/admin/imports/run/{run.id}/{rest}")

    def press(self, run: imports.Run, verb: str) -> Any:
        return self.browser.post(f"/admin/imports/run/{run.id}/do/{verb}/")


@pytest.fixture
def desk(tenant: tenants.Tenant, user: User) -> Desk:
    return Desk(tenant, user)


def run_of(tenant: tenants.Tenant) -> imports.Run:
    with factories.at_work(tenant):
        return imports.Run.objects.all()[0]


def products(tenant: tenants.Tenant) -> int:
    with factories.at_work(tenant):
        return models.Product.objects.count()


def work() -> None:
    """Let workers come until there is nothing left to do."""
    with isolation.all_tenants(reason="test"):
        while serving.advance(deadline=time.monotonic() + 60):
            pass


def test_a_file_is_looked_through_taken_and_taken_back(desk: Desk, tenant: tenants.Tenant) -> None:
    sent = desk.send(is_dry_run="on")
    dry = run_of(tenant)
    assert sent.headers["Location"] == f"/admin/imports/run/{dry.id}/change/"
    assert desk.page(dry, "progress/").json()["status"] == "queued"
    work()

    shown = desk.page(dry).content.decode()
    assert "Import it now" in shown
    assert "has no title" in shown
    assert products(tenant) == 0
    desk.press(dry, "repeat")
    run = run_of(tenant)
    assert run.id != dry.id
    work()

    progress = desk.page(run, "progress/").json()
    assert (progress["status"], progress["done"], progress["total"], progress["notes"]) == ("done", 121, 121, 1)
    assert {"kind": "products", "counts": {"created": 120, "skipped": 1}} in progress["lines"]
    rows = b"".join(desk.page(run, "problems.csv").streaming_content).decode().splitlines()
    assert rows[0] == "row,column,value,problem"
    assert rows[1].startswith("121,Title,,")
    assert products(tenant) == 120
    assert "Take it back" in desk.page(run).content.decode()

    desk.press(run, "undo")
    work()

    assert products(tenant) == 0
    assert desk.page(run, "progress/").json() | {"steps": []} == desk.page(run, "progress/").json()
    assert run_of(tenant).status == "undone"


@pytest.mark.parametrize("point", ["imports.before_commit", "imports.after_commit", "append.before_commit"])
def test_a_worker_that_is_killed_leaves_the_run_to_the_next(
    desk: Desk, tenant: tenants.Tenant, point: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.send()
    seen: list[str] = []

    def reach(name: str) -> None:
        seen.append(name)
        if seen.count(point) == 2 and name == point:
            raise Killed

    monkeypatch.setattr(failpoints, "reach", reach)
    with pytest.raises(Killed):
        work()
    monkeypatch.undo()
    work()

    run = run_of(tenant)
    assert (run.status, run.tally["products"]) == ("done", {"created": 120, "skipped": 1})
    assert products(tenant) == 120


def test_a_run_that_takes_its_worker_down_is_given_up(
    desk: Desk, tenant: tenants.Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.send()

    def die(name: str) -> None:
        raise Killed

    monkeypatch.setattr(failpoints, "reach", die)
    for _ in range(serving.ATTEMPTS):
        with pytest.raises(Killed):
            work()
    work()

    assert run_of(tenant).status == "stopped"
    assert "stopped its worker 5 times" in run_of(tenant).reason


def test_it_is_cancelled_and_goes_on(desk: Desk, tenant: tenants.Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.send()
    run = run_of(tenant)

    def cancel_after_the_first(name: str) -> None:
        if name == "imports.after_commit" and run_of(tenant).done == 50:
            desk.press(run, "cancel")

    monkeypatch.setattr(failpoints, "reach", cancel_after_the_first)
    work()
    monkeypatch.undo()

    assert (run_of(tenant).status, run_of(tenant).done, products(tenant)) == ("stopped", 50, 50)
    assert "Go on" in desk.page(run).content.decode()
    desk.press(run, "resume")
    work()
    assert (run_of(tenant).status, products(tenant)) == ("done", 120)


def test_what_is_asked_for_is_told_once_and_not_for_each_product(desk: Desk, tenant: tenants.Tenant) -> None:
    desk.send()
    work()

    with factories.at_work(tenant):
        actions = [entry.action for entry in audit.Entry.objects.filter(action__startswith="imports.").order_by("id")]
        assert actions == ["imports.run.asked", "imports.run.finished"]
        assert not audit.Entry.objects.filter(action__startswith="commerce.").exists()


@pytest.mark.parametrize(
    ("content", "name", "fields", "said"),
    [
        (b"PK\x03\x04 spreadsheet", "shop.csv", {}, "a ZIP archive or a spreadsheet"),
        (b"\x89PNG\r\n", "shop.csv", {}, "a picture"),
        (SHOP, "shop.xlsx", {}, "must end with .csv"),
        (SHOP, "shop.csv", {"currency": "EUX"}, "EUX"),
        (SHOP, "shop.csv", {"locale": "xx"}, "Select a valid choice"),
        (SHOP, "shop.csv", {"format": "tape"}, "Select a valid choice"),
        (SHOP, "shop.csv", {"encoding": "zlib"}, "no encoding of text"),
        (SHOP, "shop.csv", {"encoding": "unicode_escape"}, "no encoding of text"),
        (b"", "shop.csv", {}, "empty"),
    ],
)
def test_what_can_not_be_taken_is_said_on_the_page(
    desk: Desk, tenant: tenants.Tenant, content: bytes | str, name: str, fields: dict[str, str], said: str
) -> None:
    answer = desk.send(content, name, **fields)

    assert answer.status_code == 200
    assert said in answer.content.decode()
    with factories.at_work(tenant):
        assert not imports.Run.objects.exists()
        assert not imports.Piece.objects.exists()


def test_a_file_that_is_too_large_is_refused(
    desk: Desk, tenant: tenants.Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "LARGEST_FILE", 1000)

    assert "larger than" in desk.send().content.decode()
    with factories.at_work(tenant):
        assert not imports.Piece.objects.exists()


def test_a_wrong_file_stops_the_run_with_the_reason(desk: Desk, tenant: tenants.Tenant) -> None:
    desk.send("Name,Price\nx,1\n")
    work()

    run = run_of(tenant)
    assert run.status == "stopped"
    assert "no column Handle" in desk.page(run).content.decode()


def test_it_is_for_those_who_may_import_there(tenant: tenants.Tenant, user: User) -> None:
    Desk(tenant, user).send()
    run = run_of(tenant)
    with factories.at_work(tenant):
        grants = [roles.GrantInput(permission="products:read")]
        roles.create_role(new=roles.NewRole(slug="looker", name="Looker", grants=grants), by=None)
    other = Desk(tenant, factories.make_member(tenant, "looker", factories.make_user(is_staff=True)))
    foreign_tenant = factories.make_tenant(default_locale="en")
    foreign = Desk(foreign_tenant, factories.make_member(foreign_tenant, "owner", factories.make_user(is_staff=True)))

    assert other.send().status_code == 403
    assert other.page(run).status_code in {302, 403}
    assert other.press(run, "cancel").status_code == 403
    for rest in ("progress/", "problems.csv"):
        assert foreign.page(run, rest).status_code == 404
    assert foreign.press(run, "cancel").status_code == 404
    assert foreign.page(run).status_code in {302, 404}
    assert run_of(tenant).status == "queued"


def test_who_lost_the_permission_gets_nothing_imported(desk: Desk, tenant: tenants.Tenant, user: User) -> None:
    desk.send()
    with factories.at_work(tenant):
        from apps.accounts.models import Membership

        Membership.objects.filter(user=user).delete()

    work()

    assert run_of(tenant).status == "stopped"
    assert products(tenant) == 0


def fail(*_: Any) -> None:
    raise RuntimeError("no object is to blame")


def test_a_run_that_fails_again_and_again_waits_longer_and_longer_and_is_given_up(
    desk: Desk, tenant: tenants.Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.send()
    monkeypatch.setattr(ProductsImporter, "take", fail)
    waits = []
    for _ in range(serving.ATTEMPTS - 1):
        began = timezone.now()
        work()
        run = run_of(tenant)
        assert (run.status, run.done) == ("running", 0)
        waits.append(round((run.not_before - began) / serving.BACK_OFF))
        work()
        assert run_of(tenant).attempts == run.attempts
        due(tenant)
    work()

    run = run_of(tenant)
    assert waits == [1, 2, 4, 8]
    assert run.status == "stopped"
    assert "failed 5 times after row 0" in run.reason
    monkeypatch.undo()
    desk.press(run, "resume")
    work()
    assert (run_of(tenant).status, products(tenant)) == ("done", 120)


def due(tenant: tenants.Tenant) -> None:
    """As if the wait were over."""
    with factories.at_work(tenant):
        imports.Run.objects.update(not_before=timezone.now())


def test_a_run_that_comes_further_has_all_its_attempts_again(
    desk: Desk, tenant: tenants.Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.send()
    take = ProductsImporter.take
    for row in (50, 100):
        monkeypatch.setattr(
            ProductsImporter, "take", lambda *given, row=row: (fail if given[2] > row else take)(*given)
        )
        for _ in range(serving.ATTEMPTS - 1):
            due(tenant)
            work()
        assert (run_of(tenant).status, run_of(tenant).done) == ("running", row)
    monkeypatch.undo()
    due(tenant)
    work()

    assert (run_of(tenant).status, products(tenant)) == ("done", 120)


def test_others_are_worked_on_while_one_waits(
    desk: Desk, tenant: tenants.Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ProductsImporter, "take", fail)
    desk.send()
    work()
    monkeypatch.undo()
    desk.send(HEADER + "other,Other,1\n", name="other.csv")
    work()

    with factories.at_work(tenant):
        assert dict(imports.Run.objects.values_list("file_name", "status")) == {
            "shop.csv": "running",
            "other.csv": "done",
        }


@pytest.mark.parametrize("column", ["Handle", "Title", "Vendor", "Tags", "Variant SKU", "Image Src", "Option1 Value"])
def test_what_the_database_can_not_store_is_one_row_of_the_report(
    desk: Desk, tenant: tenants.Tenant, column: str
) -> None:
    cells = {
        "Handle": "bad",
        "Title": "Bad",
        "Vendor": "V",
        "Tags": "a",
        "Variant SKU": "S",
        "Image Src": "https://a.test/x",
    }
    cells |= {"Option1 Name": "Size", "Option1 Value": "L", "Variant Price": "1"}
    cells[column] = f"{cells[column]}\0x"
    good = dict.fromkeys(cells, "") | {"Handle": "good", "Title": "Good", "Variant Price": "1"}
    desk.send("\n".join(",".join(row) for row in (cells, cells.values(), good.values())))
    work()

    run = run_of(tenant)
    assert (run.status, run.total) == ("done", 2)
    with factories.at_work(tenant):
        assert models.Product.objects.filter(translations__title="Good").exists()


def test_a_name_of_woocommerce_with_a_nul_is_one_row_of_the_report(desk: Desk, tenant: tenants.Tenant) -> None:
    desk.send("ID,Type,SKU,Name,Published,Regular price\n1,simple,s1,Mu\0g,1,9.90\n", format="woocommerce")
    work()

    assert run_of(tenant).status == "done"


def test_notes_are_kept_without_what_the_database_can_not_store(tenant: tenants.Tenant) -> None:
    taking = formats.Taking(timezone.now(), is_dry_run=False)
    taking.note(row=1, column="a\0\ud800", value="b\udfff\0é", problem="c\0\ud800")

    [note] = taking.notes
    assert (note.column, note.value, note.problem) == ("a", "bé", "c")


@pytest.mark.parametrize("name", ["каталог" * 30 + ".csv", "目录" * 100 + ".csv.gz", "🛒" * 200 + ".csv", "x.csv"])
def test_a_file_has_its_name_in_any_script(desk: Desk, tenant: tenants.Tenant, name: str) -> None:
    desk.send(gzip.compress(SHOP.encode()) if name.endswith(".gz") else SHOP, name=name)
    work()

    run = run_of(tenant)
    assert (run.status, run.file_name) == ("done", name)
    assert name in desk.page(run).content.decode()
