"""Schemathesis on this API: one kind of caller at a time, all checks, fed with ids of things that are there."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import schemathesis
from schemathesis import Case, HookContext, Response
from schemathesis.config import SchemathesisConfig
from schemathesis.core.failures import Failure
from schemathesis.engine import events, from_schema
from schemathesis.openapi.checks import RejectedPositiveData

from tests import factories
from tests.contracts.fuzzing import callers
from tests.contracts.fuzzing.callers import Caller
from tests.sweep import inputs
from tests.sweep.mirrored import Side

SCHEMA = "/api/schema?format=json"
# How often something that is there is named, instead of anything that fits the schema.
PATH_PROBABILITY, OTHER_PROBABILITY = 0.85, 0.5

# Checks and what they may be answered with beside what Schemathesis expects by itself.
CHECKS: dict[str, dict[str, Any]] = {
    # 412: the version in If-Match is not the one that is there, which no schema knows.
    "positive_data_acceptance": {
        "expected-statuses": ["2xx", "3xx", "401", "403", "404", "409", "412", "428", "429"],
    },
}


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

    def add(self, other: Report) -> None:
        self.findings.update(other.findings)
        self.answers.update(other.answers)
        self.phases.update(other.phases)


@dataclass
class Budget:
    """How long, or how many examples of each operation; and from which seed."""

    seed: int
    seconds: int | None = None
    examples: int | None = None
    phases: tuple[str, ...] = ("examples", "coverage", "fuzzing", "stateful")
    workers: int = 1


def fuzz(caller: Caller, budget: Budget, *, url: str | None = None, app: Any = None) -> Report:
    """Ask as this caller, the server at the address or the application in this process, until the budget is spent."""
    config = SchemathesisConfig.from_dict(_config(caller.side, budget, url))
    schema = schemathesis.openapi.from_dict(_document(), config=config)
    schema.app = app
    _hook(schema, caller)
    report = Report()
    for event in from_schema(schema).execute():
        _take(event, caller, report)
    return report


def _document() -> dict[str, Any]:
    from drf_spectacular.generators import SchemaGenerator

    document = SchemaGenerator().get_schema(request=None, public=True)
    loaded: dict[str, Any] = json.loads(json.dumps(document, default=str))
    return loaded


def _config(side: Side, budget: Budget, url: str | None) -> dict[str, Any]:
    names = _dictionaries(side)
    config: dict[str, Any] = {
        "seed": budget.seed,
        "headers": {"X-Tenant": side.tenant.slug},
        "workers": budget.workers,
        "continue-on-failure": True,
        "request-timeout": 30,
        "max-redirects": 0,
        "checks": CHECKS,
        "generation": {
            "deterministic": budget.seconds is None,
            "database": "none",
            "with-security-parameters": False,
            "allow-x00": False,  # refused in every text by a code of its own, which no pattern of every text repeats
        },
        "phases": {phase: {"enabled": phase in budget.phases} for phase in Budget.phases},
        "auth": {"auto-signup": False},
        "dictionaries": {name: {"values": values} for name, values in names.items()},
        "operations": list(_feeding(names)),
        "suppress-health-check": ["all"],
        "warnings": False,
        "base-url": url or f"http://{side.host}",
    }
    if budget.seconds:
        config["max-time"] = budget.seconds
    if budget.examples:
        config["generation"]["max-examples"] = budget.examples
    return config


def _dictionaries(side: Side) -> dict[str, list[str]]:
    names = {kind: [name] for kind, name in side.names.items() if name}
    return names | {f"sample_{name}": [sample] for name, sample in inputs.SAMPLES.items()}


def _feeding(names: dict[str, list[str]]) -> Iterator[dict[str, Any]]:
    """For each operation, which of its inputs name which things."""
    for operation in inputs.operations():
        bound: dict[str, Any] = {}
        for found in operation.inputs():
            kind = found.kind if found.kind in names else f"sample_{found.name}"
            is_new = found.place == "body" and found.name in inputs.NEW
            if kind == "text" or kind not in names or is_new:
                continue
            probability = PATH_PROBABILITY if found.place == "path" else OTHER_PROBABILITY
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
        declared = {parameter.name for parameter in case.operation.headers}
        for name, value in factories.write_headers(case.method).items():
            if name not in declared:
                case.headers.setdefault(name, value)
        return case

    @schema.hook
    def after_call(context: HookContext, case: Case, response: Response) -> None:
        if _name(case) in callers.CHANGES_THE_TENANT and response.status_code < 300:
            callers.restore_tenant(caller.side)

    @schema.hook
    def filter_failure(context: HookContext, failure: Failure, case: Case, response: Response) -> bool:
        return not (isinstance(failure, RejectedPositiveData) and _depends_on_rows(response))


# What a valid request can be refused with because of what is in the database, by code.
OF_ROWS = frozenset(
    {
        "invalid_cursor",  # cursors are made by the server
        "unknown_locale",  # a language the tenant does not publish in
    }
)


def _depends_on_rows(response: Response) -> bool:
    try:
        problem = json.loads(response.content)
    except ValueError:
        return False
    codes = {problem.get("code"), *(error.get("code") for error in problem.get("errors", []))}
    return bool(codes & OF_ROWS)


def _name(case: Case) -> str:
    return str(case.operation.definition.raw.get("operationId", ""))


def _take(event: Any, caller: Caller, report: Report) -> None:
    match event:
        case events.NonFatalError():
            report.findings[Finding(caller.name, event.label, "error", event.info.title, event.info.message)] += 1
        case events.FatalError():
            raise event.exception
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
