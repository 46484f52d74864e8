"""`import_wordpress`: what a site becomes, again and again, and what is refused."""

from __future__ import annotations

import bz2
import csv
import gzip
import re
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from apps.content import models, queries, services
from apps.content.wordpress import importing, mapping, reading, refusing
from apps.kernel import imports
from apps.outbox.models import Log
from apps.tenants import models as tenants
from tests import factories
from tests.content import making, wxr

SITE = "wordpress:site.test"


class Run:
    """Runs the command for one tenant; `rows` are the report of the last run."""

    def __init__(self, tenant: tenants.Tenant, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.tenant, self.folder, self.capsys = tenant, folder, capsys
        self.rows: list[tuple[int, str, str, str]] = []

    def __call__(self, path: Path, **options: Any) -> str:
        report = self.folder / "report.csv"
        try:
            call_command("import_wordpress", str(path), tenant=self.tenant.slug, report=report, **options)
        finally:
            if report.exists():
                with report.open(encoding="utf-8", newline="") as file:
                    self.rows = [(int(row[0]), row[1], row[2], row[3]) for row in list(csv.reader(file))[1:]]
        return self.capsys.readouterr().out

    def problems(self, row: int) -> list[str]:
        return [problem for number, _, _, problem in self.rows if number == row]


@pytest.fixture
def run(tenant: tenants.Tenant, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    return Run(tenant, tmp_path, capsys)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return wxr.small_site(tmp_path / "site.xml")


def node(key: object) -> models.Node:
    found = models.Node.objects.get(external_id=f"{SITE}:{key}")
    return queries.get_node(node_id=found.id)


def state() -> dict[str, Any]:
    """All content of the tenant at work, without ids and the times of writing."""
    names = {row.id: row.external_id for row in models.Node.objects.all()}
    terms = dict(models.CategoryTranslation.objects.values_list("category_id", "slug"))
    terms |= dict(models.TagTranslation.objects.values_list("tag_id", "slug"))
    found: dict[str, Any] = {}
    for id, external_id in names.items():
        whole = queries.get_node(node_id=id)
        found[str(external_id)] = {
            "fields": (whole.kind, whole.status, whole.author_name, whole.metadata, whole.published_at, whole.depth),
            "parent": names.get(whole.parent_id) if whole.parent_id else None,
            "old_paths": whole.old_paths,
            "translations": [(row.locale, row.title, row.slug, row.excerpt) for row in whole.translations.all()],
            "bodies": [(row.locale, row.format, row.body) for row in whole.bodies.all()],
            "terms": [terms[link.category_id] for link in whole.category_links.all()],
            "tags": sorted(terms[link.tag_id] for link in whole.tag_links.all()),
        }
    rows = models.CategoryTranslation.objects.values_list("taxonomy", "slug", "name", "category__depth")
    return found | {"categories": sorted(rows)}


def test_a_small_site_becomes_nodes_and_terms(run: Run, site: Path, at_work: Any) -> None:
    output = run(site)

    assert "pages: 3 created" in output
    assert "posts: 7 created" in output
    assert "comments: 6 created" in output
    assert "menu items: 1 created, 0 updated, 0 unchanged, 1 skipped" in output
    hello = node(20)
    [text], [body] = hello.translations.all(), hello.bodies.all()
    assert (hello.kind, hello.status, hello.author_name) == ("post", "published", "Ann Author")
    assert str(hello.published_at) == "2020-01-02 03:04:05+00:00"
    assert (text.locale, text.title, text.slug, text.excerpt) == ("en", "Hello", "hello", "Short")
    assert body.body == '<!-- wp:paragraph -->\n<p>Hi [gallery ids="1"]</p>\n<!-- /wp:paragraph -->'
    assert hello.metadata == {
        "link": "https://site.test/hello/",
        "slug": "hello",
        "sticky": True,
        "featured_image": f"{SITE}:30",
        "meta": {"mood": ["calm", "glad"], "sizes": 'a:1:{s:1:"a";i:1;}'},
    }
    slugs = dict(models.CategoryTranslation.objects.values_list("category_id", "slug"))
    assert [slugs[link.category_id] for link in hello.category_links.all()] == ["local", "jazz", "post-format-aside"]
    tags = models.TagTranslation.objects.filter(tag__node_links__node=hello).values_list("slug", flat=True)
    assert set(tags) == {"red", "blue"}


def test_parents_are_found_wherever_they_are(run: Run, site: Path, at_work: Any) -> None:
    run(site)

    assert node(11).parent_id == node(10).id
    assert node(30).parent_id == node(20).id
    assert (node(60).parent_id, node(60).depth) == (None, 0)
    assert run.problems(15) == ["the parent is not in the file; taken without a parent"]
    local = models.CategoryTranslation.objects.select_related("category").get(slug="local")
    assert (local.name, local.category.depth) == ("Local & near", 1)
    making.check_deferred_constraints()


def test_comments_are_nodes_below_what_they_answer(run: Run, site: Path, at_work: Any) -> None:
    run(site)

    first, answer, spam, waiting, ping, lost = (node(f"comment:{number}") for number in range(1, 7))
    assert first.parent_id == spam.parent_id == lost.parent_id == node(20).id
    assert (answer.parent_id, answer.depth) == (first.id, 2)
    assert [row.status for row in (first, spam, waiting)] == ["published", "archived", "draft"]
    assert [row.is_spam for row in (first, spam, waiting)] == [False, True, False]
    assert answer.metadata == {"author_name": "Bob", "url": "https://bob.test/"}
    assert ping.metadata["comment_type"] == "pingback"
    assert first.author_name == "Eve"
    assert [row.title for row in answer.translations.all()] == ["Comment by Bob"]
    assert "the comment it answers is not in the file, or answers it; placed below the post" in run.problems(3)


def test_statuses_dates_and_slugs(run: Run, site: Path, at_work: Any) -> None:
    run(site)

    assert [node(id).status for id in (21, 22, 23, 24)] == ["draft", "draft", "archived", "draft"]
    assert node(21).metadata["has_password"] is True
    assert "hush" not in str(list(Log.objects.values_list("data", flat=True)))
    assert (node(22).metadata["status"], node(22).metadata["date"]) == ("future", "2099-01-01T00:00:00.000000Z")
    assert making.slug_of(node(25)) == "privet"
    assert making.slug_of(node(26)) == "hello-2"
    assert [row.title for row in node(24).translations.all()] == ["No title"]
    assert run.problems(4) == ["protected by a password; taken as a draft"]
    assert run.problems(5) == ["taken as a draft; the metadata keep the status and the date"]
    assert 'the slug "hello" is taken; got "hello-2"' in run.problems(9)
    assert run.problems(8) == ['slugs are a-z, 0-9 and hyphens; taken as "privet"']


def test_files_and_custom_types(run: Run, site: Path, at_work: Any) -> None:
    run(site)

    photo = node(30)
    assert (photo.kind, photo.status) == ("attachment", "published")
    assert photo.metadata == {
        "link": "https://site.test/photo/",
        "slug": "photo",
        "url": "https://site.test/files/photo.jpg?x=1",
        "mime_type": "image/jpeg",
        "file": "2020/photo.jpg",
        "alt": "A photo",
        "width": 640,
        "height": 480,
    }
    assert (node(40).kind, node(40).metadata["post_type"]) == ("custom", "portfolio")
    [css] = node(41).bodies.all()
    assert (css.format, css.body) == ("plain", "a > b { color: red }")
    assert (node(40).status, node(41).status) == ("published", "draft")
    assert (node(10).metadata["menu_order"], node(10).metadata["template"]) == (3, "wide.php")


def test_menus_and_what_is_left_out_are_rows_of_the_report(run: Run, site: Path, at_work: Any) -> None:
    output = run(site)

    repeated = [problem for _, column, _, problem in run.rows if column == "wp:post_type" and "occurs" in problem]
    assert repeated == ["the post id 50 occurs more than once; the first one is taken"]
    menu = models.Menu.objects.get()
    assert (menu.name, [item["titles"] for item in menu.items]) == ("Main menu", [{"en": "50"}])
    assert (3, "content:encoded", "<script>", "not allowed in a body; left out") in run.rows
    assert any(column == "wp:postmeta huge" for _, column, _, _ in run.rows)
    assert "2 custom fields with addresses or passwords were left out" in output


def test_a_term_named_on_items_only_is_a_row_each_time(run: Run, tmp_path: Path, at_work: Any) -> None:
    both = [("post_tag", "red", "Red"), ("post_format", "post-format-video", "Video")]
    path = wxr.write(
        tmp_path / "a.xml",
        wxr.tag("blue", "Blue"),
        wxr.item(1, "First", terms=[("post_tag", "blue", "Blue")]),
        wxr.item(2, "Second", terms=both),
        wxr.item(3, "Third", terms=both),
    )
    expected = [
        (
            2,
            "category",
            name,
            f"a term of {taxonomy} that is not among those the file lists first; taken from this item",
        )
        for taxonomy, _, name in both
    ]

    output = run(path)
    first_rows = run.rows
    again = run(path, batch_size=1)

    assert first_rows == run.rows == expected
    assert "terms named on items only: 2 created, 0 updated, 0 unchanged" in output
    assert "terms named on items only: 0 created, 0 updated, 2 unchanged" in again


def test_nothing_personal_is_kept(run: Run, site: Path, at_work: Any) -> None:
    run(site)

    kept = str(list(Log.objects.values_list("data", flat=True))) + str(state()) + str(run.rows)
    assert "private.test" not in kept
    assert "198.51.100.7" not in kept


def test_the_same_file_again_changes_nothing(run: Run, site: Path, at_work: Any) -> None:
    run(site)
    before, events = state(), making.event_count()
    stamps = list(models.Node.objects.order_by("id").values_list("id", "updated_at"))

    output = run(site)

    assert making.event_count() == events
    assert state() == before
    assert list(models.Node.objects.order_by("id").values_list("id", "updated_at")) == stamps
    assert not re.search(r"[1-9]\d* (created|updated)", output)
    assert "comments: 0 created, 0 updated, 6 unchanged" in output


def test_a_newer_export_changes_what_differs_only(run: Run, tmp_path: Path, at_work: Any) -> None:
    old = wxr.write(
        tmp_path / "old.xml",
        wxr.category("news", "News"),
        wxr.item(1, "Same", name="same"),
        wxr.item(2, "Old title", name="old-slug", terms=[("category", "news", "News")]),
        wxr.item(3, "Draft", name="draft", status="draft"),
        wxr.item(4, "Public", name="public"),
        wxr.item(5, "Child", type="page", name="child"),
        wxr.item(6, "Kept", name="kept"),
    )
    new = wxr.write(
        tmp_path / "new.xml",
        wxr.category("news", "Latest news", parent="all"),
        wxr.category("all", "All"),
        wxr.item(1, "Same", name="same"),
        wxr.item(2, "New title", name="new-slug"),
        wxr.item(3, "Draft", name="draft"),
        wxr.item(4, "Public", name="public", status="draft"),
        wxr.item(5, "Child", type="page", name="child", parent=7),
        wxr.item(6, "Kept", name="kept", status="trash"),
        wxr.item(7, "Parent", type="page", name="parent"),
    )
    run(old)

    output = run(new)

    assert "posts: 0 created, 4 updated, 1 unchanged, 0 skipped" in output
    assert "categories: 1 created, 1 updated" in output
    assert making.types_of(node(1).id) == ["node.created", "paths.updated", "node.published"]
    changed = ["node.updated", "paths.updated", "translation.updated", "redirect.added"]
    assert making.types_of(node(2).id)[3:] == changed
    assert making.slug_of(node(2)) == "new-slug"
    assert [node(id).status for id in (3, 4, 6)] == ["published", "draft", "archived"]
    assert node(5).parent_id == node(7).id
    assert queries.find_redirect(kind="post", locale="en", slug="old-slug") is not None


def test_an_import_that_died_is_finished_by_the_next_one(
    run: Run, site: Path, at_work: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        """Like a kill -9: nothing of ours catches it."""

    take, calls = importing.Importer._take, Counter[str]()

    def die_in_the_fourth(self: Any, batch: Any) -> None:
        calls["batch"] += 1
        take(self, batch)
        if calls["batch"] == 4:
            raise Killed

    monkeypatch.setattr(importing.Importer, "_take", die_in_the_fourth)
    with pytest.raises(Killed):
        run(site, batch_size=3)
    monkeypatch.undo()
    written = models.Node.objects.count()
    run(site, batch_size=3)
    resumed = state()

    undisturbed = factories.make_tenant()
    with factories.at_work(undisturbed):
        Run(undisturbed, run.folder, run.capsys)(site)
        assert 0 < written < models.Node.objects.count()
        assert resumed == state()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, r"^interrupted; written so far: .*pages: \d+ created.*\. Run it again to go on\.$"),
        ({"dry_run": True}, "nothing was"),
    ],
)
def test_ctrl_c_tells_how_far_it_came(
    run: Run, site: Path, at_work: Any, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], said: str
) -> None:
    take, batches = importing.Importer._take, list[int]()

    def interrupt_in_the_third(self: Any, batch: Any) -> None:
        batches.append(len(batch))
        if len(batches) == 3:
            signal.raise_signal(signal.SIGINT)
        take(self, batch)

    monkeypatch.setattr(importing.Importer, "_take", interrupt_in_the_third)

    with pytest.raises(CommandError, match=said) as interrupted:
        run(site, batch_size=3, **options)

    assert interrupted.value.returncode == 130
    assert models.Node.objects.count() == (0 if options else 12)  # whole items, with their comments


