"""The tree of nodes: no cycles, depths and positions kept by the service."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from apps.content import models, services
from apps.content.services import places
from apps.kernel import errors, ids
from apps.outbox.append import unit_of_work
from tests import factories
from tests.content import making
from tests.content.making import make_node, place_of, recorded, types_of


def order_below(parent_id: uuid.UUID | None) -> list[uuid.UUID]:
    making.check_deferred_constraints()
    return list(models.Node.objects.filter(parent_id=parent_id).order_by("position").values_list("id", flat=True))


def chain(length: int) -> list[models.Node]:
    nodes = [make_node("level 0")]
    for level in range(1, length):
        nodes.append(make_node(f"level {level}", parent_id=nodes[-1].id))
    return nodes


def test_a_branch_moves_with_all_below_it(at_work: Any) -> None:
    top, branch, leaf = chain(3)
    other = make_node("Other")

    services.set_parent(node_id=branch.id, parent_id=None)

    assert place_of(branch) == (None, 2, 0)
    assert place_of(leaf) == (branch.id, 0, 1)
    assert place_of(top) == (None, 0, 0)
    assert recorded(branch.id)[-1] == ("node.moved", {"parent_id": None, "position": 2, "depth": 0})
    assert recorded(leaf.id)[-1] == ("node.moved", {"parent_id": str(branch.id), "position": 0, "depth": 1})
    assert types_of(top.id) == types_of(other.id) == ["node.created"]


def test_setting_the_parent_it_has_changes_nothing(at_work: Any) -> None:
    top, branch, _ = chain(3)
    before = making.event_count()

    services.set_parent(node_id=branch.id, parent_id=top.id)
    services.move_node(node_id=branch.id, position=0)

    assert making.event_count() == before


def test_a_cycle_is_refused_and_names_the_nodes(at_work: Any) -> None:
    top, _, leaf = chain(3)

    with pytest.raises(
        services.TreeCycle, match=f'"level 0" \\({top}\\).*below "level 2" \\({leaf}\\), which is below'
    ):
        services.set_parent(node_id=top.id, parent_id=leaf.id)
    with pytest.raises(services.TreeCycle, match="own parent"):
        services.set_parent(node_id=top.id, parent_id=top.id)
    with pytest.raises(services.NodeNotFound, match="to place"):
        services.set_parent(node_id=top.id, parent_id=ids.new_id())


def test_a_tree_has_a_hundred_levels_below_its_root(at_work: Any) -> None:
    nodes = chain(101)
    pair = chain(2)

    assert place_of(nodes[-1])[2] == 100
    with pytest.raises(services.TreeTooDeep, match="101 ancestors") as refused:
        make_node("Too deep", parent_id=nodes[-1].id)
    assert [(problem.pointer, problem.code) for problem in refused.value.problems] == [
        ("/parent_id", "depth_too_large")
    ]
    with pytest.raises(services.TreeTooDeep, match="deepest node below"):
        services.set_parent(node_id=pair[0].id, parent_id=nodes[-2].id)


@pytest.mark.parametrize(
    ("moved", "position", "expected"),
    [(3, 0, [3, 0, 1, 2]), (0, 2, [1, 2, 0, 3]), (0, 99, [1, 2, 3, 0]), (1, None, [0, 2, 3, 1])],
)
def test_a_node_moves_to_a_position(at_work: Any, moved: int, position: int | None, expected: list[int]) -> None:
    parent = make_node("Parent")
    children = [make_node(f"child {number}", parent_id=parent.id) for number in range(4)]

    services.move_node(node_id=children[moved].id, position=position)

    assert order_below(parent.id) == [children[number].id for number in expected]


def test_only_the_siblings_that_must_shift_have_events(at_work: Any) -> None:
    first, second, third = (make_node(title) for title in ("First", "Second", "Third"))
    services.delete_node(node_id=second.id)
    last = make_node("Last")

    services.move_node(node_id=last.id, position=1)

    assert order_below(None) == [first.id, last.id, third.id]
    assert place_of(last)[1] == 1
    assert types_of(third.id) == ["node.created"]


def test_children_get_the_order_of_the_list(at_work: Any) -> None:
    parent = make_node("Parent")
    children = [make_node(f"child {number}", parent_id=parent.id) for number in range(3)]
    wanted = [children[2].id, children[1].id, children[0].id]

    services.reorder_children(parent_id=parent.id, ids_in_order=wanted)

    assert order_below(parent.id) == wanted
    assert types_of(children[1].id) == ["node.created"]
    assert types_of(children[0].id) == ["node.created", "node.moved"]


def test_an_order_must_name_exactly_the_children(at_work: Any) -> None:
    parent, stranger = make_node("Parent"), make_node("Stranger")
    child, other = make_node("Child", parent_id=parent.id), make_node("Other", parent_id=parent.id)

    for wrong, message in (
        ([child.id], f"{other} is missing"),
        ([child.id, other.id, stranger.id], f"{stranger} is not a child"),
        ([child.id, other.id, other.id], f"{other} is given twice"),
    ):
        with pytest.raises(services.WrongChildren, match=message):
            services.reorder_children(parent_id=parent.id, ids_in_order=wrong)
    with pytest.raises(errors.ValidationFailed, match="zero or more"):
        services.move_node(node_id=child.id, position=-1)


# --- Races ---------------------------------------------------------------------------------------------------


def _race(tenant: Any, first: Callable[[], Any], second: Callable[[], Any]) -> list[BaseException]:
    """`first` is done and not committed when `second` starts, and commits once `second` waits or is done."""
    first_is_done, may_commit, failures = threading.Event(), threading.Event(), list[BaseException]()

    def run(work: Callable[[], Any]) -> None:
        try:
            with factories.at_work(tenant):
                work()
        except BaseException as error:  # noqa: BLE001 - handed to the test
            failures.append(error)
        finally:
            connection.close()

    def first_then_wait() -> None:
        with unit_of_work():
            first()
            first_is_done.set()
            assert may_commit.wait(20)

    threads = [threading.Thread(target=run, args=(work,)) for work in (first_then_wait, second)]
    threads[0].start()
    assert first_is_done.wait(20)
    threads[1].start()
    with connection.cursor() as cursor:
        while threads[1].is_alive():
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            if cursor.fetchone()[0]:
                break
            threads[1].join(0.02)
    may_commit.set()
    for thread in threads:
        thread.join(20)
    return failures


def _two_branches(tenant: Any) -> list[models.Node]:
    """Left with a child, right with a child. Each is to move below the other's child: no row is touched by both."""
    with factories.at_work(tenant):
        left, right = make_node("Left"), make_node("Right")
        return [left, make_node("Left child", parent_id=left.id), right, make_node("Right child", parent_id=right.id)]


