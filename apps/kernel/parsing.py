"""JSON bodies by orjson, which refuses NaN, half characters and wrong UTF-8, and takes the last of repeated keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

import orjson
from rest_framework.parsers import BaseParser

from apps.kernel import errors, wording

# Blocks of content may be nested 100 levels deep; what holds them is a few more.
DEEPEST = 128
MOST_VALUES = 200_000


class MalformedBody(errors.DomainError):
    """The body is not JSON, or ends too early, or is nested too deep. `detail` says where it stops making sense."""

    code = "malformed_body"
    title = "The body cannot be read"


class OrjsonParser(BaseParser):
    media_type = "application/json"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        body = stream.read()
        try:
            document = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise MalformedBody(wording.say("The body is not JSON: {reason}.", reason=str(error))) from None
        opened = body.count(b"[") + body.count(b"{")
        # Neither can be more than the signs that make it; hardly any body has enough of them to look closer.
        if opened > DEEPEST or opened + body.count(b",") > MOST_VALUES:
            _check_shape(document)
        return document


def _check_shape(document: Any) -> None:
    level, depth, values = [document], 1, 1
    while level := [child for node in level for child in _children(node)]:
        depth, values = depth + 1, values + len(level)
        if depth > DEEPEST:
            raise MalformedBody(wording.say("The body is nested deeper than {limit} levels; use fewer.", limit=DEEPEST))
        if values > MOST_VALUES:
            raise MalformedBody(
                wording.say("The body holds more than {limit} values; send fewer at a time.", limit=f"{MOST_VALUES:,}")
            )


def _children(node: Any) -> Any:
    if isinstance(node, dict):
        return node.values()
    return node if isinstance(node, list) else ()
