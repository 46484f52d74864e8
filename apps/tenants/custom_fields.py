"""Fields that a tenant adds to content and products: described by a JSON Schema, and held to it when they are written.

docs/explanation/custom-fields.md
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Annotated, Any

from django.db import connection
from pydantic import Field

from apps.audit import recording as audit
from apps.kernel import errors, ids, validation, wording
from apps.outbox.append import append, unit_of_work
from apps.tenants import events, field_values, models, scope
from apps.tenants.field_schemas import check_definition

_SHOWN = 5

FieldValues = Annotated[validation.Metadata, Field(description="Values of the fields the tenant has defined.")]
type Rows = Callable[[str], Iterable[tuple[str, Mapping[str, Any]]]]


class FieldSchemaNotFound(errors.NotFound):
    """The tenant has defined no fields there. List what it has defined."""

    code = "field_schema_not_found"


class FieldSchemaExists(errors.Conflict):
    """The fields of this kind or type are defined already. Change that schema."""

    code = "field_schema_exists"
    title = "The fields are defined already"


class FieldsInTheWay(errors.Conflict):
    """What is there breaks the schema. Change it first, or make the schema wider; `rows` names some of it."""

    code = "fields_in_the_way"
    title = "What is there breaks the schema"


class InvalidFields(errors.ValidationFailed):
    """The values are not those of the fields the tenant has defined. `errors` says what is wrong where."""

    code = "invalid_fields"


@dataclass(frozen=True, slots=True)
class Subject:
    """What can have fields of its own, such as nodes by their kind. `rows(name)` gives the id and the values of each
    that has some; `names` are those there can be, None for any."""

    name: str
    rows: Rows
    names: Callable[[], Iterable[str]] | None = None


_subjects: dict[str, Subject] = {}


def register(subject: Subject) -> Subject:
    """Declare a subject. Raises ValueError when the name is taken."""
    if subject.name in _subjects:
        raise ValueError(f"the subject {subject.name} is already registered")
    _subjects[subject.name] = subject
    return subject


def subjects() -> list[str]:
    """The names of all subjects."""
    return sorted(_subjects)


class NewFieldSchema(validation.Input):
    """The fields of a kind of node or a type of product: a JSON Schema 2020-12 of an object, at most 50 fields, three
    levels deep."""

    subject: Annotated[str, validation.OneOf(subjects, "unknown_subject")]
    name: validation.Title
    definition: validation.Metadata


class FieldSchemaChanges(validation.Input):
    """The schema that replaces the one there is."""

    definition: validation.Metadata


def create_schema(*, new: NewFieldSchema) -> models.FieldSchema:
    """Raises FieldSchemaExists, InvalidSchema, FieldsInTheWay, ValidationFailed for a kind there is not."""
    with unit_of_work():
        _lock(new.subject, new.name, is_shared=False)
        if find_schema(subject=new.subject, name=new.name) is not None:
            raise FieldSchemaExists(
                wording.say('Fields of "{name}" are defined already; change that schema.', name=new.name)
            )
        return set_schema(subject=new.subject, name=new.name, definition=new.definition)


def update_schema(*, schema_id: uuid.UUID, changes: FieldSchemaChanges) -> models.FieldSchema:
    """Raises FieldSchemaNotFound, InvalidSchema, FieldsInTheWay."""
    with unit_of_work():
        row = get_schema(schema_id=schema_id)
        return set_schema(subject=row.subject, name=row.name, definition=changes.definition)


def set_schema(*, subject: str, name: str, definition: Mapping[str, Any]) -> models.FieldSchema:
    """Define the fields of a kind of node or type of product, in place of those there were.

    Raises InvalidSchema, FieldsInTheWay, ValidationFailed for a kind there is not.
    """
    owner = _subject(subject, name)
    check_definition(definition)
    with unit_of_work():
        _lock(subject, name, is_shared=False)
        found = find_schema(subject=subject, name=name)
        if found is not None and found.definition == definition:
            return found
        _check_rows(owner, name, definition)
        before = found.definition if found else None
        row = found or models.FieldSchema(subject=subject, name=name)
        row.definition = dict(definition)
        row.save()
        payload = events.FieldSchemaSet(subject=subject, name=name, definition=dict(definition))
        _record(row.id, payload, before={"definition": before})
    return row


def delete_schema(*, schema_id: uuid.UUID) -> None:
    """Values that are there stay until they are written again. Raises FieldSchemaNotFound."""
    with unit_of_work():
        row = get_schema(schema_id=schema_id)
        _lock(row.subject, row.name, is_shared=False)
        payload, before = events.FieldSchemaDeleted(subject=row.subject, name=row.name), {"definition": row.definition}
        row.delete()
        _record(schema_id, payload, before=before)


def find_schema(*, subject: str, name: str) -> models.FieldSchema | None:
    return models.FieldSchema.objects.filter(subject=subject, name=name).first()


def get_schema(*, schema_id: uuid.UUID) -> models.FieldSchema:
    """Raises FieldSchemaNotFound."""
    found = models.FieldSchema.objects.filter(id=schema_id).first()
    if found is None:
        raise FieldSchemaNotFound(wording.say("There is no schema {schema}.", schema=ids.encode("fields", schema_id)))
    return found


def check_values(*, subject: str, name: str, values: Mapping[str, Any], pointer: str = "/fields") -> None:
    """Values that are about to be written, within the transaction that writes them. Raises InvalidFields."""
    if not values:
        return
    _lock(subject, name, is_shared=True)
    found = find_schema(subject=subject, name=name)
    if found is None:
        said = wording.say('no fields are defined for "{name}"; define them first.', name=name)
        raise InvalidFields(said, problems=[errors.FieldProblem(pointer, "no_fields_defined", said)])
    problems = list(field_values.problems(found.definition, values, pointer))
    if problems:
        raise InvalidFields(validation.refused(problems).detail, problems=problems)


def _check_rows(owner: Subject, name: str, definition: Mapping[str, Any]) -> None:
    """Every row with values, one after another; it ends with the first few that break the schema."""
    breaking = (
        row_id for row_id, values in owner.rows(name) if values and any(field_values.problems(definition, values, ""))
    )
    found = list(islice(breaking, _SHOWN))
    if found:
        raise FieldsInTheWay(
            wording.say("These and perhaps others break the schema: {rows}.", rows=", ".join(found)), rows=found
        )


def _subject(subject: str, name: str) -> Subject:
    owner = _subjects[subject]
    known = None if owner.names is None else list(owner.names())
    if known is not None and name not in known:
        said = wording.say(
            '"{value}" is not one of {known}.{hint}',
            value=name[:60],
            known=", ".join(known),
            hint=errors.did_you_mean(name, known),
        )
        raise errors.ValidationFailed.for_field("/name", "unknown_name", said)
    return owner


def _lock(subject: str, name: str, *, is_shared: bool) -> None:
    """Values are written under the schema they were checked by: a change of it waits for them, and they for it."""
    function = "pg_advisory_xact_lock_shared" if is_shared else "pg_advisory_xact_lock"
    with connection.cursor() as cursor:
        key = f"fields:{scope.current_id()}:{subject}:{name}"
        cursor.execute(f"SELECT {function}(hashtextextended(%s, 0))", [key])


def _record(schema_id: uuid.UUID, payload: Any, *, before: Mapping[str, Any]) -> None:
    stream: dict[str, Any] = {
        "tenant_id": scope.current_id(),
        "aggregate_type": events.FIELD_SCHEMA,
        "aggregate_id": schema_id,
    }
    append(payload, **stream)
    audit.record_event(payload, before=before, **stream)
