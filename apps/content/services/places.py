"""Where nodes stand in the tree: parents, order among siblings, and deleting whole branches."""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from apps.content import events, models, permitted
from apps.content.services import records, trees
from apps.content.services.editing import locked_node
from apps.content.services.errors import NodeNotFound, TreeCycle, WrongChildren
from apps.content.services.locks import lock_content
from apps.kernel import errors, ids, validation, wording
from apps.outbox.append import unit_of_work


class _Same:
    """The parent stays as it is."""


SAME_PARENT = _Same()


def set_parent(*, node_id: uuid.UUID, parent_id: uuid.UUID | None) -> models.Node:
    """Put the node, with all below it, last among the children of another parent, or of none.

    Raises NodeNotFound, TreeCycle, TreeTooDeep.
    """
    with unit_of_work():
        lock_content()
        node = locked_node(node_id)
        if node.parent_id == parent_id:
            return node
        return move_node(node_id=node_id, parent_id=parent_id)


def move_node(
    *, node_id: uuid.UUID, parent_id: uuid.UUID | _Same | None = SAME_PARENT, position: int | None = None
) -> models.Node:
    """Put the node, with all below it, at `position` (0 is first, None is last) among its siblings.

    Siblings whose stored position has to change, and descendants whose depth does, have their own events.
    Raises NodeNotFound, TreeCycle, TreeTooDeep.
    """
    if position is not None:
        validation.check(validation.Position, position, field="position")
    with unit_of_work():
        lock_content()
        node = locked_node(node_id)
        permitted.check("update", node)
        wanted_parent = node.parent_id if isinstance(parent_id, _Same) else parent_id
        depth = _checked_depth(node, wanted_parent)
        order = list(
            models.Node.objects.filter(parent_id=wanted_parent)
            .order_by("position", "id")
            .values_list("id", "position", "depth")
        )
        siblings = [(id, at) for id, at, _ in order if id != node.id]
        index = len(siblings) if position is None else min(position, len(siblings))
        if wanted_parent == node.parent_id and [id for id, _, _ in order].index(node.id) == index:
            return node
        positions = trees.positions_with(siblings, id=node.id, index=index)
        places: list[tuple[uuid.UUID, uuid.UUID | None, int, int]] = [
            (id, wanted_parent, at, depth) for id, at in positions.items()
        ]
        _write([*places, *(_branch(node, depth - node.depth) if depth != node.depth else [])], moved=node)
        node.parent_id, node.position, node.depth = wanted_parent, positions[node.id], depth
    return node


def reorder_children(*, parent_id: uuid.UUID | None, ids_in_order: Sequence[uuid.UUID]) -> list[models.Node]:
    """Give the children of a node (or, for None, the nodes at the top) this order.

    The list must be exactly the children. Raises NodeNotFound, WrongChildren.
    """
    with unit_of_work():
        lock_content()
        if parent_id is not None:
            permitted.check("update", locked_node(parent_id))
        children = {node.id: node for node in models.Node.objects.filter(parent_id=parent_id)}
        _check_exactly(children, ids_in_order)
        in_order = [children[id] for id in ids_in_order]
        changed = [(position, node) for position, node in enumerate(in_order) if node.position != position]
        _write([(node.id, node.parent_id, position, node.depth) for position, node in changed])
        if changed:
            before = sorted(children.values(), key=lambda node: (node.position, node.id))
            records.of_children(parent_id, before=[node.id for node in before], after=list(ids_in_order))
        for position, node in changed:
            node.position = position
    return in_order


