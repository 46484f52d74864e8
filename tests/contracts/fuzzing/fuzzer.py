"""Schemathesis on this API: one kind of caller at a time, all checks, fed with ids of things that are there."""

from __future__ import annotations

import copy
import json
import re
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any

import schemathesis
from hypothesis import strategies as st
from schemathesis import Case, HookContext, Response
from schemathesis.config import SchemathesisConfig
from schemathesis.core.failures import AcceptedNegativeData, Failure
from schemathesis.engine import events, from_schema
from schemathesis.openapi.checks import RejectedPositiveData

from apps.kernel import ids
from apps.tenants import idempotency
from rustok import api_docs
from tests.contracts.fuzzing import callers
from tests.contracts.fuzzing.callers import Caller
from tests.sweep import inputs
from tests.sweep.mirrored import Side

SCHEMA = "/api/schema?format=json"
# How often something that is there is named, instead of anything that fits the schema.
PATH_PROBABILITY, OTHER_PROBABILITY = 0.85, 0.5

# What checks take for a refusal beside what Schemathesis expects by itself.
EXPECTED = {
    "positive_data_acceptance": [
        "2xx",
        "3xx",
        "401",
        "403",
        "404",
        "409",
        "412",
        "414",
        "429",
    ],  # 412: of another version
    "negative_data_rejection": [
        "400",
        "401",
        "403",
        "404",
        "405",
        "406",
        "409",
        "412",
        "414",
        "415",
        "422",
        "428",
        "429",
    ],
    "missing_required_header": ["400", "401", "403", "404", "406", "415", "422", "428"],  # 428: made for If-Match
}
# What a request that fits the schema can be refused with, by the code of the problem or of its field.
BEYOND_SCHEMAS = {
    "ambiguous_options": "two options of one name",
    "cannot_grant": "nobody gives rights they lack",
    "category_not_found": "depends on the categories there are",
    "comments_closed": "depends on what the tenant and the post say",
    "control_character": "at the ends of a text, where they are cut off before they are looked at",
    "currency_given_twice": "two prices in one currency",
    "depth_too_large": "depends on where the parent stands",
    "duplicate": "two translations into one language",
    "duplicate_handle": "depends on what is there",
    "duplicate_sku": "two variants with one SKU",
    "duplicate_variant": "two variants of the same values",
    "in_the_past": "depends on the time of day",
    "no_fields_defined": "depends on what the tenant has defined",
    "insufficient_inventory": "depends on what is in stock",
    "int_type": "JSON Schema takes 1.0 for a whole number",
    "invalid_cursor": "cursors are made by the server",
    "invalid_fields": "depends on the fields the tenant has defined",
    "invalid_network": "bits beyond the mask are zero",
    "invalid_schema": "which JSON Schemas there are is more than one says",
    "locale_not_enabled": "the tenant publishes in a few languages only",
    "no_variants": "what is published can be bought",
    "not_a_member": "depends on who works for the tenant",
    "nothing_visible": "Unicode's tables tell what can be seen",
    "number_out_of_range": "numbers of 64 bits in objects of any shape",
    "other_taxonomy": "depends on where the parent stands",
    "out_of_range": "depends on the time of day",
    "password_needed": "depends on who has an account",
    "password_too_common": "there is a list of them",
    "password_too_similar": "to the address beside it",
    "price_too_large": "how much fits depends on the currency beside it",
    "price_too_precise": "how many decimal places depends on the currency beside it",
    "scope_not_held": "nobody gives rights they lack",
    "sku_invalid_characters": "Unicode's tables tell what can be seen",
    "token_unusable": "tokens are made by the server",
    "unknown_asset": "depends on what is in the media library",
    "unknown_id": "depends on what is there",
    "unknown_locale": "the tenant publishes in a few languages only",
    "unknown_name": "of a kind of nodes; types of products may have any",
    "unknown_option_value": "values are those of the options beside them",
    "unknown_role": "tenants make roles of their own",
    "upload_refused": "what a file is, its bytes and its name say",
    "wrong_children": "depends on what is below the node",
}
KEY = "Idempotency-Key"
_ID = re.compile(ids.pattern("[a-z]+"))