def test_a_dry_run_says_the_same_and_writes_nothing(run: Run, site: Path, at_work: Any) -> None:
    before = making.event_count()

    dry = run(site, dry_run=True)
    dry_rows = run.rows
    events_after_dry = making.event_count()
    wet = run(site)

    assert events_after_dry == before
    assert "Would import 15 items" in dry
    assert dry.splitlines()[1:] == wet.splitlines()[1:-1]
    assert wet.splitlines()[-1].startswith("To take it back: manage.py import_wordpress --tenant ")
    assert dry_rows == run.rows


def test_an_object_that_cannot_be_taken_is_skipped_whole(run: Run, tmp_path: Path, at_work: Any) -> None:
    path = wxr.write(
        tmp_path / "odd.xml",
        wxr.item(1, "Fine", terms=[("post_tag", "new", "New")]),
        wxr.item(2, "Too long", content="x" * 1_000_001, comments=wxr.comment(1) + wxr.comment(2, parent=1)),
        wxr.item(3, "Fine too", terms=[("post_tag", "new", "New")]),
    )

    with pytest.raises(CommandError, match="Skipped objects: 3") as ended:
        run(path)

    assert ended.value.returncode == 3
    assert set(models.Node.objects.values_list("external_id", flat=True)) == {f"{SITE}:1", f"{SITE}:3"}
    assert models.Tag.objects.count() == 1
    assert run.problems(2)[0].endswith("this has at most 1000000 characters; skipped")
    assert run.problems(2)[1:] == ["what it comments on was not taken"] * 2
    assert "posts: 2 created, 0 updated, 0 unchanged, 1 skipped" in run.capsys.readouterr().out


