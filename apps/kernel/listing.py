"""Lists: what can be filtered, sorted, picked and expanded is declared once, and everything else is refused by name."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.dateparse import parse_datetime
from drf_spectacular.utils import OpenApiParameter
from rest_framework.response import Response

from apps.kernel import errors, ids, pagination, validation, wording

MAXIMUM_DEPTH = 3
MAXIMUM_CHOICES = 100
PAGING = ("limit", "cursor", "count", "sort", "fields", "expand")
_LOOKUPS = {"eq": "", "in": "__in", "gt": "__gt", "gte": "__gte", "lt": "__lt", "lte": "__lte", "ne": ""}
_MEANINGS = {
    "in": "any of these, separated by commas",
    "gt": "more than",
    "gte": "at least",
    "lt": "less than",
    "lte": "at most",
    "ne": "anything but",
}

type Document = dict[str, Any]


class Refused(ValueError):
    """A value that a filter can't be asked for; the text says what it takes."""


@dataclass(frozen=True, slots=True)
class Filter:
    """A parameter that narrows a list: `name=value`, or `name__op=value` for the other `operators`.

    `read` makes a value of the text or raises Refused. `column` is what it is compared with, the name itself when
    empty; `narrow` is for what is no comparison of a column, and then the only operator is eq.
    """

    read: Callable[[str], Any]
    column: str = ""
    operators: tuple[str, ...] = ("eq",)
    narrow: Callable[[Any, Any], Any] | None = None
    description: str = ""
    choices: tuple[str, ...] = ()
    code: str = "invalid_filter"


@dataclass(frozen=True, slots=True)
class Expansion:
    """Objects that a document names by id, shown in full in its member `name` when asked for.

    `ids_of` gives the ids a document names, `load` the documents of ids, by id, in a fixed number of queries. `listing`
    is theirs, where the expansion may go on.
    """

    ids_of: Callable[[Document], Sequence[str]]
    load: Callable[[Sequence[str]], Mapping[str, Document]]
    is_many: bool = True
    listing: Callable[[], Listing] | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """A list of one kind of thing.

    `sorts` are names with the column each stands for, indexed within the tenant and never null; `default` is the order
    without `sort`. `members` are those of its documents, for `fields`.
    """

    members: frozenset[str]
    filters: Mapping[str, Filter] = field(default_factory=dict)
    sorts: Mapping[str, str] = field(default_factory=lambda: {"created_at": "id"})
    default: str = "-created_at"
    expansions: Mapping[str, Expansion] = field(default_factory=dict)
    others: tuple[str, ...] = ()

    def respond[Row: Model](
        self,
        request: HttpRequest,
        rows: QuerySet[Row, Row],
        show: Callable[[list[Row]], list[Document]],
    ) -> Response:
        """The page of `rows` the request asks for: `{"data", "next", "prev", "count"}`, with a Link header (RFC 8288).

        Raises ValidationFailed for parameters, values and names that are not declared.
        """
        self.check_parameters(request)
        picked, expanded = self._read_fields(request), self._read_expand(request)
        page = pagination.paginate(self.narrow(request, rows), order=self._read_order(request), request=request)
        documents = show(page.rows)
        self._expand(documents, expanded)
        if picked is not None:
            documents = [{name: value for name, value in row.items() if name in picked} for row in documents]
        return pagination.response(request, page, documents)

    def check_parameters(self, request: HttpRequest) -> None:
        """Raises ValidationFailed for a parameter nobody reads, naming the nearest that is."""
        known = {*PAGING, *self.others, *self._filter_names()}
        unknown = [name for name in request.GET if name not in known]
        if unknown:
            raise validation.refused([_no_parameter(name, known) for name in unknown])

    def narrow(self, request: HttpRequest, rows: Any) -> Any:
        """The rows that fit every filter of the request."""
        for parameter in request.GET:
            name, _, operator = parameter.partition("__")
            if name in self.filters and parameter in self._filter_names():
                rows = self._narrow_by(name, operator or "eq", str(request.GET[parameter]), rows)
        return rows

    def parameters(self) -> list[OpenApiParameter]:
        """All of them, for the OpenAPI document."""
        filters = [
            OpenApiParameter(
                name if operator == "eq" else f"{name}__{operator}",
                str,
                enum=declared.choices if declared.choices and operator == "eq" else None,
                description=declared.description if operator == "eq" else f"{_MEANINGS[operator]}: {name}",
            )
            for name, declared in self.filters.items()
            for operator in declared.operators
        ]
        return [*filters, *pagination.PARAMETERS, *self._parameters_of_documents()]

    def _parameters_of_documents(self) -> Iterable[OpenApiParameter]:
        sorts = [sign + name for name in self.sorts for sign in ("", "-")]
        yield OpenApiParameter("sort", str, description=f"One of {', '.join(sorts)}; {self.default} by default.")
        yield OpenApiParameter("fields", str, description="Members to show, separated by commas; all by default.")
        if self.expansions:
            named = ", ".join(self.expansions)
            text = f"Objects to show in full, separated by commas: {named}. Dots go further, {MAXIMUM_DEPTH} at most."
            yield OpenApiParameter("expand", str, description=text)

    def _filter_names(self) -> set[str]:
        return {
            name if operator == "eq" else f"{name}__{operator}"
            for name, declared in self.filters.items()
            for operator in declared.operators
        }

    def _narrow_by(self, name: str, operator: str, text: str, rows: Any) -> Any:
        declared = self.filters[name]
        parameter = name if operator == "eq" else f"{name}__{operator}"
        try:
            value = _several(text, declared.read) if operator == "in" else declared.read(text)
        except Refused as refusal:
            said = wording.say('"{value}": {problem}', value=text[:60], problem=refusal.args[0])
            raise errors.ValidationFailed.for_field(f"/{parameter}", declared.code, said) from None
        if declared.narrow is not None:
            return declared.narrow(rows, value)
        condition = {(declared.column or name) + _LOOKUPS[operator]: value}
        return rows.exclude(**condition) if operator == "ne" else rows.filter(**condition)

    def _read_order(self, request: HttpRequest) -> tuple[str, ...]:
        wanted = request.GET.get("sort", self.default)
        name = wanted.removeprefix("-")
        if name not in self.sorts:
            hint = errors.did_you_mean(name, self.sorts)
            said = wording.say(
                '"{value}": sort by {known}, each also with a leading hyphen.{hint}',
                value=wanted[:60],
                known=", ".join(self.sorts),
                hint=hint,
            )
            raise errors.ValidationFailed.for_field("/sort", "unknown_sort", said)
        sign, column = wanted[: len(wanted) - len(name)], self.sorts[name]
        return (f"{sign}{column}",) if column == "id" else (f"{sign}{column}", f"{sign}id")

    def _read_fields(self, request: HttpRequest) -> frozenset[str] | None:
        text = request.GET.get("fields")
        if text is None:
            return None
        names = [name.strip() for name in text.split(",")]
        unknown = [name for name in names if name not in self.members]
        if unknown:
            raise _unknown_member("fields", unknown[0], self.members)
        expanded = {path.split(".")[0] for path in request.GET.get("expand", "").split(",") if path}
        return frozenset(names) | expanded

    def _read_expand(self, request: HttpRequest) -> list[list[str]]:
        text = request.GET.get("expand", "")
        paths = [path.strip().split(".") for path in text.split(",") if path.strip()]
        for path in paths:
            if len(path) > MAXIMUM_DEPTH:
                said = wording.say(
                    '"{value}" goes deeper than {limit} objects.', value=".".join(path)[:100], limit=MAXIMUM_DEPTH
                )
                raise errors.ValidationFailed.for_field("/expand", "expand_too_deep", said)
            here: Listing | None = self
            for name in path:
                known = here.expansions if here else {}
                if name not in known:
                    raise _unknown_member("expand", name, known)
                onwards = known[name].listing
                here = onwards() if onwards else None
        return paths

    def _expand(self, documents: Sequence[Document], paths: Sequence[Sequence[str]]) -> None:
        for name in dict.fromkeys(path[0] for path in paths):
            expansion = self.expansions[name]
            wanted = {each for document in documents for each in expansion.ids_of(document)}
            found = {key: dict(document) for key, document in expansion.load(sorted(wanted)).items()} if wanted else {}
            onwards = [path[1:] for path in paths if path[0] == name and len(path) > 1]
            if onwards and expansion.listing is not None:
                expansion.listing()._expand(list(found.values()), onwards)
            for document in documents:
                named = [found[each] for each in expansion.ids_of(document) if each in found]
                document[name] = named if expansion.is_many else next(iter(named), None)


