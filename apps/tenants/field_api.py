"""The fields that a tenant adds to content and products: `/api/v1/admin/field-schemas`."""

from __future__ import annotations

from typing import TypedDict

from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response

from apps.kernel import api, filters, ids, validation
from apps.kernel.listing import Listing
from apps.kernel.operations import Free, Id, Moment, operation
from apps.tenants import custom_fields, endpoint, events, field_schemas, models
from apps.tenants.endpoint import Endpoint

TAG = "custom fields"


class FieldSchema(TypedDict):
    """The fields of one kind of node or one type of product."""

    id: Id
    subject: str
    name: str
    definition: Free
    created_at: Moment
    updated_at: Moment


LISTING = Listing(
    document=FieldSchema,
    filters={
        "subject": filters.Filter(filters.one_of_those(custom_fields.subjects), filters.SAME),
        "name": filters.words(),
        "created_at": filters.moments(),
        "updated_at": filters.moments(),
    },
)


def _shown(row: models.FieldSchema) -> FieldSchema:
    return {
        "id": ids.encode("fields", row.id),
        "subject": row.subject,
        "name": row.name,
        "definition": row.definition,
        "created_at": validation.to_text(row.created_at),
        "updated_at": validation.to_text(row.updated_at),
    }


class FieldSchemasView(Endpoint):
    listing = LISTING
    permissions = {"GET": "settings:list", "POST": "settings:create"}

    @operation("field_schema_list", tag=TAG, answers=FieldSchema)
    def get(self, request: Request) -> Response:
        """What has fields of its own, and which."""
        rows = models.FieldSchema.objects.all()
        return LISTING.respond(request, rows, lambda page: [_shown(row) for row in page])

    @operation(
        "field_schema_create",
        tag=TAG,
        takes=custom_fields.NewFieldSchema,
        answers=FieldSchema,
        status=201,
        refuses=(custom_fields.FieldSchemaExists, field_schemas.InvalidSchema, custom_fields.FieldsInTheWay),
    )
    def post(self, request: Request) -> Response:
        """Define the fields of a kind of node or a type of product."""
        row = custom_fields.create_schema(new=api.read_input(request, custom_fields.NewFieldSchema))
        return Response(_shown(row), status=201)


class FieldSchemaView(Endpoint):
    versioned = endpoint.by_id(events.FIELD_SCHEMA, "fields", "schema_id")
    permissions = {"GET": "settings:read", "PATCH": "settings:update", "DELETE": "settings:delete"}

    @operation("field_schema_get", tag=TAG, answers=FieldSchema, refuses=(custom_fields.FieldSchemaNotFound,))
    def get(self, request: Request, schema_id: str) -> Response:
        """The fields of one kind or type."""
        return Response(_shown(custom_fields.get_schema(schema_id=ids.decode("fields", schema_id))))

    @operation(
        "field_schema_update",
        tag=TAG,
        takes=custom_fields.FieldSchemaChanges,
        answers=FieldSchema,
        refuses=(custom_fields.FieldSchemaNotFound, field_schemas.InvalidSchema, custom_fields.FieldsInTheWay),
    )
    def patch(self, request: Request, schema_id: str) -> Response:
        """Replace the schema; refused where values that are there break it."""
        changes = api.read_input(request, custom_fields.FieldSchemaChanges)
        return Response(_shown(custom_fields.update_schema(schema_id=ids.decode("fields", schema_id), changes=changes)))

    @operation("field_schema_delete", tag=TAG, refuses=(custom_fields.FieldSchemaNotFound,))
    def delete(self, request: Request, schema_id: str) -> Response:
        """No fields any more; values that are there stay until they are written again."""
        custom_fields.delete_schema(schema_id=ids.decode("fields", schema_id))
        return Response(status=204)


urlpatterns = [
    path("field-schemas", FieldSchemasView.as_view()),
    path("field-schemas/<str:schema_id>", FieldSchemaView.as_view()),
]