@dataclass(frozen=True)
class Finding:
    """One way in which an operation breaks its contract."""

    caller: str
    operation: str
    check: str
    what: str
    sample: str = field(compare=False, hash=False)

    def __str__(self) -> str:
        return f"{self.operation} as {self.caller}: {self.check}: {self.what}\n{self.sample}"


@dataclass
class Report:
    """What was asked, how it was answered, and what was found."""

    findings: Counter[Finding] = field(default_factory=Counter)
    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    phases: Counter[str] = field(default_factory=Counter)

    @property
    def requests(self) -> int:
        return self.answers.total()

    def succeeded(self) -> set[str]:
        """The operations that have answered with a success."""
        return {operation for operation, status in self.answers if 200 <= status < 300}

    def told(self) -> list[str]:
        """What was found, for people."""
        return [f"({count} times) {finding}" for finding, count in sorted(self.findings.items(), key=str)]

    def add(self, other: Report) -> None:
        self.findings.update(other.findings)
        self.answers.update(other.answers)
        self.phases.update(other.phases)


@dataclass
class Budget:
    """How long, or how many examples of each operation; and from which seed.

    A share of (2, 5) is the third operation of every five.
    """

    seed: int
    seconds: int | None = None
    examples: int | None = None
    phases: tuple[str, ...] = ("examples", "coverage", "fuzzing", "stateful")
    share: tuple[int, int] = (0, 1)


def fuzz(caller: Caller, budget: Budget, *, url: str) -> Report:
    """Ask the server at the address as this caller, until the budget is spent."""
    config = SchemathesisConfig.from_dict(_config(caller.side, budget, url))
    schema = schemathesis.openapi.from_dict(_document(budget.share), config=config)
    _hook(schema, caller)
    report = Report()
    for event in from_schema(schema).execute():
        _take(event, caller, report)
    return report


# The years the API takes, docs/reference/limits-of-fields.md.
schemathesis.openapi.format(
    "date-time",
    st.datetimes(datetime(1901, 1, 1), datetime(2199, 1, 1), timezones=st.just(UTC)).map(lambda at: at.isoformat()),  # noqa: DTZ001 - hypothesis wants them naive
)


def _document(share: tuple[int, int]) -> dict[str, Any]:
    document = copy.deepcopy(api_docs.document())
    number, of = share
    every = [(path, method) for path, methods in document["paths"].items() for method in methods]
    for position, (path, method) in enumerate(every):
        if position % of != number % of:
            del document["paths"][path][method]
    return document


@cache
def _operations() -> list[inputs.Operation]:
    return inputs.operations()


def _config(side: Side, budget: Budget, url: str) -> dict[str, Any]:
    names = _dictionaries(side)
    config: dict[str, Any] = {
        "seed": budget.seed,
        "headers": {"X-Tenant": side.tenant.slug},
        "continue-on-failure": True,
        "request-timeout": 30,
        "checks": {name: {"expected-statuses": statuses} for name, statuses in EXPECTED.items()},
        "generation": {
            "deterministic": budget.seconds is None,
            "database": "none",
            "with-security-parameters": False,
            "no-shrink": True,
            "allow-x00": False,  # refused in every text by a code of its own, which no pattern of every text repeats
        },
        "phases": {phase: {"enabled": phase in budget.phases} for phase in Budget.phases},
        "auth": {"auto-signup": False},
        "dictionaries": {name: {"values": values} for name, values in names.items()},
        "operations": list(_feeding(names)),
        "parameters": {"header.If-Match": {"dictionary": "sample_If-Match", "probability": PATH_PROBABILITY}},
        "suppress-health-check": ["all"],
        "warnings": False,
        "base-url": url,
    }
    if budget.seconds:
        config["max-time"] = budget.seconds
    if budget.examples:
        config["generation"]["max-examples"] = budget.examples
    return config


def _dictionaries(side: Side) -> dict[str, list[str]]:
    names = {kind: [name] for kind, name in side.names.items() if name}
    return names | {f"sample_{name}": [sample] for name, sample in {**inputs.SAMPLES, "If-Match": "*"}.items()}


