"""Bodies on the way in: HTML is sanitised, blocks are checked, markdown and plain text stay as they were written."""

from __future__ import annotations

import orjson
from pydantic_core import PydanticCustomError

from apps.content import models
from apps.content.services.inputs import MAXIMUM_BODY_LENGTH, BodyInput
from apps.kernel import errors, text, validation, wording

_MAXIMUM_DEPTH = 100


class InvalidBlocks(errors.ValidationFailed):
    """A body in the format `json` is not a list of blocks, or too large. `detail` names the block and what is wrong."""

    code = "invalid_blocks"


def stored(body: BodyInput) -> str:
    """The text to store. Raises InvalidBlocks, ValidationFailed."""
    if body.format is models.Format.JSON:
        return _blocks(body)
    if not isinstance(body.body, str):
        raise errors.ValidationFailed.for_field(
            "/bodies",
            "not_text",
            wording.say(
                'a body of the format "{format}" is text; blocks need the format "json".', format=body.format.value
            ),
        )
    return text.clean_html(body.body) if body.format is models.Format.HTML else body.body


def _blocks(body: BodyInput) -> str:
    try:
        blocks = orjson.loads(body.body) if isinstance(body.body, str) else body.body
    except orjson.JSONDecodeError as error:
        raise _invalid(wording.say("this is not JSON: {reason}.", reason=str(error))) from None
    if not isinstance(blocks, list):
        raise _invalid(wording.say("send a list of blocks."))
    for number, block in enumerate(blocks, start=1):
        if not isinstance(block, dict) or not isinstance(block.get("type"), str) or not block["type"]:
            raise _invalid(
                wording.say(
                    'block {number} is not an object with a "type", such as {example}.',
                    number=number,
                    example='{"type": "paragraph"}',
                )
            )
    try:
        validation.check_json(blocks, maximum_depth=_MAXIMUM_DEPTH)
    except PydanticCustomError as error:
        raise _invalid(
            wording.say(
                "this can't be stored as JSON: {reason}.", reason=error.context["said"] if error.context else str(error)
            )
        ) from None
    written = orjson.dumps(text.map_block_html(blocks, text.clean_html)).decode()
    if len(written) > MAXIMUM_BODY_LENGTH:
        raise _invalid(
            wording.say("blocks have at most {limit} characters together.", limit=f"{MAXIMUM_BODY_LENGTH:,}")
        )
    return written


def _invalid(detail: str) -> InvalidBlocks:
    return InvalidBlocks(
        wording.say("{field}: {problem}", field="bodies", problem=detail),
        problems=[errors.FieldProblem("/bodies", "invalid_blocks", detail)],
    )
