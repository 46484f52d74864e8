"""JSON bodies by orjson, which refuses NaN, half characters and deep nesting, and takes the last of repeated keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

import orjson
from rest_framework.parsers import BaseParser

from apps.kernel import errors, wording


class MalformedBody(errors.DomainError):
    """The body is not JSON, or ends too early. `detail` says where it stops making sense."""

    code = "malformed_body"
    title = "The body cannot be read"


class OrjsonParser(BaseParser):
    media_type = "application/json"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        try:
            return orjson.loads(stream.read())
        except orjson.JSONDecodeError as error:
            raise MalformedBody(wording.say("The body is not JSON: {reason}.", reason=str(error))) from None