def test_an_id_that_comes_twice_is_taken_once(run: Run, tmp_path: Path, at_work: Any) -> None:
    path = wxr.write(
        tmp_path / "twice.xml",
        wxr.item(1, "First", comments=wxr.comment(1)),
        wxr.item(1, "Second", comments=wxr.comment(2)),
        wxr.item(3, "Third", comments=wxr.comment(1)),
    )

    with pytest.raises(CommandError, match="Skipped objects: 3"):
        run(path)

    titles = models.NodeTranslation.objects.exclude(kind="comment").values_list("title", flat=True)
    assert set(titles) == {"First", "Third"}
    assert "the post id 1 occurs more than once; the first one is taken" in run.problems(2)
    assert "its post, with the id 1, was not taken" in run.problems(2)
    assert "the comment id 1 occurs more than once; the first one is taken" in run.problems(3)


def test_circles_in_the_file_are_reported(run: Run, tmp_path: Path, at_work: Any) -> None:
    path = wxr.write(
        tmp_path / "circle.xml",
        wxr.category("a", "A", parent="b"),
        wxr.category("b", "B", parent="a"),
        wxr.item(1, "One", type="page", parent=2),
        wxr.item(2, "Two", type="page", parent=1),
        wxr.item(3, "Three", comments=wxr.comment(7, parent=8) + wxr.comment(8, parent=7)),
    )

    run(path)
    events = making.event_count()
    run(path)

    assert any("below" in problem for problem in run.problems(1))
    assert node(2).parent_id == node(1).id
    assert (node("comment:8").parent_id, node("comment:7").parent_id) == (node(3).id, node("comment:8").id)
    assert making.event_count() == events