def _has_cycle(node: models.Node) -> bool:
    seen: set[uuid.UUID] = set()
    at: uuid.UUID | None = node.id
    while at is not None and at not in seen:
        seen.add(at)
        at = models.Node.objects.get(id=at).parent_id
    return at is not None


def _swap_at_once(tenant: Any) -> tuple[models.Node, list[BaseException]]:
    left, left_child, right, right_child = _two_branches(tenant)
    failures = _race(
        tenant,
        lambda: services.set_parent(node_id=left.id, parent_id=right_child.id),
        lambda: services.set_parent(node_id=right.id, parent_id=left_child.id),
    )
    return left, failures


def test_two_moves_at_once_cannot_make_a_cycle(committed_db: None) -> None:
    tenant = factories.make_tenant()

    left, failures = _swap_at_once(tenant)

    assert [type(failure) for failure in failures] == [services.TreeCycle]
    with factories.at_work(tenant):
        assert not _has_cycle(left)


def test_without_the_lock_two_moves_do_make_a_cycle(committed_db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Proves that the test above really races."""
    tenant = factories.make_tenant()
    monkeypatch.setattr(places, "lock_content", lambda: None)

    left, failures = _swap_at_once(tenant)

    assert failures == []
    with factories.at_work(tenant):
        assert _has_cycle(left)


def test_two_new_nodes_at_once_get_two_slugs_and_two_positions(committed_db: None) -> None:
    tenant = factories.make_tenant()

    failures = _race(tenant, lambda: make_node("Same"), lambda: make_node("Same"))

    assert failures == []
    with factories.at_work(tenant):
        rows = models.Node.objects.order_by("position").values_list("position", "translations__slug")
        assert list(rows) == [(0, "same"), (1, "same-2")]
