"""Lists: what can be filtered, sorted, picked and expanded is declared once, and everything else is refused by name."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from django.db.models import Model, QuerySet
from django.http import HttpRequest
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.kernel import errors, filters, operations, pagination, validation, wording

MAXIMUM_DEPTH = 3

type Document = Mapping[str, Any]
type Show[Row] = Callable[[list[Row]], Sequence[Document]]


@dataclass(frozen=True, slots=True)
class Expansion:
    """Objects that documents name by id, shown in full in their member `name` when asked for.

    `ids_of` gives for each document the ids it names, `load` the documents of ids, by id; both in a fixed number of
    queries, and without what the caller may not read. `listing` is theirs: how they look, and where it may go on.
    """

    ids_of: Callable[[Sequence[Document]], Sequence[Sequence[str]]]
    load: Callable[[Sequence[str]], Mapping[str, Document]]
    listing: Callable[[], Listing]
    is_many: bool = True


def member(name: str) -> Callable[[Sequence[Document]], Sequence[Sequence[str]]]:
    """Ids that stand in a member of the documents: one, none or a list of them."""

    def ids_of(documents: Sequence[Document]) -> Sequence[Sequence[str]]:
        values = [document[name] for document in documents]
        return [value if isinstance(value, list) else [value] if value else [] for value in values]

    return ids_of


@dataclass(frozen=True, slots=True)
class Listing:
    """A list of one kind of thing, each shown as a `document`: a TypedDict.

    `sorts` are names with the column each stands for, indexed within the tenant and never null; `default` is the order
    without `sort`. With `has_fields` the members to show can be picked. `others` are parameters the view reads itself.
    """

    document: Any
    has_fields: bool = True
    filters: Mapping[str, filters.Filter] = field(default_factory=dict)
    sorts: Mapping[str, str] = field(default_factory=lambda: {"created_at": "id"})
    default: str = "-created_at"
    expansions: Mapping[str, Expansion] = field(default_factory=dict)
    others: tuple[OpenApiParameter, ...] = ()

    @property
    def members(self) -> frozenset[str]:
        """What `fields` can name."""
        return frozenset(self.document.__annotations__) if self.has_fields else frozenset()

    def respond[Row: Model](self, request: HttpRequest, rows: QuerySet[Row, Row], show: Show[Row]) -> Response:
        """The page of `rows` the request asks for: `{"data", "next", "prev", "count"}`, with a Link header (RFC 8288).

        Raises ValidationFailed for values and names that are not declared.
        """
        picked, paths = self._read_fields(request), self._read_expand(request)
        page = pagination.paginate(self.narrow(request, rows), order=self.order(request), request=request)
        return self._answer(request, page, [dict(document) for document in show(page.rows)], picked, paths)

    def respond_all(self, request: HttpRequest, documents: Sequence[Document]) -> Response:
        """The same for the few things that are all at hand; filters and sorts are of their members."""
        picked, paths = self._read_fields(request), self._read_expand(request)
        order = self.order(request)[0]
        rows = self.narrow(request, [dict(document) for document in documents])
        page = pagination.paginate_all(rows, order=order, request=request)
        return self._answer(request, page, page.rows, picked, paths)

    def parameter_names(self) -> set[str]:
        """Every parameter the list reads."""
        others = (parameter.name for parameter in (*self.others, *pagination.PARAMETERS))
        narrowing = (each for name, declared in self.filters.items() for each in declared.names(name))
        declared = {"sort": self.sorts, "fields": self.members, "expand": self.expansions}
        return {*others, *narrowing, *(name for name, known in declared.items() if known)}

    def narrow[Rows](self, request: HttpRequest, rows: Rows) -> Rows:
        """The rows that fit every filter of the request. Raises ValidationFailed."""
        for name, declared in self.filters.items():
            for parameter, operator in declared.names(name).items():
                if parameter in request.GET:
                    value = declared.value(parameter, operator, request.GET[parameter])
                    rows = declared.narrow(name, operator, value, rows)
        return rows

    def order(self, request: HttpRequest) -> tuple[str, ...]:
        """The columns to sort by; the last is the id, so that no two rows are equal. Raises ValidationFailed."""
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
        sign = "-" if wanted.startswith("-") else ""
        columns = self.sorts[name].split()
        return (*(sign + column for column in columns if column != "id"), f"{sign}id")

    def parameters(self) -> list[OpenApiParameter]:
        """All of them, for the OpenAPI document."""
        return [*self.others, *self.narrowing(), *pagination.PARAMETERS, *self._parameters_of_documents()]

    def narrowing(self) -> list[OpenApiParameter]:
        """Those of the filters."""
        return [each for name, declared in self.filters.items() for each in declared.parameters(name)]

    def _parameters_of_documents(self) -> Iterable[OpenApiParameter]:
        if self.sorts:
            sorts = [sign + name for name in self.sorts for sign in ("", "-")]
            yield OpenApiParameter("sort", str, enum=sorts, description=f"{self.default} by default.")
        if self.members:
            yield OpenApiParameter(
                "fields",
                {"type": "array", "items": {"type": "string", "enum": sorted(self.members)}, "minItems": 1},
                description="Members to show, separated by commas; all by default.",
                explode=False,
            )
        if self.expansions:
            paths = [".".join(path) for path in self.paths()]
            yield OpenApiParameter(
                "expand",
                {"type": "array", "items": {"type": "string", "enum": paths}},
                description=f"Objects to show in full, separated by commas. Dots go further, {MAXIMUM_DEPTH} at most.",
                explode=False,
            )

    def paths(self, depth: int = MAXIMUM_DEPTH) -> Iterator[tuple[str, ...]]:
        """All that can be expanded, as the names on the way there."""
        for name, expansion in self.expansions.items():
            yield (name,)
            if depth > 1:
                yield from ((name, *path) for path in expansion.listing().paths(depth - 1))

    def _answer(
        self,
        request: HttpRequest,
        page: pagination.Page[Any],
        documents: list[dict[str, Any]],
        picked: frozenset[str] | None,
        paths: list[list[str]],
    ) -> Response:
        self._expand(documents, paths)
        if picked is not None:
            shown = picked | {path[0] for path in paths}
            documents = [{name: value for name, value in row.items() if name in shown} for row in documents]
        return pagination.response(request, page, documents)

    def _read_fields(self, request: HttpRequest) -> frozenset[str] | None:
        text = request.GET.get("fields")
        if text is None:
            return None
        names = [name.strip() for name in text.split(",")]
        unknown = [name for name in names if name not in self.members]
        if unknown:
            raise _unknown_member("fields", unknown[0], self.members)
        return frozenset(names)

    def _read_expand(self, request: HttpRequest) -> list[list[str]]:
        text = request.GET.get("expand", "")
        paths = [path.strip().split(".") for path in text.split(",") if path.strip()]
        for path in paths:
            if len(path) > MAXIMUM_DEPTH:
                said = wording.say(
                    '"{value}" goes deeper than {limit} objects.', value=".".join(path)[:100], limit=MAXIMUM_DEPTH
                )
                raise errors.ValidationFailed.for_field("/expand", "expand_too_deep", said)
            here: Listing = self
            for name in path:
                known = here.expansions
                if name not in known:
                    raise _unknown_member("expand", name, known)
                here = known[name].listing()
        return paths

    def _expand(self, documents: Sequence[dict[str, Any]], paths: Sequence[Sequence[str]]) -> None:
        for name in dict.fromkeys(path[0] for path in paths):
            expansion = self.expansions[name]
            wanted = expansion.ids_of(documents)
            every = sorted({each for named in wanted for each in named})
            found = {key: dict(document) for key, document in expansion.load(every).items()} if every else {}
            onwards = [path[1:] for path in paths if path[0] == name and len(path) > 1]
            if onwards:
                expansion.listing()._expand(list(found.values()), onwards)
            for document, named in zip(documents, wanted, strict=True):
                shown = [found[each] for each in named if each in found]
                document[name] = shown if expansion.is_many else next(iter(shown), None)


class View(APIView):
    """A view that refuses query parameters nobody reads.

    GET reads those of its `listing`, if it has one, and every method the `parameters`.
    """

    listing: ClassVar[Listing | None] = None
    parameters: ClassVar[tuple[OpenApiParameter, ...]] = ()

    @classmethod
    def manners(cls, method: str) -> operations.Manners:
        """What each operation of a view like this has in common with the others."""
        if cls.listing is None or method != "GET":
            return operations.Manners(cls.parameters)
        headers = {"Link": "The next and the previous page (RFC 8288)."}
        return operations.Manners((*cls.parameters, *cls.listing.parameters()), headers)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Raises ValidationFailed, once the caller is known and may call it."""
        super().initial(request, *args, **kwargs)
        if request.method not in self.allowed_methods:
            return  # what is refused then is the method
        listed = self.listing.parameter_names() if self.listing and request.method in {"GET", "HEAD"} else set()
        check_parameters(request, listed | {parameter.name for parameter in self.parameters})


def check_parameters(request: Request, known: Collection[str]) -> None:
    """Raises ValidationFailed for parameters that are not known, naming the nearest that is, or that come twice."""
    problems = [_no_parameter(name, known) for name in request.GET if name not in known]
    for name in request.GET:
        if name in known and len(request.GET.getlist(name)) > 1:
            said = wording.say("this may be given once only.")
            problems.append(errors.FieldProblem(f"/{name}", "repeated_parameter", said))
    if problems:
        raise validation.refused(problems)


def _no_parameter(name: str, known: Iterable[str]) -> errors.FieldProblem:
    said = wording.say("there is no such parameter.{hint}", hint=errors.did_you_mean(name, known))
    return errors.FieldProblem(f"/{name}", "unknown_parameter", said)


def _unknown_member(parameter: str, name: str, known: Iterable[str]) -> errors.ValidationFailed:
    said = wording.say('"{value}" is not there.{hint}', value=name[:60], hint=errors.did_you_mean(name, known))
    return errors.ValidationFailed.for_field(f"/{parameter}", f"unknown_{parameter}", said)
