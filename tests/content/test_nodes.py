"""Nodes: what is created, changed, published and deleted, and the events that say so."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from apps.content import kinds, models, queries, services
from apps.kernel import errors, validation
from apps.outbox.models import Log
from apps.tenants import models as tenants
from tests import factories
from tests.content import making
from tests.content.making import NOW, make_node, recorded, types_of, update

NOBODY = "01890a5d-ac96-774b-bcce-b302099a8057"

pytestmark = pytest.mark.usefixtures("at_work")


def test_a_created_node_is_a_draft_and_its_event_carries_all_of_it() -> None:
    parent, category, tag = make_node("Parent"), making.make_category(), making.make_tag()

    node = make_node(
        kind="article",
        parent_id=parent.id,
        author_name="Ann",
        metadata={"mood": "calm", "n": 1},
        category_ids=[category.id],
        tag_ids=[tag.id],
        translations=[
            {"locale": "en", "title": "Hello", "excerpt": "Short"},
            {"locale": "de", "title": "Hallo", "slug": "guten-tag"},
        ],
        bodies=[{"locale": "en", "body": "# Hello"}],
    )

    assert (node.status, node.published_at, node.depth) == ("draft", None, 1)
    [(name, data)] = recorded(node.id)
    assert name == "node.created"
    assert data == {
        "kind": "article",
        "author_name": "Ann",
        "metadata": {"mood": "calm", "n": 1},
        "category_ids": [str(category.id)],
        "tag_ids": [str(tag.id)],
        "parent_id": str(parent.id),
        "position": 0,
        "depth": 1,
        "translations": [
            {"locale": "en", "title": "Hello", "slug": "hello", "excerpt": "Short"},
            {"locale": "de", "title": "Hallo", "slug": "guten-tag", "excerpt": ""},
        ],
        "bodies": [{"locale": "en", "format": "markdown", "body": "# Hello"}],
    }


def test_created_with_publish_is_created_then_published() -> None:
    node = make_node(publish=True)

    assert (node.status, node.published_at) == ("published", NOW)
    assert types_of(node.id) == ["node.created", "node.published"]


def test_a_position_at_creation_shifts_the_siblings() -> None:
    first, second = make_node("First"), make_node("Second")

    newest = make_node("Newest", position=0)

    order = models.Node.objects.filter(parent=None).order_by("position").values_list("id", flat=True)
    assert list(order) == [newest.id, first.id, second.id]
    making.check_deferred_constraints()


def test_a_locale_that_is_not_enabled_is_pointed_at() -> None:
    translations = [{"locale": "en", "title": "a"}, {"locale": "fr", "title": "b"}]
    fields = {"kind": "page", "translations": translations, "bodies": [{"locale": "it", "body": "x"}]}
    new = validation.parse(services.NewNode, fields)

    with pytest.raises(services.LocaleNotEnabled) as refused:
        services.create_node(new=new, now=NOW)

    assert [problem.pointer for problem in refused.value.problems] == ["/translations/1/locale", "/bodies/0/locale"]
    assert refused.value.detail.startswith('translations/1/locale: "fr" is not enabled')
    assert "enable it first" in refused.value.detail
    assert "manage.py" not in refused.value.detail


@pytest.mark.parametrize(
    ("fields", "code", "message"),
    [
        ({"kind": "pgae"}, "validation_failed", 'Did you mean "page"'),
        ({"translations": []}, "validation_failed", "translations"),
        (
            {"translations": [{"locale": "en", "title": "a"}, {"locale": "en", "title": "b"}]},
            "validation_failed",
            '"en" is given twice',
        ),
        ({"translations": [{"locale": "fr", "title": "a"}]}, "locale_not_enabled", "enabled: de, en"),
        ({"bodies": [{"locale": "de", "body": "x"}]}, "validation_failed", "there is no translation for de"),
        ({"parent_id": NOBODY}, "validation_failed", "parent_id: there is no node_"),
        ({"parent_id": "prod_01h455vb4pex5vsknk084sn02q"}, "validation_failed", "expected node_"),
        ({"category_ids": [NOBODY]}, "validation_failed", "category_ids: there is no cat_"),
        ({"tag_ids": [NOBODY]}, "validation_failed", "tag_ids: there is no tag_"),
        ({"depth": 3}, "validation_failed", "there is no such field"),
        ({"position": -1}, "validation_failed", "position"),
        ({"metadata": {"a": "\x00"}}, "validation_failed", "NUL"),
        ({"metadata": {"a": "x" * 262_145}}, "validation_failed", "262144 at most"),
        ({"metadata": {"a": 2**70}}, "validation_failed", "beyond 64 bits"),
        ({"translations": [{"locale": "en", "title": "x" * 256}]}, "validation_failed", "title"),
        ({"translations": [{"locale": "en", "title": "x", "slug": "No Slug"}]}, "validation_failed", "a-z"),
        ({"bodies": [{"locale": "en", "format": "docx", "body": "x"}]}, "validation_failed", "format"),
        ({"published_at": NOW}, "validation_failed", "send publish too"),
    ],
)
def test_a_wrong_input_is_refused_with_its_name(fields: dict[str, Any], code: str, message: str) -> None:
    with pytest.raises(errors.DomainError) as refused:
        make_node(**fields)

    assert refused.value.code == code
    assert message in refused.value.detail
    assert not models.Node.objects.exists()


def test_another_app_can_add_a_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kinds, "_kinds", dict(kinds._kinds))

    kinds.register_kind("recipe", description="How to cook something.")

    assert make_node(kind="recipe").kind == "recipe"
    with pytest.raises(ValueError, match="registered already"):
        kinds.register_kind("recipe", description="again")
    with pytest.raises(ValueError, match="not a kind name"):
        kinds.register_kind("Two words", description="no")


def test_an_external_id_belongs_to_one_node_of_the_tenant_only() -> None:
    make_node(external_id="legacy:1")

    with pytest.raises(services.ExternalIdTaken, match="legacy:1"):
        make_node("Other", external_id="legacy:1")
    with factories.at_work(factories.make_tenant()):
        assert make_node(external_id="legacy:1").external_id == "legacy:1"


def test_an_update_changes_what_is_given_and_says_so() -> None:
    category, other, tag = making.make_category(), making.make_category("Other"), making.make_tag()
    node = make_node("Old", author_name="Ann", metadata={"a": 1}, category_ids=[category.id], tag_ids=[tag.id])

    update(
        node,
        author_name="Bob",
        category_ids=[other.id, category.id],
        tag_ids=[],
        translations=[{"locale": "en", "title": "New"}, {"locale": "de", "title": "Neu"}],
        bodies=[{"locale": "de", "format": "plain", "body": "  Text "}],
    )

    assert recorded(node.id)[1:] == [
        (
            "node.updated",
            {
                "kind": "page",
                "author_name": "Bob",
                "metadata": {"a": 1},
                "category_ids": [str(other.id), str(category.id)],
            },
        ),
        ("tag.detached", {"tag_id": str(tag.id)}),
        ("translation.updated", {"locale": "en", "title": "New", "slug": "old", "excerpt": ""}),
        ("translation.updated", {"locale": "de", "title": "Neu", "slug": "neu", "excerpt": ""}),
        ("body.updated", {"locale": "de", "format": "plain", "body": "  Text "}),
    ]
    fresh = queries.get_node(node_id=node.id)
    assert fresh.author_name == "Bob"
    assert [link.category_id for link in fresh.category_links.all()] == [other.id, category.id]
    assert {row.locale: row.title for row in fresh.translations.all()} == {"de": "Neu", "en": "New"}


def test_an_update_without_a_difference_writes_nothing() -> None:
    tag, category = making.make_tag(), making.make_category()
    fields: dict[str, Any] = {
        "author_name": "Ann",
        "metadata": {"price": 1.5, "list": [1, {"x": None}]},
        "tag_ids": [tag.id],
        "category_ids": [category.id],
        "translations": [{"locale": "en", "title": "Same", "slug": "same", "excerpt": "e"}],
        "bodies": [{"locale": "en", "format": "html", "body": "<p>a<script>b</script></p>"}],
    }
    node = make_node(**fields)
    before, stamp = making.event_count(), models.Node.objects.get(id=node.id).updated_at

    update(node, **fields)

    assert making.event_count() == before
    assert models.Node.objects.get(id=node.id).updated_at == stamp


def test_a_new_translation_needs_a_title() -> None:
    with pytest.raises(errors.ValidationFailed, match='"de" is a new translation and needs a title'):
        update(make_node(), translations=[{"locale": "de", "excerpt": "x"}])


def test_a_translation_is_removed_with_its_body_and_redirects() -> None:
    node = make_node(
        translations=[{"locale": "en", "title": "One"}, {"locale": "de", "title": "Eins"}],
        bodies=[{"locale": "de", "body": "x"}],
    )
    update(node, translations=[{"locale": "de", "slug": "neu"}])

    services.remove_translation(node_id=node.id, locale="de")

    assert types_of(node.id)[-2:] == ["translation.removed", "redirect.removed"]
    whole = queries.get_node(node_id=node.id)
    assert [row.locale for row in whole.translations.all()] == ["en"]
    assert not whole.bodies.all()
    assert not whole.redirects.all()
    with pytest.raises(services.TranslationNotFound, match="it is into en"):
        services.remove_translation(node_id=node.id, locale="de")
    with pytest.raises(services.LastTranslation, match="delete the node"):
        services.remove_translation(node_id=node.id, locale="en")


def test_the_date_of_publication_survives_unpublishing() -> None:
    node = make_node()

    services.publish_node(node_id=node.id, now=NOW)
    services.publish_node(node_id=node.id, now=making.LATER)
    services.unpublish_node(node_id=node.id)
    services.unpublish_node(node_id=node.id)
    again = services.publish_node(node_id=node.id, now=making.LATER)

    assert again.published_at == NOW
    assert types_of(node.id)[1:] == ["node.published", "node.unpublished", "node.published"]


def test_a_given_date_of_publication_replaces_the_old_one() -> None:
    node = make_node(publish=True)

    services.publish_node(node_id=node.id, now=NOW, published_at=making.LATER)

    assert models.Node.objects.get(id=node.id).published_at == making.LATER
    assert types_of(node.id)[1:] == ["node.published", "node.published"]


def test_archiving_twice_is_one_event() -> None:
    node = make_node(publish=True)

    services.archive_node(node_id=node.id)
    services.archive_node(node_id=node.id)

    assert models.Node.objects.get(id=node.id).status == "archived"
    assert types_of(node.id)[-1:] == ["node.archived"]
    assert len(recorded(node.id)) == 3


def test_deleting_a_node_deletes_its_branch_deepest_first() -> None:
    top = make_node("Top", tag_ids=[making.make_tag().id], category_ids=[making.make_category().id])
    child = make_node("Child", parent_id=top.id, bodies=[{"locale": "en", "body": "x"}])
    grandchild = make_node("Grandchild", parent_id=child.id)
    bystander = make_node("Bystander")

    services.delete_node(node_id=top.id)

    deleted = Log.objects.filter(type="content.node.deleted").order_by("id").values_list("aggregate_id", flat=True)
    assert list(deleted) == [grandchild.id, child.id, top.id]
    assert list(models.Node.objects.values_list("id", flat=True)) == [bystander.id]
    assert not models.Body.objects.exists()
    assert not models.NodeTag.objects.exists()
    with pytest.raises(services.NodeNotFound, match="node_"):
        services.delete_node(node_id=top.id)


def test_the_database_keeps_a_parent_from_vanishing_under_its_children() -> None:
    top = make_node("Top")
    make_node("Child", parent_id=top.id)

    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM content_node WHERE id = %s", [top.id])


@pytest.mark.parametrize("change", ["status = 'gone'", "position = -1", "depth = 3", "status = 'published'"])
def test_the_database_refuses_a_state_that_may_not_be(change: str) -> None:
    node = make_node()

    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"UPDATE content_node SET {change} WHERE id = %s", [node.id])


def test_a_node_cannot_point_at_another_tenants_rows(tenant: tenants.Tenant) -> None:
    with factories.at_work(factories.make_tenant()):
        theirs, their_tag = make_node("Theirs"), making.make_tag("theirs")
    node = make_node("Ours")

    with pytest.raises(errors.ValidationFailed, match="there is no node_"):
        make_node("Child", parent_id=theirs.id)
    with pytest.raises(errors.ValidationFailed, match="there is no tag_"):
        update(node, tag_ids=[their_tag.id])
    with pytest.raises(services.NodeNotFound):
        update(theirs, author_name="Me")
    with pytest.raises(IntegrityError, match="same_tenant"), transaction.atomic():
        models.NodeTag.objects.create(node=node, tag_id=their_tag.id)
    with pytest.raises(IntegrityError, match="same_tenant"), transaction.atomic():
        models.Node.objects.filter(id=node.id).update(parent_id=theirs.id, depth=1)


def test_a_batch_costs_the_same_number_of_queries_whatever_its_size(
    django_assert_max_num_queries: Any,
) -> None:
    tag = making.make_tag()
    batch = [
        validation.parse(
            services.BatchNode,
            {
                "kind": "post",
                "translations": [{"locale": "en", "title": "Same title"}],
                "bodies": [{"locale": "en", "body": "x"}],
                "tag_ids": [tag.id],
            },
        )
        for _ in range(60)
    ]

    with django_assert_max_num_queries(20):
        nodes = services.create_nodes(batch=batch, now=NOW)

    slugs = list(models.NodeTranslation.objects.order_by("id").values_list("slug", flat=True))
    assert slugs[:3] == ["same-title", "same-title-2", "same-title-3"]
    assert len(set(slugs)) == 60
    assert [node.position for node in nodes] == list(range(60))


def test_a_batch_is_written_whole_or_not_at_all() -> None:
    fine = validation.parse(services.BatchNode, {"kind": "post", "translations": [{"locale": "en", "title": "Fine"}]})
    wrong = validation.parse(
        services.BatchNode, {"kind": "post", "translations": [{"locale": "en", "title": "x", "slug": "fine"}]}
    )

    with pytest.raises(services.SlugTaken):
        services.create_nodes(batch=[fine, wrong], now=NOW)

    assert not models.Node.objects.exists()
    assert not Log.objects.filter(type="content.node.created").exists()


def test_lists_and_reads_by_slug() -> None:
    page = make_node("About us", translations=[{"locale": "en", "title": "A"}, {"locale": "de", "title": "B"}])
    make_node("Post", kind="post", parent_id=page.id, publish=True)

    def titles(locale: str | None = None) -> list[str]:
        nodes = queries.list_nodes(locale=locale).order_by("id")
        return [row.title for node in nodes for row in node.translations.all()]

    assert titles() == ["B", "A", "Post"]
    assert titles("de") == ["B"]
    assert queries.get_by_slug(kind="page", locale="de", slug="b").id == page.id
    with pytest.raises(services.NodeNotFound, match='no page with the slug "b" in en'):
        queries.get_by_slug(kind="page", locale="en", slug="b")
