"""Slugs and the redirects they leave."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, transaction

from apps.content import models, queries, services
from apps.tenants import scope
from tests import factories
from tests.content.making import make_node, recorded, slug_of, types_of, update

pytestmark = pytest.mark.usefixtures("at_work")


@pytest.mark.parametrize(
    ("title", "slug"),
    [
        ("Hello World!", "hello-world"),
        ("Привет, мир", "privet-mir"),
        ("Ελληνικά", "ellenika"),
        ("日本語", "ri-ben-yu"),
        ("Straße & Co", "strasse-co"),
    ],
)
def test_a_slug_is_spelled_from_any_script(title: str, slug: str) -> None:
    assert slug_of(make_node(title)) == slug


def test_a_title_that_spells_nothing_gets_a_slug_of_its_id() -> None:
    node = make_node("🎉")

    assert slug_of(node) == str(node).replace("_", "-")


def test_a_derived_slug_that_is_taken_is_numbered() -> None:
    assert [slug_of(make_node("Same")) for _ in range(3)] == ["same", "same-2", "same-3"]
    assert slug_of(make_node("Same 2")) == "same-2-2"
    assert slug_of(make_node("Same", kind="post")) == "same"
    assert len(slug_of(make_node("x" * 255))) == len(slug_of(make_node("x" * 255))) + 6


def test_a_given_slug_that_is_taken_is_refused() -> None:
    make_node("Mine", translations=[{"locale": "en", "title": "a", "slug": "mine"}])
    other = make_node("Other")

    with pytest.raises(services.SlugTaken, match='"mine" is taken in page en'):
        make_node(translations=[{"locale": "en", "title": "b", "slug": "mine"}])
    with pytest.raises(services.SlugTaken):
        update(other, translations=[{"locale": "en", "slug": "mine"}])
    assert slug_of(other) == "other"


def test_kinds_locales_and_tenants_have_slugs_of_their_own() -> None:
    slug = {"title": "a", "slug": "mine"}
    make_node(translations=[slug | {"locale": "en"}, slug | {"locale": "de"}])
    make_node(kind="post", translations=[slug | {"locale": "en"}])
    with factories.at_work(factories.make_tenant()):
        make_node(translations=[slug | {"locale": "en"}])


def test_the_database_refuses_a_second_owner_of_a_slug() -> None:
    make_node("Mine")
    other = make_node("Other")

    with pytest.raises(IntegrityError, match="content_nodetranslation_slug"), transaction.atomic():
        models.NodeTranslation.objects.filter(node=other).update(slug="mine")


def test_a_violation_of_the_slug_constraint_has_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody wrote past the lock between our look and our write."""
    make_node("Mine")
    monkeypatch.setattr("apps.content.services.slugs.SlugSpace._found", lambda self, **condition: set())

    with pytest.raises(services.SlugTaken, match="a moment ago"), transaction.atomic():
        make_node("Mine")


def test_a_changed_slug_leaves_a_redirect() -> None:
    node = make_node("Old")

    update(node, translations=[{"locale": "en", "slug": "new"}])

    redirect = queries.find_redirect(kind="page", locale="en", slug="old")
    assert redirect is not None
    assert redirect.node_id == node.id
    assert recorded(node.id)[1:] == [
        ("translation.updated", {"locale": "en", "title": "Old", "slug": "new", "excerpt": ""}),
        ("redirect.added", {"locale": "en", "slug": "old"}),
    ]


def test_changing_a_slug_back_turns_the_redirect_around() -> None:
    node = make_node("Old")

    update(node, translations=[{"locale": "en", "slug": "new"}])
    update(node, translations=[{"locale": "en", "slug": "old"}])

    assert types_of(node.id)[3:] == ["translation.updated", "redirect.removed", "redirect.added"]
    assert list(models.Redirect.objects.values_list("slug", flat=True)) == ["new"]


def test_a_new_owner_of_a_slug_ends_its_redirect() -> None:
    first = make_node("Old")
    update(first, translations=[{"locale": "en", "slug": "new"}])

    second = make_node("Old")

    assert slug_of(second) == "old"
    assert recorded(first.id)[-1] == ("redirect.removed", {"locale": "en", "slug": "old"})
    assert not models.Redirect.objects.exists()


def test_a_renaming_and_an_added_translation_end_redirects_too() -> None:
    moved = make_node(translations=[{"locale": "en", "title": "A"}, {"locale": "de", "title": "B"}])
    update(moved, translations=[{"locale": "en", "slug": "x"}, {"locale": "de", "slug": "y"}])
    renamed = make_node("C")

    update(renamed, translations=[{"locale": "en", "slug": "a"}, {"locale": "de", "title": "B"}])

    assert types_of(moved.id)[-2:] == ["redirect.removed", "redirect.removed"]
    assert [row.slug for row in models.Redirect.objects.all()] == ["c"]


def test_nothing_is_seen_without_a_tenant() -> None:
    token = scope._scope.set(None)
    try:
        with pytest.raises(scope.NoTenantScope):
            models.Node.objects.count()
        with pytest.raises(scope.NoTenantScope):
            make_node()
    finally:
        scope._scope.reset(token)
