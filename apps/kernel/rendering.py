"""JSON answers by orjson. A module of its own: DRF imports it from the settings before its views can be imported."""

from __future__ import annotations

from typing import Any

import orjson
from pydantic import BaseModel
from rest_framework.renderers import BaseRenderer


class OrjsonRenderer(BaseRenderer):
    media_type = "application/json"
    format = "json"
    charset = None
    render_style = "binary"

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> bytes:
        if data is None:
            return b""
        return orjson.dumps(data, default=_to_json)


def _to_json(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, bytes):
        return orjson.Fragment(value)
    return str(value)
