"""The floors as data, for the tests that hold them: a foreign key points to one's own floor or below, never aside."""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from django.db import models

from apps.tenants.constraints import SameTenant
from apps.tenants.models import TenantModel


def floors_of(contract: Path) -> dict[str, int]:
    """The number of each app's floor, the lowest first, as the contract of imports has them; on top what puts all
    together."""
    read = configparser.ConfigParser()
    read.read_string(contract.read_text())
    layers = read["importlinter:contract:floors"]["layers"].split("\n")
    floors = [re.split(r"\s*\|\s*", layer.strip()) for layer in reversed(layers) if layer.strip()]
    return {app: number for number, apps in enumerate([*floors, ["rustok"]]) for app in apps}


FLOORS = floors_of(Path(__file__).parents[2] / ".importlinter")


def foreign_key_violations(tables: Iterable[type[models.Model]]) -> Iterator[str]:
    """Foreign keys between our apps that point up or to a sibling."""
    for model in tables:
        for field in model._meta.get_fields():
            target = field.related_model
            if not isinstance(field, models.ForeignKey) or not isinstance(target, type):
                continue
            here, there = model._meta.app_label, target._meta.app_label
            if there not in FLOORS or here == there:
                continue
            if here not in FLOORS or FLOORS[there] >= FLOORS[here]:
                yield f"{model._meta.label}.{field.name} points to {target._meta.label}"


def tenancy_violations(tables: Iterable[type[models.Model]]) -> Iterator[str]:
    """Tenant-owned tables whose references, uniques, indexes or managers forget the tenant."""
    for model in tables:
        if not issubclass(model, TenantModel):
            continue
        label = model._meta.label
        if model._meta.base_manager_name != "objects":
            yield f"{label}: its Meta does not inherit TenantModel.Meta, so its base manager sees every tenant"
        held = {entry.field for entry in model._meta.constraints if isinstance(entry, SameTenant)}
        for field in model._meta.concrete_fields:
            target = field.related_model
            if isinstance(target, type) and issubclass(target, TenantModel) and field.name not in held:
                yield f"{label}.{field.name} has no SameTenant constraint"
            if field.unique and not field.primary_key:
                yield f"{label}.{field.name} is unique over all tenants"
        for entry in model._meta.constraints:
            if isinstance(entry, models.UniqueConstraint) and entry.fields and entry.fields[0] != "tenant":
                yield f"{label}: unique {entry.name} does not lead with the tenant"
        for index in model._meta.indexes:
            if index.fields and index.fields[0] != "tenant":
                yield f"{label}: index {index.name} does not lead with the tenant"