def test_terms_that_go_too_deep_are_skipped_and_named(run: Run, tmp_path: Path, at_work: Any) -> None:
    levels = [
        wxr.category(f"level-{number}", f"Level {number}", parent=f"level-{number - 1}") for number in range(1, 103)
    ]
    path = wxr.write(tmp_path / "deep.xml", wxr.category("level-0", "Level 0"), *levels)

    with pytest.raises(CommandError, match="Skipped objects: 2;") as ended:
        run(path, batch_size=200)

    assert ended.value.returncode == 3
    assert models.Category.objects.count() == 101
    assert [name for _, _, name, _ in run.rows] == ["Level 101", "Level 102"]
    assert "101 ancestors" in run.rows[0][3]
    assert run.rows[1][3] == 'its parent "level-101" was not taken'


@pytest.mark.parametrize(
    ("version", "scheme", "gzipped"), [("1.0", "http", False), ("1.1", "http", True), ("1.2", "https", True)]
)
def test_all_versions_namespaces_and_gzip_are_read(
    run: Run, tmp_path: Path, at_work: Any, version: str, scheme: str, gzipped: bool
) -> None:
    path = wxr.write(tmp_path / "v.xml", wxr.item(1, "Read"), version=version, scheme=scheme)
    if gzipped:
        path.write_bytes(gzip.compress(path.read_bytes()))

    output = run(path)

    assert f"(WXR {version})" in output
    assert [row.title for row in node(1).translations.all()] == ["Read"]


def test_an_item_without_an_id_is_known_by_its_guid(run: Run, tmp_path: Path, at_work: Any) -> None:
    guid = f"https://site.test/?p=1&x={'y' * 300}"
    item = wxr.item(None, "No id").replace("</item>", f"{wxr.element('guid', guid)}</item>")
    path = wxr.write(tmp_path / "guid.xml", item, wxr.item(None, "Only a link", name="only"))

    run(path)
    events = making.event_count()
    run(path)

    assert making.event_count() == events
    found = set(models.Node.objects.values_list("external_id", flat=True))
    assert f"{SITE}:https://site.test/only/" in found
    assert any(str(external_id).startswith("wordpress:sha256:") for external_id in found)


def test_another_locale_can_be_named(run: Run, tmp_path: Path, at_work: Any) -> None:
    path = wxr.write(tmp_path / "de.xml", wxr.item(1, "Hallo"), language="fr-FR")

    output = run(path, locale="de")

    assert [row.locale for row in node(1).translations.all()] == ["de"]
    assert 'The file says its language is "fr-FR"; it was taken as "de"' in output
    with pytest.raises(CommandError, match=r'--locale: "fr" is not enabled.*enabled: de, en\. .*enable_locale'):
        run(path, locale="fr")


