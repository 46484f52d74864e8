"""Settings of a tenant that mean something here: each is registered by the app that reads it, and held to its rule when
it is written. All others are the tenant's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apps.kernel import errors, validation
from apps.tenants import models, scope

_rules: dict[str, type[validation.Input]] = {}


def register[Rule: validation.Input](name: str, rule: type[Rule]) -> type[Rule]:
    """Declare a setting; with all defaults it is what a tenant has that says nothing. Raises ValueError for a second
    rule of one name."""
    if _rules.setdefault(name, rule) is not rule:
        raise ValueError(f"the setting {name} is already registered")
    return rule


def check(settings: Mapping[str, Any]) -> None:
    """Raises ValidationFailed, which points at each member that breaks the rule of its setting."""
    problems = []
    for name, rule in _rules.items():
        if name not in settings:
            continue
        try:
            validation.parse(rule, settings[name])
        except errors.ValidationFailed as refused:
            problems += [
                errors.FieldProblem(f"/settings/{name}{problem.pointer}", problem.code, problem.detail)
                for problem in refused.problems
            ]
    if problems:
        raise validation.refused(problems)


def read[Rule: validation.Input](rule: type[Rule]) -> Rule:
    """What the tenant in scope has set, in one query. What was stored before there was a rule, and breaks it, counts as
    not set."""
    name = next(name for name, each in _rules.items() if each is rule)
    settings = models.Tenant.objects.values_list("settings", flat=True).get(pk=scope.current_id())
    try:
        return validation.parse(rule, settings.get(name, {}))
    except errors.ValidationFailed:
        return rule()
