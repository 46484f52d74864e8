"""Input models in the OpenAPI document."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiSerializerExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ResolvedComponent
from pydantic.json_schema import models_json_schema

from apps.kernel import validation


class InputModelExtension(OpenApiSerializerExtension):  # type: ignore[no-untyped-call]
    """Lets `extend_schema(request=SomeInput)` show a pydantic input model in the OpenAPI document."""

    target_class = validation.Input
    match_subclasses = True
    # Above drf-spectacular's own for pydantic, which describes what a model holds and not what it takes.
    priority = 1

    def get_name(self, auto_schema: AutoSchema, direction: str) -> str | None:
        return str(self.target.__name__)

    def map_serializer(self, auto_schema: AutoSchema, direction: str) -> dict[str, Any]:
        _, top = models_json_schema([(self.target, "validation")], ref_template="#/components/schemas/{model}")
        definitions = top["$defs"]
        own: dict[str, Any] = definitions.pop(self.target.__name__)
        for name, schema in definitions.items():
            component = ResolvedComponent(  # type: ignore[no-untyped-call]
                name=name, type=ResolvedComponent.SCHEMA, object=name, schema=schema
            )
            auto_schema.registry.register_on_missing(component)
        return own