def test_quiet_says_nothing(run: Run, site: Path, at_work: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(site, quiet=True) == ""
    assert capsys.readouterr().err == ""


BOMB = '<?xml version="1.0"?><!DOCTYPE r [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><rss><channel>&b;</channel></rss>'


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: "", "is empty"),
        (lambda text: "id;title\n1;x", "not well-formed XML at line 1, column 2: not well-formed (invalid token)"),
        (lambda text: text[:-60], "not well-formed XML at line"),
        (lambda text: text.replace("<title>", "<1>", 1), "invalid token"),
        (lambda text: "<html><body/></html>", "not a WordPress export: it has <html> where <rss>"),
        (lambda text: '<rss version="2.0"><channel><title>x</title></channel></rss>', "it has no wp:wxr_version"),
        (lambda text: text.replace(">1.2<", ">2.0<"), 'its wp:wxr_version is "2.0"; known are 1.0, 1.1, 1.2'),
        (lambda text: BOMB, "declares a document type or entities"),
        (lambda text: text.replace("UTF-8", "KLINGON"), "encoding"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_before_anything_is_written(
    run: Run, site: Path, at_work: Any, damage: Callable[[str], str], message: str
) -> None:
    site.write_text(damage(site.read_text(encoding="utf-8")), encoding="utf-8")
    before = making.event_count()

    with pytest.raises(CommandError, match=re.escape(message)) as refused:
        run(site)

    assert refused.value.returncode == 1
    assert str(site) in str(refused.value)
    assert making.event_count() == before


def flip(packed: bytes, *, at: int) -> bytes:
    return packed[:at] + bytes([packed[at] ^ 0xFF]) + packed[at + 1 :]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text.encode("utf-16"), "is UTF-16 and does not say so in its first line; save it as UTF-8"),
        (lambda text: text.encode("utf-16-be"), "is UTF-16 and does not say so"),
        (lambda text: gzip.compress(text.encode("utf-16")), "is UTF-16 and does not say so"),
        (lambda text: b"PK\x03\x04" + text.encode(), "is a zip archive; unpack it"),
        (lambda text: bz2.compress(text.encode()), "is packed with bzip2; unpack it"),
        (lambda text: text.encode().replace(b"Hello", b"Ol\x81"), "is 0x81; save it as UTF-8"),
        (lambda text: gzip.compress(text.encode())[:-9], "is damaged: Compressed file ended before"),
        (lambda text: gzip.compress(text.encode())[:11], "is damaged: Compressed file ended before"),
        (lambda text: flip(gzip.compress(text.encode(), 0), at=200), "is damaged: CRC check failed"),
    ],
)
def test_the_real_reason_is_told_and_not_what_the_parser_makes_of_it(
    run: Run, site: Path, at_work: Any, damage: Callable[[str], bytes], message: str
) -> None:
    site.write_bytes(damage(site.read_text(encoding="utf-8")))
    before = making.event_count()

    with pytest.raises(CommandError, match=re.escape(message)) as refused:
        run(site)

    assert str(refused.value).startswith(f'"{site}" ')
    assert "well-formed" not in str(refused.value)
    assert making.event_count() == before


def test_a_byte_that_is_no_text_is_found_wherever_the_pieces_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = wxr.write(tmp_path / "a.xml", wxr.item(1, "Grün €"))
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"</rss>", b"\x81</rss>"))
    message = f"byte {whole.index(b'</rss>'):,} is 0x81"

    for size in (1, 2, 3, 7):
        monkeypatch.setattr(refusing, "_PIECE", size)
        with pytest.raises(imports.ImportRefused, match=message):
            reading.survey(path)


def test_utf_16_that_says_so_is_read(run: Run, site: Path, at_work: Any) -> None:
    text = site.read_text(encoding="utf-8").replace('encoding="UTF-8"', 'encoding="UTF-16"')
    site.write_bytes(text.encode("utf-16"))

    assert "Imported 15 items" in run(site)
    site.write_bytes(text[:-60].encode("utf-16"))
    with pytest.raises(CommandError, match="not well-formed XML at line"):
        run(site)


