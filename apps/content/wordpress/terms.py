"""The terms of a WordPress site: in order, found again, created or changed."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from apps.content import models, services
from apps.content.wordpress import mapping, reading
from apps.kernel import errors, validation

LABELS = {"wp:category": "categories", "wp:tag": "tags", "wp:term": "terms"}

type Key = tuple[str, str]
type TermRow = models.Category | models.Tag


@dataclass(slots=True)
class Declared:
    """What the head of a file declares: terms to take with their label, each after its parent, and what is not."""

    terms: list[tuple[str, mapping.WantedTerm]] = field(default_factory=list)
    notes: list[mapping.Note] = field(default_factory=list)
    outcomes: list[tuple[str, str]] = field(default_factory=list)


def declared(head: Iterable[reading.Term]) -> Declared:
    """Sort out menus, repetitions, and parents that are missing or go in circles."""
    found = Declared()
    wanted: dict[Key, tuple[str, mapping.WantedTerm]] = {}
    for entry in head:
        label = LABELS[entry.element]
        if entry.taxonomy == mapping.MENU_TAXONOMY:
            continue  # they are taken with their items: `menus`
        term, notes = mapping.wanted_term(entry)
        if term.key not in wanted:
            wanted[term.key] = label, term
            found.notes += notes
            continue
        found.outcomes.append((label, "unchanged"))
        first = wanted[term.key][1]
        if first.name != term.name:
            problem = f'the same term as "{first.name}" of the taxonomy {term.taxonomy}; that one is kept'
            found.notes.append(mapping.Note(0, entry.element, entry.name, problem))
    found.terms = _parents_first(wanted, found.notes)
    return found


def _parents_first(
    wanted: Mapping[Key, tuple[str, mapping.WantedTerm]], notes: list[mapping.Note]
) -> list[tuple[str, mapping.WantedTerm]]:
    ordered: dict[Key, tuple[str, mapping.WantedTerm]] = {}
    for key in wanted:
        line, parent = dict[Key, None](), key
        while parent in wanted and parent not in line and parent not in ordered:
            line[parent] = None
            parent = (parent[0], wanted[parent][1].parent)
        for entry in reversed(line):
            label, term = wanted[entry]
            if term.parent and (term.taxonomy, term.parent) not in ordered and entry not in ordered:
                problem = f'the parent "{term.parent}" is not in the file, or below it; taken without a parent'
                notes.append(mapping.Note(0, "parent", term.name, problem))
                term = replace(term, parent="")
            ordered.setdefault(entry, (label, term))
    return list(ordered.values())


def find(terms: Iterable[mapping.WantedTerm], *, locale: str) -> dict[Key, TermRow]:
    """Those of the terms that are here, by taxonomy and slug."""
    slugs: dict[str, set[str]] = {}
    for term in terms:
        slugs.setdefault(term.taxonomy, set()).add(term.slug)
    found: dict[Key, TermRow] = {}
    for taxonomy, wanted in slugs.items():
        condition = {"translations__locale": locale, "translations__slug__in": wanted}
        rows: Iterable[TermRow]
        if taxonomy == mapping.TAG_TAXONOMY:
            rows = models.Tag.objects.filter(**condition).prefetch_related("translations")
        else:
            condition["translations__taxonomy"] = taxonomy
            rows = models.Category.objects.filter(**condition).prefetch_related("translations")
        for row in rows:
            slug = next(entry.slug for entry in row.translations.all() if entry.locale == locale)
            found[taxonomy, slug] = row
    return found


def take(
    term: mapping.WantedTerm, existing: TermRow | None, *, known: Mapping[Key, uuid.UUID], locale: str
) -> tuple[uuid.UUID, str]:
    """Create or change one term; its id and the outcome. `known` are the terms taken before it."""
    if existing is None:
        return create(term, known=known, locale=locale), "created"
    changes: dict[str, Any] = {}
    row = next(entry for entry in existing.translations.all() if entry.locale == locale)
    if (row.name, row.description) != (term.name, term.description):
        changes["translations"] = [_translation(term, locale)]
    if isinstance(existing, models.Category):
        parent_id = _parent_id(term, known)
        if parent_id != existing.parent_id:
            changes["parent_id"] = parent_id
        if changes:
            category_changes = validation.parse(services.CategoryChanges, changes)
            services.update_category(category_id=existing.id, changes=category_changes)
    elif changes:
        services.update_tag(tag_id=existing.id, changes=validation.parse(services.TagChanges, changes))
    return existing.id, "updated" if changes else "unchanged"


def create(term: mapping.WantedTerm, *, known: Mapping[Key, uuid.UUID], locale: str) -> uuid.UUID:
    """Create one term; its id. Raises NotFound when its parent was not taken."""
    data: dict[str, Any] = {"translations": [_translation(term, locale) | {"slug": term.slug}]}
    if term.is_tag:
        return services.create_tag(new=validation.parse(services.NewTag, data)).id
    data |= {"taxonomy": term.taxonomy, "parent_id": _parent_id(term, known)}
    return services.create_category(new=validation.parse(services.NewCategory, data)).id


def _parent_id(term: mapping.WantedTerm, known: Mapping[Key, uuid.UUID]) -> uuid.UUID | None:
    if not term.parent:
        return None
    parent_id = known.get((term.taxonomy, term.parent))
    if parent_id is None:
        raise errors.NotFound(f'its parent "{term.parent}" was not taken')
    return parent_id


def _translation(term: mapping.WantedTerm, locale: str) -> dict[str, Any]:
    return {"locale": locale, "name": term.name, "description": term.description}
