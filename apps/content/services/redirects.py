"""Redirects from old slugs: added when a node changes its slug, removed when someone takes the slug."""

from __future__ import annotations

from collections.abc import Iterable

from apps.content import events, models
from apps.content.services import records


def add(*, node: models.Node, locale: str, slug: str) -> None:
    """Lead an old slug of the node to it."""
    models.Redirect.objects.create(node=node, kind=node.kind, locale=locale, slug=slug)
    records.of_node(node.id, events.RedirectAdded(locale=locale, slug=slug), follows=True)


def give_up(*, kind: str, locale: str, slugs: Iterable[str]) -> None:
    """Slugs that belong to somebody from now on lead nowhere else."""
    found = models.Redirect.objects.filter(kind=kind, locale=locale, slug__in=list(slugs))
    _remove(list(found.order_by("id")))


def remove_of_translation(*, node: models.Node, locale: str) -> None:
    """The node is not there any more in this locale."""
    _remove(list(models.Redirect.objects.filter(node=node, locale=locale).order_by("id")))


def _remove(rows: list[models.Redirect]) -> None:
    if not rows:
        return
    models.Redirect.objects.filter(id__in=[row.id for row in rows]).delete()
    for row in rows:
        records.of_node(row.node_id, events.RedirectRemoved(locale=row.locale, slug=row.slug), follows=True)
