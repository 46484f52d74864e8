"""A screen of the admin that writes: everything it does is a call of a service, in the name of whoever is at it."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, NoReturn
from urllib.parse import urlsplit

from django.contrib import messages
from django.contrib.admin.options import ActionLocation
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.forms import Media
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.html import format_html

from apps.accounts.access import backend
from apps.accounts.desk import acting, history, merging
from apps.accounts.desk.asking import Asked
from apps.accounts.desk.sheets import Document, Draft, Sheet
from apps.kernel import context, errors, validation
from apps.outbox import append
from apps.tenants import endpoint, scope
from apps.tenants.admin import TenantReadOnlyAdmin, is_at_work

MOST_FOUND, MOST_NAMED = 20, 100
_ATTEMPTS = 3
_VERSION = re.compile(r"[0-9]{1,18}")


@contextmanager
def at_work(request: HttpRequest) -> Iterator[None]:
    """What happens in the block is done by whoever sent the request, with their rights."""
    backend.rights_here(request.user)
    with context.use(actor=f"user:{request.user.pk}"):
        yield


@dataclass(frozen=True)
class _Saved:
    row_id: uuid.UUID | int


class EditingAdmin(TenantReadOnlyAdmin):
    """On a tenant's host editable for those who may; elsewhere, and for all others, readable as any other screen.

    A screen says what its sheet is, which document a row is, and which services make a row what a document says.
    """

    resource: str
    aggregate: ClassVar[str]
    acts: ClassVar[Sequence[acting.Act]] = ()
    scripts: ClassVar[Media] = Media()  # what its page needs beyond that of all
    change_list_template = "desk/list.html"

    # --- What a screen says -------------------------------------------------------------------------------

    def sheet(self, request: HttpRequest, row: Any, document: Mapping[str, Any]) -> Sheet:
        """What can be filled in; `row` is None for something new."""
        raise NotImplementedError

    def stored(self, request: HttpRequest, row: Any) -> Document:
        """The row as a document; None gives what something new begins with."""
        raise NotImplementedError

    def write(self, request: HttpRequest, row: Any, asked: Asked) -> uuid.UUID | int:
        """Make the row what is asked for, through services. Raises DomainError, with pointers `asked` understands."""
        raise NotImplementedError

    def added(self, button: str, document: Document) -> Document:
        """The document once a button of a table has added its rows."""
        return document

    def erase(self, row_id: Any) -> None:
        raise NotImplementedError

    def stream_id(self, row: Any) -> uuid.UUID:
        """What its events and its history are of."""
        return uuid.UUID(str(row.pk))

    def names_of(self, request: HttpRequest, document: Mapping[str, Any]) -> Mapping[str, str]:
        """What to call the values that choosers hold."""
        return {}

    def list_tools(self, request: HttpRequest) -> list[tuple[str, str]]:
        """Links beside the heading of the list."""
        return []

    def looks_like(self, row: Any) -> str:
        """The address of what the row looks like, on this host; nothing where it looks like nothing."""
        return ""

    def offered(self, request: HttpRequest, rows: Any) -> Any:
        """Of the rows that were found, those a chooser offers."""
        return rows

    def as_found(self, row: Any) -> dict[str, str]:
        """A row as a chooser shows it."""
        return {"id": str(row.pk), "text": str(row)}

    def tools(self, request: HttpRequest, row: Any) -> list[tuple[str, str]]:
        """Links beside the heading: what they say, and where they lead."""
        return []

    # --- Who may what -------------------------------------------------------------------------------------

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self._may(request, "add")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, "change")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, "delete")

    def _may(self, request: HttpRequest, verb: str) -> bool:
        if not is_at_work() or self._is_off():
            return False
        return request.user.has_perm(f"{self.opts.app_label}.{verb}_{self.opts.model_name}")

    # --- Pages --------------------------------------------------------------------------------------------

    def get_urls(self) -> list[Any]:
        name = f"{self.opts.app_label}_{self.opts.model_name}_find"
        return [path("find/", self.admin_site.admin_view(self.find_view), name=name), *super().get_urls()]

    def find_view(self, request: HttpRequest) -> JsonResponse:
        """What a chooser offers: rows the searcher may see, by the words of the search, or those it names by `id`."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        if named := request.GET.getlist("id")[:MOST_NAMED]:
            known = [uuid.UUID(value) for value in named if validation.fits(uuid.UUID, value)]
            rows = self.get_queryset(request).filter(pk__in=known)
        else:
            words = request.GET.get("q", "")[:200]
            searched, _ = self.get_search_results(request, self.get_queryset(request), words)
            rows = self.offered(request, searched).distinct()[:MOST_FOUND]
        return JsonResponse({"found": [self.as_found(row) for row in rows]})

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        with at_work(request):
            tools = self.list_tools(request) if scope.find() is not None else []
            shown = {**(extra_context or {}), "list_tools": tools, "names": self.names}
            answer: HttpResponse = super().changelist_view(request, shown)
            if hasattr(answer, "render"):
                answer.render()
            return answer

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        if scope.find() is None:
            self._say_where_it_is_changed(request, object_id)
            return super().changeform_view(request, object_id, form_url, extra_context)
        with at_work(request):
            if object_id is None:
                if not self.has_add_permission(request):
                    raise PermissionDenied
                return self._page(request, None)
            if not self.has_change_permission(request):
                return super().changeform_view(request, object_id, form_url, extra_context)
            row = self.get_object(request, unquote(object_id))
            if row is None:
                return self._missing(request, object_id)
            return self._page(request, row)

    def _say_where_it_is_changed(self, request: HttpRequest, object_id: str | None) -> None:
        row = self.get_object(request, unquote(object_id)) if object_id and self.has_view_permission(request) else None
        domain = row.tenant.domains.order_by("created_at").first() if row is not None else None
        if domain is not None:
            port = urlsplit(f"//{request.get_host()}").port
            host = f"{domain.host}:{port}" if port else domain.host
            there = format_html('<a href="{0}://{1}{2}">{1}</a>', request.scheme, host, request.path)
            messages.info(request, format_html("This is changed on the host of its tenant: {}.", there))

    def _page(self, request: HttpRequest, row: Any) -> HttpResponse:
        version = self._version(row)
        try:
            stored = self.stored(request, row)
        except errors.Forbidden:
            raise PermissionDenied from None
        except errors.NotFound:
            return self._missing(request, str(row.pk))
        sheet = self.sheet(request, row, stored)
        if request.method != "POST":
            return self._shown(request, row, Draft(sheet, stored), merging.mark(stored), version)
        # Twice, because what can be filled in may depend on what is: a new option is a new column of the variants.
        document = self.sheet(request, row, sheet.read(request.POST, stored)).read(request.POST, stored)
        made_from = merging.read(request.POST.get("_made_from", ""))
        if "_add" in request.POST:
            document = self.added(request.POST["_add"], document)
            draft = Draft(self.sheet(request, row, document), document)
            return self._shown(request, row, draft, made_from, request.POST.get("_version", ""))
        return self._save(request, row, document, made_from)

    def _save(self, request: HttpRequest, row: Any, document: Document, made_from: merging.Marks) -> HttpResponse:
        expected = request.POST.get("_version", "")
        for _ in range(_ATTEMPTS):
            try:
                saved = self._written(request, row, document, expected)
                return self._after(request, saved)
            except _Refused as refusal:
                return self._refused(request, row, document, made_from, refusal)
            except append.ConcurrencyConflict:
                row = self.get_object(request, str(row.pk))
                if row is None:
                    messages.error(request, "Somebody deleted this in the meantime; what you wrote was not saved.")
                    return HttpResponseRedirect(self._address("changelist"))
                theirs, expected = self.stored(request, row), self._version(row)
                sheet = self.sheet(request, row, {**theirs, **document})
                merged = merging.merge(made_from=made_from, mine=document, theirs=theirs, sheet=sheet)
                document, made_from = merged.document, merging.mark(theirs)
                if not merged.is_quiet:
                    return self._merged(request, row, merged, made_from, expected)
        raise errors.Conflict("")  # pragma: no cover - three others were quicker, one after the other

    def _written(self, request: HttpRequest, row: Any, document: Document, expected: str) -> _Saved:
        """One transaction. Raises _Refused, ConcurrencyConflict."""
        asked = Asked(document)
        try:
            with append.unit_of_work(), self._replacing(row, expected):
                asked.before = self.stored(request, row) if row is not None else {}
                row_id = self.write(request, row, asked)
                if act := self._act(request):
                    act.call(row_id)
        except append.ConcurrencyConflict:
            raise
        except errors.DomainError as error:
            raise _Refused(error, asked) from error
        return _Saved(row_id)

    @contextmanager
    def _replacing(self, row: Any, expected: str) -> Iterator[None]:
        if row is None:
            yield
            return
        stream = (scope.current_id(), self.aggregate, self.stream_id(row))
        versions = frozenset({int(expected)}) if _VERSION.fullmatch(expected) else frozenset()
        with endpoint.replacing(stream, versions):
            yield

    def _act(self, request: HttpRequest) -> acting.Act | None:
        name = request.POST.get("_act")
        act = next((each for each in self.acts if each.name == name and not each.asks), None)
        if act is not None and not self._may(request, act.permission):
            raise PermissionDenied
        return act

    def _after(self, request: HttpRequest, saved: _Saved) -> HttpResponse:
        row = self.get_object(request, str(saved.row_id))
        what = f"“{row}”" if row is not None else "It"
        act = self._act(request)
        messages.success(request, f"{what} is saved and {act.done}." if act else f"{what} is saved.")
        if "_back" in request.POST or row is None:
            return HttpResponseRedirect(self._address("changelist"))
        return HttpResponseRedirect(self._address("change", saved.row_id))

    def _refused(
        self, request: HttpRequest, row: Any, document: Document, made_from: merging.Marks, refusal: _Refused
    ) -> HttpResponse:
        draft = Draft(self.sheet(request, row, document), document)
        error = refusal.error
        for problem in error.problems:
            draft.point(refusal.asked.path_of(problem.pointer), problem.detail)
        if not error.problems:
            draft.point(_place_named_by(error, draft), error.detail)
        return self._shown(request, row, draft, made_from, request.POST.get("_version", ""))

    def _merged(
        self, request: HttpRequest, row: Any, merged: merging.Merged, made_from: merging.Marks, expected: str
    ) -> HttpResponse:
        sheet = self.sheet(request, row, merged.document)
        theirs = {path: _as_text(value) for path, value in merged.disputed.items()}
        draft = Draft(sheet, merged.document, theirs=theirs)
        labels = {path: _labelled(each.label, path) for path, each in sheet.fields(merged.document).items()}
        labels |= {table.name: table.title for table in sheet.tables()}
        conflict = {
            "taken": [(labels.get(path, path), _as_text(value)) for path, value in merged.taken.items()],
            "disputed": [
                (labels.get(path, path), _as_text(merged.document.get(path, "")), _as_text(value))
                for path, value in merged.disputed.items()
            ],
        }
        return self._shown(request, row, draft, made_from, expected, conflict=conflict)

    def _shown(
        self,
        request: HttpRequest,
        row: Any,
        draft: Draft,
        made_from: merging.Marks,
        version: str,
        conflict: Mapping[str, Any] | None = None,
    ) -> HttpResponse:
        draft.names = self.names_of(request, draft.document)
        shown = {
            **self.admin_site.each_context(request),
            "title": str(row) if row is not None else f"New {self.names[0]}",
            "opts": self.opts,
            "names": self.names,
            "row": row,
            "draft": draft,
            "made_from": merging.written(made_from),
            "version": version,
            "conflict": conflict,
            "acts": self._acts_for(request, row),
            "tools": self.tools(request, row) if row is not None else [],
            "scripts": self.scripts,
            "picture": self.looks_like(row) if row is not None else "",
            "history_address": self._address("history", row.pk) if row is not None else None,
            "delete_address": self._address("delete", row.pk)
            if row is not None and self.has_delete_permission(request)
            else None,
            "list_address": self._address("changelist"),
            "status": getattr(row, "status", None),
            "is_wrong": bool(draft.problems or draft.general),
        }
        answer = TemplateResponse(request, "desk/form.html", shown)
        answer.render()  # while the rights of whoever asks are at hand
        return answer

    def _acts_for(self, request: HttpRequest, row: Any) -> list[acting.Act]:
        return [
            act
            for act in self.acts
            if row is not None and act.is_for(row) and act.is_on_page and self._may(request, act.permission)
        ]

    def _missing(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """As for a row that is not there, so for one that somebody may not see."""
        what = unquote(object_id)
        messages.warning(request, f"There is no {self.names[0]} “{what}”. Perhaps it was deleted?")
        return HttpResponseRedirect(reverse("admin:index", current_app=self.admin_site.name))

    def _version(self, row: Any) -> str:
        if row is None:
            return ""
        return str(append.version_of((scope.current_id(), self.aggregate, self.stream_id(row))) or 0)

    def _address(self, page: str, *keys: Any) -> str:
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_{page}", args=keys)

    # --- Deleting, acting on many, looking back -------------------------------------------------------------

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if not self.has_delete_permission(request):
            raise PermissionDenied
        with at_work(request):
            row = self.get_object(request, unquote(object_id))
            if row is None:
                return self._missing(request, object_id)
            if request.method != "POST":
                return acting.confirmation(self, request, [row], acting.DELETE)
            name, (outcome,) = str(row), acting.each(self, request, [row], acting.deleting(self))
            if outcome.problem is not None:
                messages.error(request, outcome.problem)
                return HttpResponseRedirect(self._address("change", row.pk))
            messages.success(request, f"“{name}” is deleted.")
            return HttpResponseRedirect(self._address("changelist"))

    def get_actions(
        self, request: HttpRequest, action_location: ActionLocation = ActionLocation.CHANGE_LIST
    ) -> dict[str, Any]:
        """Ours only: Django's own deletes rows without a service."""
        if scope.find() is None:
            return {}
        acts = [act for act in self.acts if self._may(request, act.permission)]
        if self.has_delete_permission(request):
            acts.append(acting.DELETE)
        return {act.name: (acting.on_many(act), act.name, act.label) for act in acts}

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if scope.find() is None:
            return super().history_view(request, object_id, extra_context)
        if not self.has_view_permission(request):
            raise PermissionDenied
        with at_work(request):
            row = self.get_object(request, unquote(object_id))
            if row is None:
                return self._missing(request, object_id)
            return history.page(self, request, row)

    # --- What Django would write by itself --------------------------------------------------------------------

    def save_model(self, *arguments: Any, **named: Any) -> NoReturn:
        raise WritesPastServices(self)

    save_form = save_formset = save_related = delete_model = delete_queryset = save_model
    log_addition = log_change = log_deletions = save_model  # the audit log has it


class WritesPastServices(RuntimeError):
    """A screen was about to write a table itself, without events, audit entry and rules."""

    def __init__(self, screen: Any) -> None:
        super().__init__(f"{type(screen).__name__} writes through services only")


class _Refused(Exception):
    """A service refused; `asked` knows what its pointers mean."""

    def __init__(self, error: errors.DomainError, asked: Asked) -> None:
        super().__init__(error.detail)
        self.error, self.asked = error, asked


def _place_named_by(error: errors.DomainError, draft: Draft) -> str:
    """The field that holds the value an error names, such as the slug that is taken; none is no place."""
    held = ((path, path.rpartition("/")[2]) for path in draft.sheet.fields(draft.document))
    return next((path for path, name in held if name in error.data and draft.document[path] == error.data[name]), "")


def _as_text(value: Any) -> str:
    return ", ".join(value) if isinstance(value, list) else "yes" if value == "on" else str(value) or "nothing"


def _labelled(label: str, path: str) -> str:
    middle = path.split("/")[1:-1]
    return f"{label} ({middle[0]})" if middle else label