def _feeding(names: dict[str, list[str]]) -> Iterator[dict[str, Any]]:
    """For each operation, which of its inputs name which things."""
    for operation in _operations():
        bound: dict[str, Any] = {}
        for found in operation.inputs():
            kind = f"sample_{found.name}" if found.kind == "text" else found.kind
            if kind not in names or (found.place == "body" and found.name in inputs.NEW):
                continue
            probability = OTHER_PROBABILITY if found.place in {"body", "query"} else PATH_PROBABILITY
            path = ".".join("[*]" if isinstance(part, int) else part for part in found.path).replace(".[*]", "[*]")
            bound[f"{found.place}.{path}"] = {"dictionary": kind, "probability": probability}
        if bound:
            yield {"include-operation-id": operation.name, "parameters": bound}


def _hook(schema: Any, caller: Caller) -> None:
    """Have the schema's requests come from this caller, and what they break in the tenant mended."""

    @schema.auth(refresh_interval=None)
    class Credentials:
        def get(self, case: Case, context: Any) -> str | None:
            return caller.credentials(_name(case))

        def set(self, case: Case, data: str, context: Any) -> None:
            case.headers["Authorization"] = f"Bearer {data}"

    @schema.hook
    def map_case(context: HookContext, case: Case) -> Case:
        """Another key for each request, where one is sent that can be read."""
        if idempotency.PATTERN.fullmatch(str(case.headers.get(KEY, ""))):
            case.headers[KEY] = str(uuid.uuid4())
        return case

    @schema.hook
    def after_call(context: HookContext, case: Case, response: Response) -> None:
        if _name(case) in callers.CHANGES_THE_TENANT and response.status_code < 300:
            callers.restore_tenant(caller.side)

    @schema.hook
    def filter_failure(context: HookContext, failure: Failure, case: Case, response: Response) -> bool:
        if isinstance(failure, RejectedPositiveData):
            return not (_is_beyond_schemas(response) or _names_no_id(case))
        # Of many operations in one request a wrong one fails alone, which its result in the answer says.
        return not (isinstance(failure, AcceptedNegativeData) and _read(response).get("failed"))


def _is_beyond_schemas(response: Response) -> bool:
    problem = _read(response)
    codes = {problem.get("code"), *(error.get("code") for error in problem.get("errors", []))}
    return bool(codes & BEYOND_SCHEMAS.keys())


def _names_no_id(case: Case) -> bool:
    """Whether the address has a word where an id belongs: links between requests take the `bulk` of another address."""
    named = (value for name, value in case.path_parameters.items() if name.endswith("_id"))
    return not all(_ID.fullmatch(str(value)) for value in named)


def _read(response: Response) -> dict[str, Any]:
    """The JSON object of the answer, an empty one where it is something else."""
    try:
        found = json.loads(response.content)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _name(case: Case) -> str:
    return str(case.operation.definition.raw.get("operationId", ""))


def _take(event: Any, caller: Caller, report: Report) -> None:
    match event:
        case events.NonFatalError():
            report.findings[Finding(caller.name, event.label, "error", event.info.title, event.info.message)] += 1
        case events.FatalError():
            raise event.exception
        case events.Interrupted():
            raise KeyboardInterrupt
        case events.ScenarioFinished() if event.is_test_scenario:
            _take_scenario(event.recorder, event.phase.value, caller, report)


def _take_scenario(recorder: Any, phase: str, caller: Caller, report: Report) -> None:
    for case_id, interaction in recorder.interactions.items():
        case = recorder.cases[case_id].value
        if interaction.response is not None:
            report.answers[f"{case.method} {case.operation.path}", interaction.response.status_code] += 1
            report.phases[phase] += 1
    for case_id, checks in recorder.checks.items():
        answer = recorder.find_response(case_id=case_id)
        shown = f"{answer.status_code} {answer.content[:400].decode(errors='replace')}" if answer else "no answer"
        for check in checks:
            if check.failure_info is not None:
                failure = check.failure_info.failure
                sample = f"{failure.message}\n{check.failure_info.code_sample}\n{shown}"
                report.findings[Finding(caller.name, str(failure.operation), check.name, failure.title, sample)] += 1
