"""The tree of nodes: opened branch by branch, put in order by buttons, keys or dragging, through the move service."""

from __future__ import annotations

import uuid
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Exists, OuterRef
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from apps.accounts.desk.screens import at_work
from apps.content import kinds, models, services
from apps.kernel import errors, validation
from apps.tenants import scope

MOST_IN_A_BRANCH = 500
MOST_OPEN = 200


@dataclass
class Branch:
    """A node with those below it, as far as they are opened; `toggle` is the address that opens or closes it."""

    node: Any
    has_children: bool
    is_open: bool
    toggle: str
    children: list[Branch] = field(default_factory=list)


def page(screen: Any, request: HttpRequest) -> HttpResponse:
    """Shown on a tenant's host, to those who may see nodes."""
    if scope.find() is None or not screen.has_view_permission(request):
        raise PermissionDenied
    with at_work(request):
        kind = request.GET.get("kind") or "page"
        opened = _ids(request.POST.get("open") or request.GET.get("open", ""))
        if request.method == "POST":
            opened |= _move(screen, request)
            return HttpResponseRedirect(_address(kind, opened))
        roots, is_cut = _load(screen, request, kind, opened)
        shown = {
            **screen.admin_site.each_context(request),
            "title": "Tree",
            "opts": screen.opts,
            "roots": roots,
            "is_cut": is_cut,
            "most": MOST_IN_A_BRANCH,
            "kind": kind,
            "kinds": kinds.names(),
            "opened": ",".join(sorted(str(value) for value in opened)),
            "address": _address(kind, set()),
            "may_move": screen.has_change_permission(request),
            "may_add": screen.has_add_permission(request),
            "list_address": screen._address("changelist"),
            "add_address": screen._address("add"),
        }
        answer = TemplateResponse(request, "content/tree.html", shown)
        answer.render()
        return answer


def _load(screen: Any, request: HttpRequest, kind: str, opened: set[uuid.UUID]) -> tuple[list[Branch], bool]:
    """The branches at the top, and whether any branch has more than is shown. Two queries, whatever is open."""
    rows = screen.get_queryset(request).select_related(None).order_by("position", "id")
    rows = rows.annotate(has_children=Exists(models.Node.objects.filter(parent=OuterRef("pk"))))
    top = list(rows.filter(parent=None, kind=kind)[: MOST_IN_A_BRANCH + 1])
    most = MOST_IN_A_BRANCH * 10
    below = list(rows.filter(parent_id__in=opened)[: most + 1]) if opened else []
    is_cut = len(top) > MOST_IN_A_BRANCH or len(below) > most
    children: dict[Any, list[Any]] = defaultdict(list)
    for node in below[:most]:
        children[node.parent_id].append(node)

    def branch(node: Any) -> Branch:
        is_open = node.pk in opened
        others = opened - {node.pk} if is_open else opened | {node.pk}
        found = Branch(node, node.has_children, is_open, _address(kind, others))
        if is_open:
            found.children = [branch(child) for child in children[node.pk]]
        return found

    return [branch(node) for node in top[:MOST_IN_A_BRANCH]], is_cut


def _move(screen: Any, request: HttpRequest) -> set[uuid.UUID]:
    """Do what was asked, tell how it went; returns what is to be open to see it."""
    if not screen.has_change_permission(request):
        raise PermissionDenied
    way, _, node_text = request.POST.get("move", "").partition(":")
    try:
        node_id = validation.check(uuid.UUID, node_text, field="move")
        node = screen.get_object(request, str(node_id))
        if node is None:
            raise services.NodeNotFound("")
        parent_id, position = _place(screen, request, node, way)
        services.move_node(node_id=node_id, parent_id=parent_id, position=position)
    except errors.DomainError as error:
        messages.error(request, error.detail or "It is not there any more.")
        return set()
    return {parent_id} if parent_id else set()


def _place(screen: Any, request: HttpRequest, node: Any, way: str) -> tuple[uuid.UUID | None, int | None]:
    """Parent and position a way leads to; the place a node has where it leads nowhere."""
    rows = screen.get_queryset(request).filter(parent_id=node.parent_id).order_by("position", "id")
    kin = list(rows.filter(kind=node.kind) if node.parent_id is None else rows)
    index = next(place for place, other in enumerate(kin) if other.pk == node.pk)
    here = node.parent_id, _index(node, node.parent_id, node, is_after=False)
    match way:
        case "up" if index > 0:
            return node.parent_id, _index(node, node.parent_id, kin[index - 1], is_after=False)
        case "down" if index + 1 < len(kin):
            return node.parent_id, _index(node, node.parent_id, kin[index + 1], is_after=True)
        case "indent" if index > 0:
            return kin[index - 1].pk, None
        case "outdent" if node.parent_id is not None:
            parent = screen.get_object(request, str(node.parent_id))
            return (parent.parent_id, _index(node, parent.parent_id, parent, is_after=True)) if parent else here
        case "before" | "after" | "within":
            target = screen.get_object(request, request.POST.get("at", ""))
            if target is None:
                return here
            if way == "within":
                return target.pk, None
            return target.parent_id, _index(node, target.parent_id, target, is_after=way == "after")
    return here


def _index(node: Any, parent_id: uuid.UUID | None, target: Any, *, is_after: bool) -> int:
    """The place beside the target among all others below the parent, of whatever kind."""
    others = models.Node.objects.filter(parent_id=parent_id).order_by("position", "id").values_list("id", flat=True)
    if target.pk == node.pk:
        return list(others).index(node.pk)
    return [other for other in others if other != node.pk].index(target.pk) + is_after


def _ids(text: str) -> set[uuid.UUID]:
    found = [part for part in text.split(",") if validation.fits(uuid.UUID, part)]
    return {uuid.UUID(part) for part in found[:MOST_OPEN]}


def _address(kind: str, opened: set[uuid.UUID]) -> str:
    wanted = {"kind": kind, "open": ",".join(sorted(str(value) for value in opened))}
    return f"{reverse('admin:content_node_tree')}?{urlencode({key: value for key, value in wanted.items() if value})}"