def test_a_cut_off_gzip_a_missing_file_and_an_unknown_tenant_are_refused(
    run: Run, site: Path, tmp_path: Path, at_work: Any
) -> None:
    packed = gzip.compress(site.read_bytes())
    site.write_bytes(packed[: len(packed) // 2])

    with pytest.raises(CommandError, match="is damaged"):
        run(site)
    with pytest.raises(CommandError, match="can't be read: No such file"):
        run(tmp_path / "missing.xml")
    with pytest.raises(CommandError, match="There is no tenant"):
        call_command("import_wordpress", str(site), tenant="nobody-here")
    with pytest.raises(CommandError, match="not a whole number"):
        call_command("import_wordpress", str(site), "--batch-size", "0", tenant="x")


def test_an_unreadable_file_is_exit_code_1_and_a_failure_of_ours_is_not_hidden(
    run: Run, site: Path, at_work: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down(**_: Any) -> None:
        raise RuntimeError("a failure of ours")

    monkeypatch.setattr(services, "create_nodes", break_down)

    with pytest.raises(RuntimeError, match="of ours"):
        run(site)


@pytest.mark.parametrize(
    ("site", "name"),
    [
        (reading.Site(base_blog_url="HTTPS://Blog.Example.com/", base_site_url="https://x.test"), "blog.example.com"),
        (reading.Site(base_site_url="http://example.com/blog"), "example.com/blog"),
        (reading.Site(link="http://example.com"), "example.com"),
        (reading.Site(title="My Site"), "my-site"),
        (reading.Site(), "file"),
    ],
)
def test_a_site_is_known_by_its_address(site: reading.Site, name: str) -> None:
    assert mapping.site_name(site, "file") == name


@pytest.mark.parametrize("text", ["0000-00-00 00:00:00", "", "yesterday", "2020-13-01 00:00:00"])
def test_a_date_that_is_none_is_none(text: str) -> None:
    assert mapping.moment(text) is None


def test_the_date_of_the_feed_stands_in_for_a_missing_one(run: Run, tmp_path: Path, at_work: Any) -> None:
    dated = wxr.item(1, "Dated", date="0000-00-00 00:00:00").replace(
        "</item>", "<pubDate>Tue, 09 Sep 2014 02:58:33 +0200</pubDate></item>"
    )
    odd = wxr.item(2, "Odd", date="").replace("</item>", "<pubDate>Mon, 30 Nov -0001 00:00:00 +0000</pubDate></item>")
    path = wxr.write(tmp_path / "dates.xml", dated, odd)

    run(path)
    events = making.event_count()
    run(path)

    assert str(node(1).published_at) == "2014-09-09 00:58:33+00:00"
    assert node(2).published_at is not None
    assert run.problems(2) == ["no date of publication in the years 1900 to 2199; the time of the import stands for it"]
    assert making.event_count() == events


def test_long_and_repeated_things_are_cut_and_reported(run: Run, tmp_path: Path, at_work: Any) -> None:
    path = wxr.write(
        tmp_path / "long.xml",
        wxr.category("news", "News"),
        wxr.term("category", "news", "Other name"),
        wxr.term("genre", "lost", "Lost", parent="nowhere"),
        wxr.tag("🎉", "🎉"),
        wxr.item(
            1,
            "x" * 300,
            excerpt="y" * 1100,
            status="pending",
            terms=[("", "plain", "Plain")],
            meta=[(f"field{number}", "z" * 9_000) for number in range(8)],
        ).replace(' domain=""', ""),
    )

    run(path)
    first_rows, events = run.rows, making.event_count()
    run(path)

    [text] = node(1).translations.all()
    assert (len(text.title), len(text.excerpt)) == (255, 1000)
    assert len(node(1).metadata["meta"]) == 6
    problems = " ".join(problem for *_, problem in first_rows)
    for expected in (
        'the same term as "News"',
        'the parent "nowhere" is not in the file',
        "longer than 255",
        "longer than 1,000",
        "names no taxonomy; taken as a category",
        "custom fields together are over",
    ):
        assert expected in problems
    assert making.event_count() == events


def test_dates_and_numbers_beyond_measure_are_reported_and_left_out(run: Run, tmp_path: Path, at_work: Any) -> None:
    path = wxr.write(
        tmp_path / "dates.xml",
        wxr.item(1, date="9999-12-31 23:59:59", menu_order="9" * 5000),
        wxr.item(2, date="0001-01-01 00:00:00", menu_order="²").replace(
            "</item>", "<pubDate>Fri, 31 Dec 9999 23:59:59 -1400</pubDate></item>"
        ),
        wxr.item(3, comments=wxr.comment(5).replace("2021-01-01", "2200-01-01")),
    )

    run(path)

    assert [(row, value) for row, _, value, problem in run.rows if "in the years 1900 to 2199" in problem] == [
        (1, "9999-12-31 23:59:59"),
        (2, "0001-01-01 00:00:00"),
        (3, "2200-01-01 00:00:00"),
    ]
    assert node(1).status == node("comment:5").status == "published"


@pytest.mark.parametrize(
    ("inside", "limit"),
    [
        ("<content:encoded>" + "x" * (40 << 20) + "</content:encoded>", "33,554,432 bytes"),
        ('<a b="' + "x" * (40 << 20) + '"/>', "33,554,432 bytes"),
        ("<a/>" * 600_000, "500,000 elements"),
        ("<a>" * 600_000, "500,000 elements"),
    ],
    ids=["text", "attribute", "children", "depth"],
)
def test_an_item_too_large_for_memory_refuses_the_file_by_name(tmp_path: Path, inside: str, limit: str) -> None:
    path = wxr.write(tmp_path / "bomb.xml", wxr.item(1), f"<item>{inside}</item>", wxr.item(3))
    packed = tmp_path / "bomb.xml.gz"
    packed.write_bytes(gzip.compress(path.read_bytes(), compresslevel=1))

    with pytest.raises(imports.ImportRefused, match=f"bomb.xml.gz.*item 2, .*larger than {limit}"):
        reading.survey(packed)


def test_many_items_may_be_larger_than_one_may_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAXIMUM_ITEM_BYTES", 40_000)
    monkeypatch.setattr(reading, "MAXIMUM_ITEM_ELEMENTS", 200)
    path = wxr.write(tmp_path / "site.xml", *(wxr.item(number, content="x" * 10_000) for number in range(50)))

    assert reading.survey(path).item_count == 50


def test_a_field_that_is_refused_is_named_by_its_element_with_the_fix(run: Run, tmp_path: Path, at_work: Any) -> None:
    path = wxr.write(tmp_path / "site.xml", wxr.item(1, content="x" * 1_000_001), wxr.item(2))

    with pytest.raises(CommandError, match="Skipped objects: 1"):
        run(path)

    assert [entry[:3] for entry in run.rows] == [(1, "content:encoded", "A post")]
    assert "at most 1000000 characters" in run.rows[0][3]
    assert run.rows[0][3].endswith("skipped")
    assert models.Node.objects.count() == 1


def test_names_are_kept_in_one_form_and_a_second_time_changes_nothing(run: Run, tmp_path: Path, at_work: Any) -> None:
    path = wxr.write(
        tmp_path / "site.xml",
        wxr.item(1, "Cafe\u0301 del mar", name="cafe", terms=[("category", "cafe", "Cafe\u0301")]),
        wxr.item(2, "\u200b\u200d", name="a-name"),
        wxr.item(3, "a\x7fb", name="del"),
    )
    run(path)

    assert [node(key).translations.get().title for key in (1, 2, 3)] == ["Café del mar", "A name", "Del"]
    assert models.CategoryTranslation.objects.get().name == "Café"
    assert "posts: 0 created, 0 updated, 3 unchanged" in run(path)


@pytest.mark.parametrize("size", [7, 64 * 1024])
def test_what_is_nearly_xml_is_mended_and_noted(run: Run, tmp_path: Path, at_work: Any, size: int) -> None:
    path = wxr.write(tmp_path / "a.xml", wxr.item(1, "Gr\u00fcn \u20ac"), wxr.item(2, "Plain"))
    content = path.read_bytes().replace(b"Plain", b"Caf\xe9 \x02bar\x1f")
    path.write_bytes(b"\n \r\n" + content)

    run(path)

    titles = set(models.NodeTranslation.objects.values_list("title", flat=True))
    assert titles == {"Gr\u00fcn \u20ac", "Caf\u00e9 bar"}
    assert [problem for problem in run.problems(0) if "XML forbids" in problem or "Windows-1252" in problem] == [
        "2 control characters that XML forbids; left out",
        "1 bytes that are not UTF-8; taken as Windows-1252",
    ]


def test_a_site_is_taken_back(run: Run, site: Path, at_work: Any) -> None:
    before = state()
    run(site)
    call_command("import_wordpress", tenant=run.tenant.slug, undo="last", quiet=True)

    assert state() == before
    assert not models.Category.objects.exists()
    assert not models.Tag.objects.exists()


def test_what_a_site_changed_is_as_it_was(run: Run, tmp_path: Path, at_work: Any) -> None:
    first = wxr.write(tmp_path / "a.xml", wxr.item(1, "One"), wxr.item(2, "Two"))
    run(first)
    before = state()
    run(
        wxr.write(
            tmp_path / "a.xml", wxr.item(1, "Other", content="New"), wxr.item(2, "Two", parent=1), wxr.item(3, "More")
        )
    )
    assert state() != before

    call_command("import_wordpress", tenant=run.tenant.slug, undo="last", quiet=True)

    assert state() == before


def loose_site(path: Path) -> Path:
    """Posts with terms that the head of the file does not list, the same ones before and after any kill."""
    terms = [("post_tag", "loose", "Loose"), ("category", "adrift", "Adrift")]
    return wxr.write(path, *(wxr.item(number, f"Post {number}", terms=terms) for number in range(1, 9)))


@pytest.mark.parametrize("written", [wxr.small_site, loose_site])
def test_killed_and_resumed_a_site_is_as_if_undisturbed(
    run: Run, written: Callable[[Path], Path], tmp_path: Path, at_work: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = written(tmp_path / "site.xml")

    class Killed(BaseException):
        """Like a kill -9: nothing of ours catches it."""

    take, calls = importing.Importer._take, Counter[str]()

    def die_in_the_third(self: Any, batch: Any) -> None:
        calls["batch"] += 1
        take(self, batch)
        if calls["batch"] == 3:
            raise Killed

    monkeypatch.setattr(importing.Importer, "_take", die_in_the_third)
    with pytest.raises(Killed):
        run(site, batch_size=2)
    monkeypatch.undo()
    call_command(
        "import_wordpress", tenant=run.tenant.slug, resume="last", report=run.folder / "resumed.csv", batch_size=3
    )
    resumed, rows = state(), (run.folder / "resumed.csv").read_text()
    tally = first_run(run.tenant).tally

    undisturbed = factories.make_tenant()
    with factories.at_work(undisturbed):
        other = Run(undisturbed, run.folder, run.capsys)
        other(site)
        assert resumed == state()
        assert tally == first_run(undisturbed).tally
        assert sorted((run.folder / "report.csv").read_text().splitlines()) == sorted(rows.splitlines())


def menu_item(post_id: int, title: str, *, parent: int = 0, order: int = 0, **meta: str) -> str:
    pairs = [(f"_menu_item_{name}", value) for name, value in meta.items()]
    pairs.append(("_menu_item_menu_item_parent", str(parent)))
    terms = [("nav_menu", "main", "Main menu")]
    return wxr.item(post_id, title, type="nav_menu_item", menu_order=order, terms=terms, meta=pairs)


def test_menus_lead_to_what_was_taken(run: Run, tmp_path: Path, at_work: Any) -> None:
    path = wxr.write(
        tmp_path / "a.xml",
        menu_item(52, "Below", parent=51, order=3, type="custom", url="https://else.test/x"),
        menu_item(51, "", order=2, type="post_type", object="page", object_id="1"),
        menu_item(53, "Gone", order=4, type="post_type", object="page", object_id="99"),
        menu_item(50, "Heading", order=1, type="custom", url="#nowhere at all"),
        wxr.item(1, "About", type="page"),
    )

    output = run(path)

    [heading, about] = models.Menu.objects.get().items
    assert (heading["titles"], heading["target"]) == ({"en": "Heading"}, None)
    assert about["target"] == {"type": "node", "id": str(node(1).id)}
    assert [(item["titles"], item["url"]) for item in about["children"]] == [({"en": "Below"}, "https://else.test/x")]
    assert run.problems(3) == ["what it leads to was not taken; left out"]
    assert "menus: 1 created" in output
    events = making.event_count()
    assert "menus: 0 created, 0 updated, 1 unchanged" in run(path)
    assert making.event_count() == events
    call_command("imports", tenant=run.tenant.slug, undo=str(first_run(run.tenant)), quiet=True)
    assert not models.Menu.objects.exists()


def first_run(tenant: tenants.Tenant) -> Any:
    from apps.imports.models import Run as Imported

    return Imported.objects.order_by("id")[0]


@pytest.mark.parametrize("order", ["²", "9" * 5000, "-", "٣"])
def test_an_order_of_a_menu_that_is_no_number_counts_as_none(
    run: Run, tmp_path: Path, at_work: Any, order: str
) -> None:
    run(
        wxr.write(
            tmp_path / "a.xml",
            menu_item(51, "Second", order=1, type="custom", url="https://else.test/x"),
            menu_item(52, "First", order=order, type="custom", url="https://else.test/y"),
        )
    )

    assert [item["titles"]["en"] for item in models.Menu.objects.get().items] == ["First", "Second"]


@pytest.mark.parametrize(
    "url",
    ["javascript:alert(1)", "data:text/html,x", "//evil.test/x", "https://ann:hush@site.test/x.png", "https://", "x"],
)
def test_a_file_at_no_address_of_the_web_is_taken_without_it(run: Run, tmp_path: Path, at_work: Any, url: str) -> None:
    run(wxr.write(tmp_path / "a.xml", wxr.item(1, type="attachment", status="inherit", attachment_url=url)))

    assert "url" not in node(1).metadata
    assert run.rows == [(1, "wp:attachment_url", url, "no address that begins with http:// or https://; left out")]


def test_a_file_may_have_any_name_at_an_address_of_the_web(run: Run, tmp_path: Path, at_work: Any) -> None:
    url = "https://site.test/files/my photo@2x.png"
    run(wxr.write(tmp_path / "a.xml", wxr.item(1, type="attachment", status="inherit", attachment_url=url)))

    assert node(1).metadata["url"] == url


@pytest.mark.parametrize(("link", "kept"), [("javascript:alert(1)", None), ("/about/", "/about/")])
def test_a_link_leads_into_the_web_or_the_site(
    run: Run, tmp_path: Path, at_work: Any, link: str, kept: str | None
) -> None:
    item = wxr.item(1, "About", name="about").replace("https://site.test/about/", link)
    run(wxr.write(tmp_path / "a.xml", item))

    assert node(1).metadata.get("link") == kept
    assert len(run.problems(1)) == (kept is None)


def test_bodies_of_the_old_editor_get_their_paragraphs(run: Run, tmp_path: Path, at_work: Any) -> None:
    written = "One\nline\n\n<h2>Title</h2>\n[gallery]\n\nTwo"
    shown = "<p>One<br>\nline</p>\n\n<h2>Title</h2>\n[gallery]\n\n<p>Two</p>"
    answer = wxr.comment(9).replace("&lt;p&gt;Comment 9&lt;/p&gt;", "A\n\nB")
    kinds = ("post", "page", "portfolio", "attachment", "wpcf7_contact_form")
    items = [wxr.item(number, type=kind, content=written) for number, kind in enumerate(kinds, start=1)]
    path = wxr.write(
        tmp_path / "a.xml", *items, wxr.item(8, comments=answer, content=f"<!-- wp:html -->{written}<!-- /wp:html -->")
    )

    run(path)

    assert [body_of(number) for number in range(1, 5)] == [shown] * 4
    assert body_of(5) == written
    assert body_of(8) == f"<!-- wp:html -->{written}<!-- /wp:html -->"
    assert body_of("comment:9") == "<p>A</p>\n\n<p>B</p>"
    events = making.event_count()
    assert "posts: 0 created, 0 updated, 2 unchanged" in run(path)
    assert making.event_count() == events


def body_of(key: object) -> str:
    return node(key).bodies.all()[0].body
