"""Where nodes were on another site: a path leads to one node of the tenant at most."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from apps.content import events, models
from apps.content.services import records
from apps.content.services.errors import PathTaken
from apps.kernel import errors, wording


def owners(paths: Iterable[str]) -> dict[str, uuid.UUID]:
    """The nodes that these paths lead to. Asked with the content locked, it stays so.

    It looks through the tenant's nodes: under row policies no index serves the comparison of lists.
    """
    wanted = set(paths)
    if not wanted:
        return {}
    rows = models.Node.objects.filter(old_paths__overlap=sorted(wanted)).values_list("id", "old_paths")
    return {path: node_id for node_id, known in rows for path in known if path in wanted}


def check_free(wanted: Mapping[uuid.UUID, Sequence[str]]) -> None:
    """Raises PathTaken for a path that leads to another node, or to two of these."""
    counted = Counter(path for paths in wanted.values() for path in paths)
    known = owners(counted)
    for node_id, paths in wanted.items():
        for index, path in enumerate(paths):
            if counted[path] > 1 or known.get(path, node_id) != node_id:
                said = wording.say('"{path}" leads to another node already; take it from there first.', path=path)
                raise PathTaken(said, problems=[errors.FieldProblem(f"/old_paths/{index}", "path_taken", said)])


def change(node: models.Node, paths: Sequence[str] | None) -> bool:
    """Whether they differ. The caller saves the node. Raises PathTaken."""
    if paths is None or list(paths) == node.old_paths:
        return False
    check_free({node.id: paths})
    before = {"paths": node.old_paths}
    node.old_paths = list(paths)
    records.of_node(node.id, events.PathsUpdated(paths=node.old_paths), before=before)
    return True
