"""Writing a WordPress site through the services: batches, each one transaction, each whole or not at all."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from apps.content import kinds, models, pictures, services
from apps.content.services import bodies, paths
from apps.content.services.locks import lock_content
from apps.content.wordpress import mapping, menus, reading, restoring, terms
from apps.imports import formats
from apps.kernel import errors, ids, validation
from apps.media import queries as library
from apps.outbox.append import unit_of_work

TERMS_AT_ONCE, CHILDREN_AT_ONCE = 50, 50


@dataclass(frozen=True, slots=True)
class NotTaken:
    """Something of the file that is left alone, counted under its label and named by its note."""

    label: str
    note: mapping.Note


class Importer(formats.Importer):
    """One run over one file. What the file says wins over what is here; what is as the file says is not touched."""

    unit = "items"
    is_dry_run_whole = True  # children and terms refer to what earlier batches have written

    def __init__(self, path: Path, site: reading.Site, locale: str) -> None:
        self.path, self.site, self.locale = path, site, locale
        self.total = site.item_count
        self.mapper = mapping.Mapper(site, path.stem)
        self._taking: formats.Taking
        self._terms: dict[tuple[str, str], uuid.UUID] = {}
        self._new_terms: list[tuple[str, str]] = []
        self._told_terms: set[tuple[str, str]] = set()
        self._seen: set[str] = set()
        self._late: dict[str, tuple[str, mapping.Note]] = {}
        self._menu_items: list[reading.Item] = []

    def begin(self, taking: formats.Taking) -> None:
        self._taking = taking
        mended = self.site.mended
        if mended.left_out:
            problem = f"{mended.left_out:,} control characters that XML forbids; left out"
            self._note(mapping.Note(0, "file", self.path.name, problem))
        if mended.taken_as_western:
            problem = f"{mended.taken_as_western:,} bytes that are not UTF-8; taken as Windows-1252"
            self._note(mapping.Note(0, "file", self.path.name, problem))
        self._take_terms()

    def batches(self, *, after: int, size: int) -> Iterator[tuple[int, Sequence[Any]]]:
        """Whole items with their comments, so that a run goes on between two items."""
        batch: list[Any] = []
        number = after
        for item in reading.items(self.path):
            objects = list(self._objects(item))
            if item.number <= after:
                self._remember(objects)
                continue
            batch += objects
            number = item.number
            if len(batch) >= size:
                yield number, batch
                batch = []
        if batch:
            yield number, batch

    def take(self, batch: Sequence[Any], number: int, taking: formats.Taking) -> None:
        self._taking = taking
        for entry in batch:
            if isinstance(entry, NotTaken):
                self._note(entry.note)
                taking.tally.add(entry.label, "skipped")
        if wanted := [entry for entry in batch if isinstance(entry, mapping.WantedNode)]:
            self._take_batch(wanted)

    def end(self, taking: formats.Taking) -> None:
        self._taking = taking
        self._place_late_children()
        self._take_menus()

    def remarks(self) -> list[str]:
        said = []
        language = self.site.language.partition("-")[0].lower()
        if language and language != self.locale.partition("-")[0]:
            said.append(f'The file says its language is "{self.site.language}"; it was taken as "{self.locale}".')
        if self.mapper.kept_private:
            said.append(f"{self.mapper.kept_private:,} custom fields with addresses or passwords were left out.")
        return said

    def _remember(self, objects: Iterable[Any]) -> None:
        """What was taken before a kill. Nobody knows which children waited for their parents: all of them are looked at
        again. Of terms that only items name, those were told of."""
        for entry in objects:
            if not isinstance(entry, mapping.WantedNode):
                continue
            self._told_terms.update(term.key for term in entry.terms)
            if entry.parent is not None and entry.label != "comments":
                self._late[entry.external_id] = _late(entry, entry.parent)

    # --- Terms of the head of the file -----------------------------------------------------------------------

    def _take_terms(self) -> None:
        declared = terms.declared(self.site.terms)
        for note in declared.notes:
            self._note(note)
        for label, outcome in declared.outcomes:
            self._taking.tally.add(label, outcome)
        for chunk in itertools.batched(declared.terms, TERMS_AT_ONCE):
            try:
                self._take_some_terms(chunk)
            except errors.DomainError:
                self._forget_new_terms()
                for label, wanted in chunk:
                    try:
                        self._take_some_terms([(label, wanted)])
                    except errors.DomainError as error:
                        self._forget_new_terms()
                        self._note(mapping.Note(0, wanted.taxonomy, wanted.name, error.detail))
                        self._taking.tally.add(label, "skipped")

    def _take_some_terms(self, chunk: Sequence[tuple[str, mapping.WantedTerm]]) -> None:
        self._new_terms.clear()
        with unit_of_work(savepoint=True):
            lock_content()
            existing = terms.find([wanted for _, wanted in chunk], locale=self.locale)
            for found in existing.values():
                restoring.remember_term(self._taking, found)
            outcomes = []
            for label, wanted in chunk:
                self._new_terms.append(wanted.key)
                row = existing.get(wanted.key)
                self._terms[wanted.key], outcome = terms.take(wanted, row, known=self._terms, locale=self.locale)
                outcomes.append((label, outcome))
        for label, outcome in outcomes:
            self._taking.tally.add(label, outcome)

    # --- Items and comments ----------------------------------------------------------------------------------

    def _objects(self, item: reading.Item) -> Iterator[mapping.WantedNode | NotTaken]:
        if item.type == mapping.MENU_TYPE:
            problem = ""
            if self._is_repeated(item.key):
                problem = f"the post id {item.post_id} occurs more than once; the first one is taken"
            elif all(term.taxonomy != mapping.MENU_TAXONOMY for term in item.terms):
                problem = "it is in no menu; left out"
            if problem:
                shown = item.title or item.post_id
                yield NotTaken("menu items", mapping.Note(item.number, "wp:post_type", shown, problem))
            else:
                self._menu_items.append(menus.slim(item))
            return
        if self._is_repeated(item.key):
            yield from self._repeated(item)
            return
        yield self.mapper.node(item)
        for comment in self.mapper.comments(item):
            key = comment.external_id.rpartition(":comment:")[2]
            if self._is_repeated(f"comment:{key}"):
                yield _not_taken(comment, f"the comment id {key} occurs more than once; the first one is taken")
            else:
                yield comment

    def _is_repeated(self, key: str) -> bool:
        """Whether the key came before. Only keys the survey has found twice are remembered."""
        key = reading.brief(key)
        if key not in self.site.repeated:
            return False
        if key in self._seen:
            return True
        self._seen.add(key)
        return False

    def _repeated(self, item: reading.Item) -> Iterator[NotTaken]:
        problem = f"the post id {item.key} occurs more than once; the first one is taken"
        yield _not_taken(self.mapper.node(item), problem)
        for comment in self.mapper.comments(item):
            yield _not_taken(comment, f"its post, with the id {item.key}, was not taken")

    def _skip(self, wanted: mapping.WantedNode, problem: str) -> None:
        entry = _not_taken(wanted, problem)
        self._note(entry.note)
        self._taking.tally.add(entry.label, "skipped")

    def _take_batch(self, batch: Sequence[mapping.WantedNode]) -> None:
        """All of the batch in one transaction; when one object is wrong, each in its own, and that one is skipped."""
        try:
            self._take(batch)
        except errors.DomainError:
            self._forget_new_terms()
            for wanted in batch:
                try:
                    self._take([wanted])
                except errors.DomainError as error:
                    self._forget_new_terms()
                    self._refuse(wanted, error)

    def _refuse(self, wanted: mapping.WantedNode, error: errors.DomainError) -> None:
        """Report each wrong field by the element it came from; what is wrong with the whole, by its kind."""
        if not error.problems:
            self._skip(wanted, error.detail)
            return
        for problem in error.problems:
            column = mapping.element_of(problem.pointer)
            self._note(mapping.Note(wanted.row, column, wanted.title, f"{problem.detail.rstrip('.')}; skipped"))
        self._taking.tally.add(wanted.label, "skipped")

    def _forget_new_terms(self) -> None:
        for key in self._new_terms:
            self._terms.pop(key, None)
        self._new_terms.clear()

    def _take(self, batch: Sequence[mapping.WantedNode]) -> None:
        batch = _from_library(batch)
        self._new_terms.clear()
        outcomes: list[tuple[str, str]] = []
        notes: list[mapping.Note] = []
        late: dict[str, tuple[str, mapping.Note]] = {}
        with unit_of_work(savepoint=True):
            lock_content()
            notes += self._take_new_item_terms(batch, outcomes)
            existing = self._existing(wanted.external_id for wanted in batch)
            for found in existing.values():
                restoring.remember_node(self._taking, found)
            batch = _led_here(batch, existing, notes)
            fresh = [wanted for wanted in batch if wanted.external_id not in existing]
            known = {external_id: node.id for external_id, node in existing.items()}
            known |= self._known_parents(batch, known)
            parents = {wanted.external_id: self._parent(wanted, fresh, known, late) for wanted in batch}
            new_ids = {wanted.external_id: ids.new_id() for wanted in fresh}
            self._create(fresh, parents, new_ids, known, notes)
            outcomes += [(wanted.label, "created") for wanted in fresh]
            known |= new_ids
            for wanted in batch:
                if (node := existing.get(wanted.external_id)) is not None:
                    parent_id = known.get(parents[wanted.external_id] or "")
                    is_late = wanted.external_id in late
                    is_changed = self._update(node, wanted, node.parent_id if is_late else parent_id, notes)
                    outcomes.append((wanted.label, "updated" if is_changed else "unchanged"))
        for label, outcome in outcomes:
            self._taking.tally.add(label, outcome)
        for note in itertools.chain.from_iterable(wanted.notes for wanted in batch):
            self._note(note)
        for note in notes:
            self._note(note)
        self._late |= late

    def _take_new_item_terms(
        self, batch: Sequence[mapping.WantedNode], outcomes: list[tuple[str, str]]
    ) -> list[mapping.Note]:
        """Terms that items name and the head of the file does not; a note for each at the first item that does."""
        unknown: dict[terms.Key, tuple[int, mapping.WantedTerm]] = {}
        for wanted in batch:
            for term in wanted.terms:
                if term.key not in self._terms:
                    unknown.setdefault(term.key, (wanted.row, term))
        existing = terms.find([term for _, term in unknown.values()], locale=self.locale)
        notes = []
        for key, (row_number, term) in unknown.items():
            self._new_terms.append(key)
            row = existing.get(key)
            self._terms[key] = terms.create(term, known=self._terms, locale=self.locale) if row is None else row.id
            if row is not None and key in self._told_terms:
                continue
            outcomes.append(("terms named on items only", "created" if row is None else "unchanged"))
            problem = f"a term of {term.taxonomy} that is not among those the file lists first; taken from this item"
            notes.append(mapping.Note(row_number, "category", term.name, problem))
        return notes

    def _existing(self, external_ids: Iterable[str]) -> dict[str, models.Node]:
        nodes = models.Node.objects.filter(external_id__in=list(external_ids)).prefetch_related(
            "translations", "bodies", "category_links", "tag_links"
        )
        return {str(node.external_id): node for node in nodes}

    def _known_parents(self, batch: Sequence[mapping.WantedNode], known: dict[str, uuid.UUID]) -> dict[str, uuid.UUID]:
        wanted = {entry.parent for entry in batch if entry.parent is not None} - set(known)
        rows = models.Node.objects.filter(external_id__in=wanted).values_list("external_id", "id")
        return {str(external_id): id for external_id, id in rows}

    def _parent(
        self,
        wanted: mapping.WantedNode,
        fresh: Sequence[mapping.WantedNode],
        known: dict[str, uuid.UUID],
        late: dict[str, tuple[str, mapping.Note]],
    ) -> str | None:
        """The external id of a parent that is here, or comes earlier in the batch; else it is placed at the end."""
        if wanted.parent is None or wanted.parent in known:
            return wanted.parent
        if any(
            entry.external_id == wanted.parent
            for entry in itertools.takewhile(lambda other: other is not wanted, fresh)
        ):
            return wanted.parent
        if wanted.label == "comments":
            raise errors.NotFound("what it comments on was not taken")
        late[wanted.external_id] = _late(wanted, wanted.parent)
        return None

    def _create(
        self,
        fresh: Sequence[mapping.WantedNode],
        parents: dict[str, str | None],
        new_ids: dict[str, uuid.UUID],
        known: dict[str, uuid.UUID],
        notes: list[mapping.Note],
    ) -> None:
        everyone = known | new_ids
        batch = [
            validation.parse(
                services.BatchNode,
                self._content(wanted)
                | {
                    "id": new_ids[wanted.external_id],
                    "external_id": wanted.external_id,
                    "kind": wanted.kind,
                    "parent_id": everyone.get(parents[wanted.external_id] or ""),
                    "publish": wanted.status == models.Status.PUBLISHED,
                    "published_at": wanted.published_at,
                    "translations": [self._translation(wanted) | {"slug": wanted.slug}],
                },
            )
            for wanted in fresh
        ]
        services.create_nodes(batch=batch, now=self._taking.now, when_taken=services.WhenTaken.NUMBER)
        slugs = models.NodeTranslation.objects.filter(node_id__in=new_ids.values(), locale=self.locale)
        slug_of = dict(slugs.values_list("node_id", "slug"))
        for wanted in fresh:
            node_id = new_ids[wanted.external_id]
            if wanted.status == models.Status.ARCHIVED:
                self._archive(node_id, wanted)
            if wanted.slug is not None and slug_of[node_id] != wanted.slug:
                problem = f'the slug "{wanted.slug}" is taken; got "{slug_of[node_id]}"'
                notes.append(mapping.Note(wanted.row, "wp:post_name", wanted.slug, problem))

    def _update(
        self, node: models.Node, wanted: mapping.WantedNode, parent_id: uuid.UUID | None, notes: list[mapping.Note]
    ) -> bool:
        """Make an existing node what the file says; whether anything was different."""
        is_changed = False
        if self._differs(node, wanted):
            translation = self._translation(wanted)
            if wanted.slug is not None and node.metadata.get("slug") != wanted.metadata.get("slug"):
                translation["slug"] = wanted.slug
            changes = self._content(wanted) | {"translations": [translation]}
            services.update_node(
                node_id=node.id,
                changes=validation.parse(services.NodeChanges, changes),
                when_taken=services.WhenTaken.NUMBER,
            )
            is_changed = True
        if parent_id != node.parent_id:
            is_moved, problem = _moved(node.id, parent_id)
            if problem is not None:
                notes.append(mapping.Note(wanted.row, "wp:post_parent", wanted.title, problem))
            is_changed |= is_moved
        return self._update_status(node, wanted) or is_changed

    def _update_status(self, node: models.Node, wanted: mapping.WantedNode) -> bool:
        is_other_date = wanted.published_at is not None and node.published_at != wanted.published_at
        if wanted.status == models.Status.PUBLISHED and (node.status != wanted.status or is_other_date):
            services.publish_node(node_id=node.id, now=self._taking.now, published_at=wanted.published_at)
        elif (node.status, node.is_spam) == (wanted.status, wanted.is_spam):
            return False
        elif wanted.status == models.Status.ARCHIVED:
            self._archive(node.id, wanted)
        else:
            services.unpublish_node(node_id=node.id)
        return True

    def _archive(self, node_id: uuid.UUID, wanted: mapping.WantedNode) -> None:
        if wanted.kind != kinds.COMMENT:
            services.archive_node(node_id=node_id)
            return
        state = services.CommentState.SPAM if wanted.is_spam else services.CommentState.REJECTED
        services.moderate_comment(comment_id=node_id, state=state, now=self._taking.now)

    def _differs(self, node: models.Node, wanted: mapping.WantedNode) -> bool:
        content = validation.parse(
            services.NodeChanges, self._content(wanted) | {"translations": [self._translation(wanted)]}
        )
        [text], [body] = content.translations or [], content.bodies or []
        translation = next((row for row in node.translations.all() if row.locale == self.locale), None)
        stored = next((row for row in node.bodies.all() if row.locale == self.locale), None)
        links = sorted(node.category_links.all(), key=lambda link: link.position)
        return (
            translation is None
            or stored is None
            or (translation.title, translation.excerpt) != (text.title, text.excerpt)
            or (stored.format, stored.body) != (body.format.value, bodies.stored(body))
            or (node.author_name, node.metadata) != (content.author_name, content.metadata)
            or node.old_paths != content.old_paths
            or [link.category_id for link in links] != content.category_ids
            or {link.tag_id for link in node.tag_links.all()} != set(content.tag_ids or [])
        )

    def _translation(self, wanted: mapping.WantedNode) -> dict[str, Any]:
        return {"locale": self.locale, "title": wanted.title, "excerpt": wanted.excerpt}

    def _content(self, wanted: mapping.WantedNode) -> dict[str, Any]:
        tags = [term for term in wanted.terms if term.is_tag]
        categories = [term for term in wanted.terms if not term.is_tag]
        return {
            "bodies": [{"locale": self.locale, "format": wanted.format, "body": wanted.body}],
            "author_name": wanted.author_name,
            "metadata": wanted.metadata,
            "old_paths": wanted.old_paths,
            "category_ids": list(dict.fromkeys(self._terms[term.key] for term in categories)),
            "tag_ids": list(dict.fromkeys(self._terms[term.key] for term in tags)),
        }

    # --- Children that came before their parents -------------------------------------------------------------

    def _place_late_children(self) -> None:
        for chunk in itertools.batched(self._late.items(), CHILDREN_AT_ONCE):
            with unit_of_work(savepoint=True):
                lock_content()
                wanted = {external_id for child, (parent, _) in chunk for external_id in (child, parent)}
                rows = models.Node.objects.filter(external_id__in=wanted).values_list("external_id", "id")
                known = {str(external_id): id for external_id, id in rows}
                for child, (parent, note) in chunk:
                    if child not in known:
                        continue  # it could not be taken itself
                    if parent not in known:
                        self._note(note)
                        continue
                    _, problem = _moved(known[child], known[parent])
                    if problem is not None:
                        self._note(mapping.Note(note.row, note.column, note.value, problem))

    # --- Menus, when all they lead to is there ----------------------------------------------------------------

    def _take_menus(self) -> None:
        builder = menus.Builder(
            locale=self.locale, external_id=self.mapper.external_id, nodes=self._menu_nodes(), terms=self._menu_terms()
        )
        for wanted in menus.gather(self.site.terms, self._menu_items):
            built = builder.build(wanted)
            for note in built.notes:
                self._note(note)
            self._taking.tally.add("menu items", "skipped", len(wanted.items) - built.count)
            try:
                with unit_of_work(savepoint=True):
                    external_id = self.mapper.external_id(f"menu:{wanted.slug}")
                    outcome = menus.take(wanted, built, external_id=external_id, remember=self._remember_menu)
            except errors.DomainError as error:
                self._note(mapping.Note(0, "wp:term", wanted.name, error.detail))
                outcome = "skipped"
            self._taking.tally.add("menus", outcome)
            self._taking.tally.add("menu items", outcome, built.count)

    def _remember_menu(self, menu: models.Menu) -> None:
        restoring.remember_menu(self._taking, menu)

    def _menu_nodes(self) -> dict[str, uuid.UUID]:
        named = {dict(item.meta).get("_menu_item_object_id", "") for item in self._menu_items} - {""}
        wanted = [self.mapper.external_id(key) for key in named]
        rows = models.Node.objects.filter(external_id__in=wanted).values_list("external_id", "id")
        return {str(external_id): id for external_id, id in rows}

    def _menu_terms(self) -> dict[str, tuple[str, uuid.UUID]]:
        found = {}
        for term in self.site.terms:
            wanted, _ = mapping.wanted_term(term)
            if term.term_id and (id := self._terms.get(wanted.key)) is not None:
                found[term.term_id] = ("tag" if wanted.is_tag else "content_category", id)
        return found

    def _note(self, note: mapping.Note) -> None:
        self._taking.note(row=note.row, column=note.column, value=note.value, problem=note.problem)


def _from_library(batch: Sequence[mapping.WantedNode]) -> Sequence[mapping.WantedNode]:
    """What the file shows by an address that was fetched is shown from the media library."""
    urls = {url for wanted in batch for url in pictures.in_text(wanted.body)}
    urls |= {wanted.metadata["url"] for wanted in batch if wanted.metadata.get("url")}
    assets = library.find_by_address(urls)
    if not assets:
        return batch
    return [
        replace(
            wanted,
            body=pictures.from_library(wanted.body, assets),
            metadata=pictures.file_from_library(wanted.metadata, assets),
        )
        for wanted in batch
    ]


def _led_here(
    batch: Sequence[mapping.WantedNode], existing: Mapping[str, models.Node], notes: list[mapping.Note]
) -> list[mapping.WantedNode]:
    """With the old paths each has already; what leads to another node is noted and left out."""
    owners: dict[str, str] = {}
    known = paths.owners(path for wanted in batch for path in wanted.old_paths)
    found = []
    for wanted in batch:
        node = existing.get(wanted.external_id)
        led = list(node.old_paths) if node is not None else []
        for path in wanted.old_paths:
            is_free = known.get(path) in {None, node.id if node is not None else None}
            if is_free and owners.setdefault(path, wanted.external_id) == wanted.external_id:
                led += [path] if path not in led else []
            else:
                notes.append(mapping.Note(wanted.row, "link", path, "it leads to another node already; left out"))
        found.append(replace(wanted, old_paths=led))
    return found


def _late(wanted: mapping.WantedNode, parent: str) -> tuple[str, mapping.Note]:
    problem = "the parent is not in the file; taken without a parent"
    return parent, mapping.Note(wanted.row, "wp:post_parent", parent.rpartition(":")[2], problem)


def _not_taken(wanted: mapping.WantedNode, problem: str) -> NotTaken:
    return NotTaken(wanted.label, mapping.Note(wanted.row, wanted.kind, wanted.title, problem))


def _moved(node_id: uuid.UUID, parent_id: uuid.UUID | None) -> tuple[bool, str | None]:
    """Whether the node could be placed there, else why not: the file may hold a circle or too deep a tree."""
    try:
        with unit_of_work(savepoint=True):
            services.set_parent(node_id=node_id, parent_id=parent_id)
    except errors.Conflict as error:
        return False, error.detail
    return True, None