def delete_node(*, node_id: uuid.UUID) -> None:
    """Delete the node and all below it, deepest first, each with its own event. Raises NodeNotFound."""
    with unit_of_work():
        lock_content()
        node = locked_node(node_id)
        permitted.check("delete", node)
        doomed = [node.id, *trees.descendants(models.Node, node.id)]
        permitted.check_all("delete", doomed)
        rows = models.Node.objects.filter(id__in=doomed)
        titles: dict[uuid.UUID, dict[str, str]] = defaultdict(dict)
        translations = models.NodeTranslation.objects.filter(node_id__in=doomed)
        for id, locale, title in translations.values_list("node_id", "locale", "title"):
            titles[id][locale] = title
        for id, kind, status in rows.order_by("-depth", "position", "id").values_list("id", "kind", "status"):
            before = {"kind": kind, "status": status, "titles": titles[id]}
            records.of_node(id, events.NodeDeleted(), before=before)
        # Not the collecting delete(): the database removes what belongs to the nodes.
        rows._raw_delete(rows.db)


def _checked_depth(node: models.Node, parent_id: uuid.UUID | None) -> int:
    """The node's depth below this parent. Raises NodeNotFound, TreeCycle, TreeTooDeep."""
    if parent_id is None:
        return 0
    parent = permitted.parents([parent_id]).first()
    if parent is None:
        raise NodeNotFound(
            wording.say(
                "There is no node {parent} to place {node} below.",
                parent=ids.encode("node", parent_id),
                node=_named(node),
            )
        )
    if parent.id == node.id:
        raise TreeCycle(wording.say("{node} can't be its own parent.", node=_named(node)))
    if node.id in trees.ancestors_and_self(models.Node, parent.id):
        raise TreeCycle(
            wording.say(
                "{node} can't be placed below {parent}, which is below it.", node=_named(node), parent=_named(parent)
            )
        )
    depth = parent.depth + 1
    height = max((below - node.depth for _, _, _, below in _branch(node, 0)), default=0)
    what = wording.say("The deepest node below {node}", node=_named(node)) if height else _named(node)
    trees.check_depth(depth + height, what)
    return depth


def _branch(node: models.Node, deeper: int) -> list[tuple[uuid.UUID, uuid.UUID | None, int, int]]:
    """The places of all below the node, `deeper` levels further down."""
    below = models.Node.objects.filter(id__in=trees.descendants(models.Node, node.id))
    rows = below.order_by("depth", "id").values_list("id", "parent_id", "position", "depth")
    return [(id, parent_id, position, depth + deeper) for id, parent_id, position, depth in rows]


def _write(places: list[tuple[uuid.UUID, uuid.UUID | None, int, int]], *, moved: models.Node | None = None) -> None:
    """`moved` is the one that somebody moved, as it stood before; the others make room or come along."""
    trees.update_places(models.Node, places)
    for id, parent_id, position, depth in places:
        payload = events.NodeMoved(parent_id=parent_id, position=position, depth=depth)
        if moved is not None and id == moved.id:
            before = {"parent_id": moved.parent_id, "position": moved.position, "depth": moved.depth}
            records.of_node(id, payload, before=before)
        else:
            records.of_node(id, payload, follows=True)


def _check_exactly(children: dict[uuid.UUID, Any], ids_in_order: Sequence[uuid.UUID]) -> None:
    given = Counter(ids_in_order)
    wrong = {
        wording.mark("{node} is given twice"): sorted(id for id, count in given.items() if count > 1),
        wording.mark("{node} is not a child"): sorted(set(given) - set(children)),
        wording.mark("{node} is missing"): sorted(set(children) - set(given)),
    }
    found = [wording.say(what, node=ids.encode("node", entries[0])) for what, entries in wrong.items() if entries]
    if found:
        detail = wording.say("send every child exactly once: {found}.", found=wording.join(", ", found))
        raise WrongChildren(
            wording.say("{field}: {problem}", field="ids", problem=detail),
            problems=[errors.FieldProblem("/ids", "wrong_children", detail)],
        )


def _named(node: models.Node) -> str:
    translation = models.NodeTranslation.objects.filter(node=node).order_by("locale").first()
    return f'"{translation.title if translation else node.kind}" ({node})'
