"""Fields that a tenant adds to content and products: described by a JSON Schema, and held to it when they are written.

docs/explanation/custom-fields.md
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Annotated, Any

import jsonschema
import orjson
from django.db import connection
from pydantic import Field

from apps.audit import recording as audit
from apps.kernel import errors, ids, validation, wording
from apps.outbox.append import append, unit_of_work
from apps.tenants import events, models, scope

AT_MOST = 50
LEVELS = 3
LARGEST_BYTES = 64 * 1024
_SHOWN = 5
_ANNOTATIONS = {"title", "description", "default", "examples"}
_EVERYWHERE = {"type", "enum", "const", *_ANNOTATIONS}
# Per type, the keywords beside those of every type. No `pattern`: a regular expression of a tenant could run for ever.
KEYWORDS: Mapping[str, set[str]] = {
    "string": {"minLength", "maxLength", "format"},
    "integer": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"},
    "number": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"},
    "boolean": set(),
    "array": {"items", "minItems", "maxItems", "uniqueItems"},
    "object": {"properties", "required", "additionalProperties"},
}
FORMATS = ("date", "date-time", "email", "uri", "uuid")

FieldValues = Annotated[validation.Metadata, Field(description="Values of the fields the tenant has defined.")]
type Rows = Callable[[str], Iterable[tuple[str, Mapping[str, Any]]]]


class FieldSchemaNotFound(errors.NotFound):
    """The tenant has defined no fields there. List what it has defined."""

    code = "field_schema_not_found"


class FieldSchemaExists(errors.Conflict):
    """The fields of this kind or type are defined already. Change that schema."""

    code = "field_schema_exists"
    title = "The fields are defined already"


class InvalidSchema(errors.ValidationFailed):
    """This is no JSON Schema of the kind that fields are described with. `errors` says what is wrong where."""

    code = "invalid_schema"


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
    problems = list(_broken(found.definition, values, pointer))
    if problems:
        raise InvalidFields(validation.refused(problems).detail, problems=problems)


def check_definition(definition: Mapping[str, Any]) -> None:
    """Raises InvalidSchema, which points at all that is wrong."""
    problems = list(_wrong(definition, "/definition", 0))
    if definition.get("type") != "object":
        said = wording.say('fields are described by a schema of the type "object".')
        problems.insert(0, errors.FieldProblem("/definition/type", "not_an_object", said))
    if len(orjson.dumps(definition)) > LARGEST_BYTES:
        said = wording.say("a schema takes {limit} bytes at most.", limit=LARGEST_BYTES)
        problems.append(errors.FieldProblem("/definition", "schema_too_large", said))
    if not problems:
        problems = [
            errors.FieldProblem(
                "/definition" + _pointer(wrong.absolute_path),
                "invalid_keyword",
                wording.say("this is no JSON Schema: {reason}", reason=wrong.message[:200]),
            )
            for wrong in jsonschema.Draft202012Validator(jsonschema.Draft202012Validator.META_SCHEMA).iter_errors(
                definition
            )
        ]
    if problems:
        raise InvalidSchema(validation.refused(problems).detail, problems=problems)


def _wrong(schema: Any, pointer: str, level: int) -> Iterator[errors.FieldProblem]:
    """What of a schema is beyond the part of JSON Schema that is taken here."""
    kind = schema.get("type") if isinstance(schema, Mapping) else None
    if not isinstance(kind, str) or kind not in KEYWORDS:
        said = wording.say("say the type: {known}.", known=", ".join(KEYWORDS))
        yield errors.FieldProblem(f"{pointer}/type", "unknown_type", said)
        return
    known = _EVERYWHERE | KEYWORDS[kind] | ({"$schema"} if level == 0 else set())
    for word in schema:
        if word not in known:
            hint = errors.did_you_mean(str(word), known)
            said = wording.say("this is not taken in a schema of the type {kind}.{hint}", kind=kind, hint=hint)
            yield errors.FieldProblem(f"{pointer}/{word}", "unknown_keyword", said)
    if "format" in schema and schema["format"] not in FORMATS:
        said = wording.say("use one of {expected}", expected=", ".join(FORMATS))
        yield errors.FieldProblem(f"{pointer}/format", "unknown_format", said)
    properties = schema.get("properties", {})
    inner = {f"properties/{name}": each for name, each in properties.items()} if isinstance(properties, Mapping) else {}
    if len(inner) > AT_MOST:
        said = wording.say("there are {limit} fields at most.", limit=AT_MOST)
        yield errors.FieldProblem(f"{pointer}/properties", "too_many_fields", said)
        return
    if "items" in schema:
        inner["items"] = schema["items"]
    if inner and level >= LEVELS:
        said = wording.say("fields are nested {levels} levels deep at most.", levels=LEVELS)
        yield errors.FieldProblem(pointer, "nested_too_deep", said)
        return
    for place, each in inner.items():
        yield from _wrong(each, f"{pointer}/{place}", level + 1)


@lru_cache(maxsize=256)
def _validator(definition: bytes) -> jsonschema.Draft202012Validator:
    """Fields that are not named are refused, unless the schema says otherwise: a misspelt one would be lost."""
    schema = {"additionalProperties": False, **orjson.loads(definition)}
    return jsonschema.Draft202012Validator(schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER)


def _broken(definition: Mapping[str, Any], values: Mapping[str, Any], pointer: str) -> Iterator[errors.FieldProblem]:
    for wrong in islice(_validator(orjson.dumps(definition)).iter_errors(values), 100):
        said = wording.say("{reason}", reason=wrong.message[:200])
        yield errors.FieldProblem(pointer + _pointer(wrong.absolute_path), f"field_{_snake(wrong.validator)}", said)


def _check_rows(owner: Subject, name: str, definition: Mapping[str, Any]) -> None:
    """Every row with values, one after another; it ends with the first few that break the schema."""
    breaking = (row_id for row_id, values in owner.rows(name) if values and any(_broken(definition, values, "")))
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


def _pointer(path: Iterable[str | int]) -> str:
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def _snake(word: Any) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in str(word))
