"""What is done to one row or to many at once: each row is a transaction of its own, and each has its answer."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.contrib import messages
from django.contrib.admin import helpers
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from apps.accounts.desk.sheets import Document, Draft, Field, Section, Sheet
from apps.kernel import context, errors
from apps.outbox.append import unit_of_work

MOST = 1000
_SHOWN_FAILURES = 10


@dataclass(frozen=True)
class Act:
    """A use case of one row, such as publishing. `done` completes “3 are …”; `asks` is what has to be filled in first.

    `permission` is Django's verb for it. On a row's own page it is a button where `is_for` says so.
    """

    name: str
    label: str
    done: str
    call: Callable[..., Any]
    permission: str = "change"
    asks: tuple[Field, ...] = ()
    is_dangerous: bool = False
    is_on_page: bool = True
    is_for: Callable[[Any], bool] = lambda row: True


@dataclass(frozen=True)
class Outcome:
    """What became of one row; no problem is success."""

    row_id: uuid.UUID
    name: str
    problem: str | None = None


def _erase(row_id: uuid.UUID) -> None:
    raise NotImplementedError  # each screen has its own: `deleting`


DELETE = Act(
    "delete_chosen", "Delete", "deleted", _erase, permission="delete", is_dangerous=True, is_on_page=False
)  # fmt: skip


def deleting(screen: Any) -> Act:
    """Deleting as this screen does it."""
    return replace(DELETE, call=screen.erase)


def each(
    screen: Any, request: HttpRequest, rows: Iterable[Any], act: Act, answers: Mapping[str, Any] | None = None
) -> list[Outcome]:
    """Do it to every row, whatever becomes of the others."""
    outcomes = []
    with context.use(actor=f"user:{request.user.pk}"):
        for row in rows:
            name, row_id = str(row), row.pk
            try:
                with unit_of_work():
                    act.call(row_id, **(answers or {}))
            except errors.DomainError as error:
                outcomes.append(Outcome(row_id, name, error.detail))
            else:
                outcomes.append(Outcome(row_id, name))
    return outcomes


def on_many(act: Act) -> Callable[..., HttpResponse | None]:
    """The act as an action of a list."""

    def run(screen: Any, request: HttpRequest, chosen: Any) -> HttpResponse | None:
        ours = deleting(screen) if act.name == DELETE.name else act
        if (count := chosen.count()) > MOST:
            messages.error(request, f"{count:,} are chosen; up to {MOST:,} can be done at once. Narrow the list first.")
            return None
        rows = list(chosen)
        if (act.asks or act.is_dangerous) and "_sure" not in request.POST:
            return confirmation(screen, request, rows, ours)
        answers = _sheet(ours).read(request.POST, {})
        tell(request, each(screen, request, rows, ours, answers), ours)
        return None

    return run


def tell(request: HttpRequest, outcomes: Sequence[Outcome], act: Act) -> None:
    """How many it was done to, and why not to the others."""
    failures = [outcome for outcome in outcomes if outcome.problem is not None]
    if done := len(outcomes) - len(failures):
        messages.success(request, f"{done:,} {'is' if done == 1 else 'are'} {act.done}.")
    for outcome in failures[:_SHOWN_FAILURES]:
        messages.error(request, f"“{outcome.name}” is not {act.done}: {outcome.problem}")
    if more := failures[_SHOWN_FAILURES:]:
        messages.error(request, f"{len(more):,} more are not {act.done}, for reasons like these.")


def confirmation(
    screen: Any, request: HttpRequest, rows: Sequence[Any], act: Act, document: Document | None = None
) -> HttpResponse:
    """The page that asks whether it is meant, and what has to be known first."""
    draft = Draft(_sheet(act), document or {})
    shown = {
        **screen.admin_site.each_context(request),
        "title": f"{act.label}?" if act.is_dangerous else act.label,
        "opts": screen.opts,
        "names": screen.names,
        "rows": rows,
        "act": act,
        "draft": draft,
        "is_of_many": "action" in request.POST,
        "checkbox": helpers.ACTION_CHECKBOX_NAME,
        "list_address": screen._address("changelist"),
    }
    answer = TemplateResponse(request, "desk/confirm.html", shown)
    answer.render()
    return answer


def _sheet(act: Act) -> Sheet:
    return Sheet([Section(title="", fields=act.asks)])