def _no_parameter(name: str, known: Iterable[str]) -> errors.FieldProblem:
    said = wording.say("there is no such parameter.{hint}", hint=errors.did_you_mean(name, known))
    return errors.FieldProblem(f"/{name}", "unknown_parameter", said)


def _unknown_member(parameter: str, name: str, known: Iterable[str]) -> errors.ValidationFailed:
    said = wording.say('"{value}" is not there.{hint}', value=name[:60], hint=errors.did_you_mean(name, known))
    return errors.ValidationFailed.for_field(f"/{parameter}", f"unknown_{parameter}", said)


# --- values ----------------------------------------------------------------------------------------------------


def text(value: str) -> str:
    if len(value) > 255:
        raise Refused(wording.say("this has at most {max_length} characters", max_length=255))
    return value


def one_of(*choices: str) -> Callable[[str], str]:
    def read(value: str) -> str:
        if value not in choices:
            hint = errors.did_you_mean(value, choices)
            raise Refused(wording.say("this is one of {known}.{hint}", known=", ".join(choices), hint=hint))
        return value

    return read


def identifier(prefix: str) -> Callable[[str], uuid.UUID]:
    def read(value: str) -> uuid.UUID:
        try:
            return ids.decode(prefix, value)
        except ids.InvalidId as error:
            raise Refused(error.detail) from None

    return read


def moment(value: str) -> Any:
    """RFC 3339 with a time zone."""
    try:
        found = parse_datetime(value)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise Refused(wording.say("send a moment such as 2026-01-31T12:00:00Z"))
    try:
        return validation.to_moment(found)
    except ValueError:
        raise Refused(wording.say("the moment is not in the years 1900 to 2199 (in UTC)")) from None


def boolean(value: str) -> bool:
    if value not in {"true", "false"}:
        raise Refused(wording.say("send true or false"))
    return value == "true"


def _several(value: str, read: Callable[[str], Any]) -> list[Any]:
    parts = value.split(",")
    if len(parts) > MAXIMUM_CHOICES:
        raise Refused(wording.say("this has at most {max_length} entries", max_length=MAXIMUM_CHOICES))
    return [read(part.strip()) for part in parts]
