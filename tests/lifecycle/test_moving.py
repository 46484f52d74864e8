"""A tenant moves: exported, purged and imported, it is what it was, and its neighbour has noticed nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import zipfile
from pathlib import Path
from typing import Any

import orjson
import psycopg
import pytest
from django.core import mail
from django.core.management import CommandError
from django.db import connection, connections
from django.test import Client
from django.utils import timezone
from psycopg import sql

from apps.accounts import access
from apps.accounts import models as accounts
from apps.consumers import effects, status, tasks
from apps.consumers import models as consumers
from apps.kernel.database import roles
from apps.outbox import history, log, sequencer
from apps.outbox.models import Log
from apps.tenants import models, services
from rustok.lifecycle import archive, catalogue, checksum, importing
from tests import factories
from tests.audit import writing
from tests.lifecycle import moving

DATA = Path(os.environ.get("RUSTOK_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))
SECRETS = ("password", "secret", "digest", "token", "hash", "private", "credential")


def test_exported_purged_and_imported_a_tenant_is_what_it_was(
    tenant: models.Tenant, neighbour: models.Tenant, tmp_path: Path
) -> None:
    moving.suspend(tenant)
    before, beside = moving.sums(tenant.id), moving.rows_of(neighbour.id)

    exported = moving.export(tenant, tmp_path / "acme.zip")
    moving.purge(tenant)
    tasks.drain()
    assert moving.sums(tenant.id) == {}
    imported = moving.told("tenant_import", tmp_path / "acme.zip", quiet=True)
    tasks.drain()

    assert moving.sums(tenant.id) == before
    assert exported["checksum"] == imported["checksum"] == checksum.total(before)
    [told] = writing.entries_of(tenant.id)
    assert (told.action, told.actor) == ("tenants.tenant.imported", "command:tenant_import")
    assert told.read_changes()["checksum"] == [None, exported["checksum"]]
    assert set(before) > {"events", "files", "accounts_membership", "commerce_reservation", "content_redirect"}
    assert moving.rows_of(neighbour.id) == beside
    assert status.verify() == []


def test_the_storefront_answers_as_before(client: Client, tenant: models.Tenant, tmp_path: Path) -> None:
    paths = ["products", "categories", "content/page", f"content/page/team-{moving.CANARY}"]

    def read() -> list[bytes]:
        return [client.get(f"/api/v1/store/{path}", headers={"host": f"{tenant.slug}.test"}).content for path in paths]

    before = read()
    moving.suspend(tenant)
    moving.export(tenant, tmp_path / "acme.zip")
    moving.purge(tenant)
    assert b"tenant_not_found" in read()[0]
    moving.run("tenant_import", tmp_path / "acme.zip", quiet=True)
    services.resume_tenant(tenant=models.Tenant.objects.get(pk=tenant.pk))
    tasks.drain()

    assert moving.CANARY.encode() in before[0]
    assert read() == before


def test_a_tenant_answers_at_once_where_its_absence_was_known(
    client: Client, tenant: models.Tenant, tmp_path: Path, settings: Any
) -> None:
    settings.PLATFORM_HOSTS = ["internal"]
    names = [
        {"host": f"{tenant.slug}.test"},
        *({"host": "internal", "X-Tenant": n} for n in (tenant.slug, str(tenant.id))),
    ]

    def ask() -> list[int]:
        return [client.get("/api/v1/store/products", headers=name).status_code for name in names]

    moving.export(tenant, tmp_path / "acme.zip")
    moving.suspend(tenant)
    moving.purge(tenant)
    assert ask() == [404, 404, 404]

    moving.run("tenant_import", tmp_path / "acme.zip", quiet=True)

    assert ask() == [200, 200, 200]


def test_people_are_found_by_e_mail_or_made_without_a_password(tenant: models.Tenant, tmp_path: Path) -> None:
    known = factories.make_user(email="known@people.test")
    gone = factories.make_user(email="gone@people.test", name="Gone")
    for user in (known, gone):
        moving.account_services.grant_role(user=user, tenant=tenant, role="owner")
    moving.suspend(tenant)
    before = moving.sums(tenant.id)
    moving.export(tenant, tmp_path / "acme.zip")
    moving.purge(tenant)
    id_before = gone.id
    gone.delete()
    known.delete()
    elsewhere = factories.make_user(email="known@people.test")

    imported = moving.told("tenant_import", tmp_path / "acme.zip", quiet=True)

    made = accounts.User.objects.get(email="gone@people.test")
    assert imported["new_people"] == ["gone@people.test"]
    assert (made.id, made.name, made.has_usable_password(), made.is_staff) == (id_before, "Gone", False, False)
    assert set(access.rights_of(elsewhere, tenant.id, now=timezone.now()).roles) == {"owner"}
    assert moving.sums(tenant.id) == before


def test_customers_come_back_without_a_password_and_are_logged_in_nowhere(
    tenant: models.Tenant, tmp_path: Path
) -> None:
    moving.suspend(tenant)
    before = accounts.Customer.objects.get(tenant=tenant)
    assert before.has_usable_password()
    assert before.sessions.exists()
    moving.export(tenant, tmp_path / "acme.zip")
    moving.purge(tenant)

    moving.run("tenant_import", tmp_path / "acme.zip", quiet=True)

    moved = accounts.Customer.objects.get(tenant=tenant)
    assert (moved.id, moved.email, moved.has_usable_password()) == (before.id, before.email, False)
    assert not moved.sessions.exists()


def test_an_export_is_told_to_the_tenant(tenant: models.Tenant, tmp_path: Path) -> None:
    exported = moving.export(tenant, tmp_path / "acme.zip")

    told = writing.entries_of(tenant.id)[-1]
    assert (told.action, told.actor) == ("tenants.tenant.exported", "command:tenant_export")
    assert told.read_changes()["checksum"] == [None, exported["checksum"]]


def test_nothing_secret_and_nothing_derived_is_in_the_archive(tenant: models.Tenant, tmp_path: Path) -> None:
    password_hash = accounts.User.objects.get(name=moving.CANARY).password
    moving.export(tenant, tmp_path / "acme.zip")

    reader = archive.Reader(tmp_path / "acme.zip")
    texts = {part.name: b"\n".join(reader.lines(part)) for part in reader.manifest.parts if part.name.endswith(".zst")}

    assert not any(password_hash.encode() in text for text in texts.values())
    assert reader.manifest.left_out["consumers_effect"]
    assert reader.manifest.left_out["readmodels_productdocument"] == catalogue.READ_MODEL
    assert set(texts) == {
        *(f"tables/{table.name}.ndjson.zst" for table in catalogue.exported()),
        "people.ndjson.zst",
        "events.ndjson.zst",
    }


@pytest.mark.usefixtures("db")
def test_no_exported_column_sounds_like_a_secret() -> None:
    suspicious = [
        f"{table.name}.{column}"
        for table in catalogue.exported()
        for column in table.moved
        if any(word in column for word in SECRETS)
    ]

    assert suspicious == []


@pytest.mark.usefixtures("db")
def test_the_catalogue_knows_every_table_of_a_tenant_and_why_one_is_left_out() -> None:
    tables = catalogue.tables()
    names = {table.name for table in tables}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name FROM information_schema.columns JOIN information_schema.tables USING (table_name) "
            "WHERE column_name = 'tenant_id' AND table_type = 'BASE TABLE' AND table_name !~ '^outbox_log_'"
        )
        assert {row[0] for row in cursor.fetchall()} | {"tenants_tenant"} == names
    assert set(catalogue.LEFT_OUT) < names
    for number, table in enumerate(tables):
        for reference in table.references:
            later = {other.name for other in tables[number + 1 :]}
            assert reference.target not in later, f"{table.name} stands before {reference.target}"


@pytest.mark.usefixtures("db")
def test_no_row_of_a_tenant_hides_behind_another_and_drawn_numbers_are_known_by_their_place() -> None:
    tables = {table.name: table for table in catalogue.tables()}
    for name, references in catalogue._references().items():
        for reference in references:
            if reference.target in tables:
                assert name in tables, f"{name} belongs to rows of {reference.target} and has no tenant_id"
                drawn = {column.name for column in tables[reference.target].columns if column.is_surrogate}
                pairs = zip(reference.columns, reference.target_columns, strict=True)
                referring = {own for own, other in pairs if other in drawn}
                assert referring <= tables[name].ranked.keys(), f"{name} refers to a drawn number"


def test_effects_are_silent_about_history_and_speak_of_what_comes(tenant: models.Tenant, tmp_path: Path) -> None:
    assert len(mail.outbox) == 2  # by what was sold, and by what was reserved
    moving.suspend(tenant)
    moving.export(tenant, tmp_path / "acme.zip")
    moving.purge(tenant)
    mail.outbox.clear()

    moving.run("tenant_import", tmp_path / "acme.zip", quiet=True)
    services.resume_tenant(tenant=models.Tenant.objects.get(pk=tenant.pk))
    tasks.drain()
    notice = effects.find("low_stock_notice")
    assert notice is not None
    history_of_it = log.read_window(after=0, until=sequencer.head(), types=notice.types)
    planned, _ = effects.plan_stream(notice, history_of_it)

    assert len(planned) == 2
    assert effects.write(notice, planned, is_live=True) == 0
    assert mail.outbox == []
    assert not consumers.Effect.objects.filter(consumer=notice.name).exists()
    assert Log.objects.filter(tenant_id=tenant.id, type="commerce.inventory.low", meta__imported=True).exists()

    with factories.at_work(models.Tenant.objects.get(pk=tenant.pk)):
        variant = moving.shop.make_variant(sku="NEW")
        moving.shop.count(variant.id, 6, low_stock_threshold=3)
        moving.shop.adjust(variant.id, -5)
    tasks.drain()
    assert len(mail.outbox) == 1
    assert status.verify() == []


def test_an_effect_told_of_history_would_be_found(tenant: models.Tenant) -> None:
    low = Log.objects.filter(tenant_id=tenant.id, type="commerce.inventory.low").earliest("id")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE outbox_log SET meta = %s WHERE id = %s", [f'{{"{history.IMPORTED}": true}}', low.id])

    assert status.verify() == ["low_stock_notice has 1 effects planned for history that was brought in"]


def test_under_another_slug_and_other_domains_what_differs_is_told(tenant: models.Tenant, tmp_path: Path) -> None:
    moving.suspend(tenant)
    before = moving.sums(tenant.id)
    moving.export(tenant, tmp_path / "acme.zip")
    moving.purge(tenant)

    moving.run("tenant_import", tmp_path / "acme.zip", slug="acme-new", domain=["new.acme.test"], quiet=True)
    tasks.drain()

    moved = models.Tenant.objects.get(pk=tenant.pk)
    types = Log.objects.filter(tenant_id=tenant.id).order_by("id").values_list("type", flat=True)
    assert (moved.slug, [domain.host for domain in moved.domains.all()]) == ("acme-new", ["new.acme.test"])
    assert list(types)[-3:] == ["tenants.tenant.updated", "tenants.domain.removed", "tenants.domain.added"]
    differing = {name for name, part in moving.sums(tenant.id).items() if before[name] != part}
    assert differing == {"tenants_tenant", "tenants_domain", "events"}
    assert status.verify() == []


@pytest.mark.parametrize("no_domains", [True, False])
def test_what_is_taken_is_refused(tenant: models.Tenant, tmp_path: Path, no_domains: bool) -> None:
    moving.suspend(tenant)
    moving.export(tenant, tmp_path / "acme.zip")
    refusal = r"is here already; purge it first"
    with pytest.raises(CommandError, match=refusal):
        moving.run("tenant_import", tmp_path / "acme.zip", quiet=True, slug="other", no_domains=True)
    moving.purge(tenant)
    if no_domains:
        factories.make_tenant(slug=tenant.slug, domains=[])
    else:
        factories.make_tenant(slug="other", domains=[f"{tenant.slug}.test"])
    before = moving.places_of(moving.CANARY)

    complaint = 'slug ".*" exists already; give --slug' if no_domains else '.test" already leads to a tenant; give --no'
    with pytest.raises(CommandError, match=complaint):
        moving.run("tenant_import", tmp_path / "acme.zip", quiet=True)

    assert moving.places_of(moving.CANARY) == before
    moving.run("tenant_import", tmp_path / "acme.zip", quiet=True, slug="elsewhere", no_domains=True)


@pytest.mark.parametrize(
    ("harm", "complaint"),
    [
        ("cut", "no archive of a tenant, or not a whole one"),
        ("byte", "is refused"),
        ("row", "is not what was written"),
        ("line lost", "is not what was written"),
        ("part lost", "has not the parts its manifest promises"),
        ("part added", "has not the parts its manifest promises"),
        ("manifest", "its manifest is not the one that was written"),
        ("format", "has format 2; this code reads format 1"),
        ("sealed lie", "its checksum is not that of its parts|is not what was written"),
        ("way out", "leads out of its folder"),
        ("text", "no archive of a tenant, or not a whole one"),
        ("nothing", "can't be read"),
    ],
)
def test_an_archive_that_was_touched_is_refused_before_anything_is_written(
    tenant: models.Tenant, tmp_path: Path, harm: str, complaint: str
) -> None:
    moving.suspend(tenant)
    path = tmp_path / "acme.zip"
    moving.export(tenant, path)
    moving.purge(tenant)
    before, head = moving.places_of(moving.CANARY), Log.objects.count()
    harmed(path, harm)

    with pytest.raises(CommandError, match=complaint):
        moving.run("tenant_import", path, quiet=True)

    assert moving.places_of(moving.CANARY) == before
    assert Log.objects.count() == head
    assert not models.Tenant.objects.filter(pk=tenant.pk).exists()


def harmed(path: Path, harm: str) -> None:
    content = path.read_bytes()
    if harm == "cut":
        path.write_bytes(content[: len(content) * 2 // 3])
    elif harm == "byte":
        at = len(content) // 2
        path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
    elif harm == "text":
        path.write_text("hello")
    elif harm == "nothing":
        path.unlink()
    else:
        rewritten(path, harm)


def rewritten(path: Path, harm: str) -> None:
    with zipfile.ZipFile(path) as old:
        parts = {name: old.read(name) for name in old.namelist()}
    name = "tables/commerce_product.ndjson.zst"
    lines = archive.zstd.decompress(parts[name]).splitlines()
    told = orjson.loads(parts["manifest.json"])
    if harm == "row":
        parts[name] = archive.zstd.compress(b"\n".join(lines).replace(b"published", b"publ1shed") + b"\n")
    elif harm == "line lost":
        parts["events.ndjson.zst"] = archive.zstd.compress(
            b"\n".join(archive.zstd.decompress(parts["events.ndjson.zst"]).splitlines()[:-1]) + b"\n"
        )
    elif harm == "part lost":
        del parts[name]
    elif harm == "part added":
        parts["tables/extra.ndjson.zst"] = parts[name]
    elif harm in ("manifest", "format"):
        told |= {"slug": "evil"} if harm == "manifest" else {"format": 2}
    elif harm == "way out":
        told["parts"].append({**told["parts"][0], "name": "files/../elsewhere/x"})
        parts["files/../elsewhere/x"] = b""
        manifest = archive.Manifest(**told | {"parts": [archive.Part(**part) for part in told["parts"]]})
        told = orjson.loads(manifest.to_json())
    elif harm == "sealed lie":
        manifest = archive.Manifest(
            **told | {"parts": [archive.Part(**part) for part in told["parts"]], "checksum": "0" * 64}
        )
        told = orjson.loads(manifest.to_json())
    parts["manifest.json"] = orjson.dumps(told)
    with zipfile.ZipFile(path, "w") as new:
        for each, content in parts.items():
            new.writestr(each, content)


def test_of_two_imports_at_once_one_is_refused(tenant: models.Tenant, tmp_path: Path) -> None:
    moving.suspend(tenant)
    before = moving.sums(tenant.id)
    moving.export(tenant, tmp_path / "acme.zip")
    moving.purge(tenant)
    outcomes: list[str] = []
    ready = threading.Barrier(2)

    def bring_in() -> None:
        try:
            ready.wait(10)
            importing.import_tenant(tmp_path / "acme.zip", placement=importing.Placement())
            outcomes.append("imported")
        except importing.errors.DomainError as error:
            outcomes.append(error.code)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=bring_in) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    tasks.drain()

    assert "imported" in outcomes
    assert set(outcomes) - {"imported"} <= {"tenant_busy", "tenant_id_taken"}
    assert len(outcomes) == 2
    assert moving.sums(tenant.id) == before
    assert status.verify() == []


def test_an_archive_with_columns_or_tables_of_another_schema_is_refused(
    tenant: models.Tenant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "acme.zip"
    moving.export(tenant, path)
    tables = catalogue.exported()
    without = [table for table in tables if table.name != "commerce_price"]

    monkeypatch.setattr(catalogue, "exported", lambda: without)
    with pytest.raises(CommandError, match='rows of "commerce_price", which this installation does not know'):
        moving.run("tenant_import", path, quiet=True)

    grown = [with_needed_column(table) if table.name == "commerce_price" else table for table in tables]
    monkeypatch.setattr(catalogue, "exported", lambda: grown)
    with pytest.raises(CommandError, match='older than this installation: "commerce_price" needs tax_class'):
        moving.run("tenant_import", path, quiet=True)


def with_needed_column(table: catalogue.Table) -> catalogue.Table:
    column = catalogue.Column("tax_class", is_surrogate=False, is_generated=False, is_needed=True, key_place=-1)
    return catalogue.Table(table.name, (*table.columns, column), table.references, table.reason)


def test_what_was_written_is_compared_before_it_is_committed(
    tenant: models.Tenant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moving.suspend(tenant)
    moving.export(tenant, tmp_path / "acme.zip")
    moving.purge(tenant)
    monkeypatch.setattr(history, "write", lambda tenant_id, lines: None)

    with pytest.raises(CommandError, match=r"What was written is not what .* holds: events"):
        moving.run("tenant_import", tmp_path / "acme.zip", quiet=True)

    assert not models.Tenant.objects.filter(pk=tenant.pk).exists()


def test_an_export_is_of_one_moment_beside_writers(tenant: models.Tenant, tmp_path: Path) -> None:
    stop, wrote = threading.Event(), threading.Event()

    def write() -> None:
        try:
            with factories.at_work(tenant):
                while not stop.is_set():
                    moving.shop.make_product(title="Written meanwhile")
                    wrote.set()
        finally:
            connections.close_all()

    writer = threading.Thread(target=write)
    writer.start()
    products: list[int] = []
    try:
        for number in range(3):
            wrote.clear()
            assert wrote.wait(20)
            moving.export(tenant, tmp_path / f"{number}.zip")
            reader = archive.Reader(tmp_path / f"{number}.zip")
            parts = {part.name: part for part in reader.manifest.parts}
            products.append(parts["tables/commerce_product.ndjson.zst"].rows)
            created = [line for line in reader.lines(parts["events.ndjson.zst"]) if b"commerce.product.created" in line]
            assert len(created) == products[-1]
    finally:
        stop.set()
        writer.join()

    assert products == sorted(set(products))


@pytest.fixture
def second_installation(_superuser: psycopg.Connection[Any], committed_db: None) -> Any:
    """A database of its own, migrated; commands run on it in processes of their own."""
    name = f"{connection.settings_dict['NAME']}_second"
    _superuser.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name)))
    _superuser.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(name), sql.Identifier(roles.OWNER)))

    def run(*arguments: str) -> str:
        command = [sys.executable, "-m", "tests.faults.work", name, "command", *arguments]
        environment = os.environ | {"DJANGO_SETTINGS_MODULE": "tests.faults.settings"}
        finished = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
        assert finished.returncode == 0, finished.stderr
        return finished.stdout

    run("migrate", "-v", "0")
    yield run
    _superuser.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def test_in_a_second_installation_the_checksum_is_the_same(
    tenant: models.Tenant, tmp_path: Path, second_installation: Any
) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    moving.files.delete_all(tenant.id)  # a process of its own has another place for files
    exported = moving.export(tenant, tmp_path / "acme.zip")

    second_installation("tenant_import", str(tmp_path / "acme.zip"), "--quiet")
    told = orjson.loads(second_installation("tenant_checksum", tenant.slug, "--json"))

    assert told["checksum"] == exported["checksum"] == checksum.total(moving.sums(tenant.id))


def test_an_interrupted_export_leaves_no_file(
    tenant: models.Tenant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def press_ctrl_c(tenant_id: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(history, "read", press_ctrl_c)

    with pytest.raises(CommandError, match="interrupted; nothing is left of the file") as interrupted:
        moving.export(tenant, tmp_path / "acme.zip")

    assert interrupted.value.returncode == 130
    assert [path for path in tmp_path.iterdir() if path.is_file()] == []


@pytest.mark.skipif(not DATA.exists(), reason=f"no real exports at {DATA}; set RUSTOK_SHARED_DATA")
def test_a_real_catalogue_and_site_come_back_equal(committed_db: None, tmp_path: Path) -> None:
    tenant = factories.make_tenant(currency="USD", locales=["de", "fr"])
    moving.run("import_shopify", DATA / "shopify" / "foa-mattress-63.csv", tenant=tenant.slug, quiet=True)
    moving.run("import_wordpress", DATA / "wxr" / "themeunittestdata.wordpress.xml", tenant=tenant.slug, quiet=True)
    tasks.drain()
    moving.suspend(tenant)
    before = moving.sums(tenant.id)

    moving.export(tenant, tmp_path / "real.zip")
    moving.purge(tenant)
    moving.run("tenant_import", tmp_path / "real.zip", quiet=True)
    tasks.drain()

    assert before["commerce_product"].rows == 63
    assert before["content_node"].rows > 20
    assert moving.sums(tenant.id) == before
    assert status.verify() == []
