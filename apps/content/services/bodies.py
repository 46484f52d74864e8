"""Bodies on the way in: HTML is sanitised, blocks are checked, markdown and plain text stay as they were written."""

from __future__ import annotations

from typing import Any

import orjson

from apps.content import blocks, models
from apps.content.services.inputs import MAXIMUM_BLOCKS, MAXIMUM_BODY_LENGTH, BodyInput
from apps.kernel import errors, text, validation, wording


class InvalidBlocks(errors.ValidationFailed):
    """A body in the format `json` is not a list of blocks, or too large. `errors` names each block and what is
    wrong."""

    code = "invalid_blocks"


def stored(body: BodyInput, *, pointer: str = "/bodies") -> str:
    """The text to store; `pointer` is where the body stands in the input. Raises InvalidBlocks, ValidationFailed."""
    if body.format is models.Format.JSON:
        return _blocks(body, f"{pointer}/body")
    if not isinstance(body.body, str):
        raise errors.ValidationFailed.for_field(
            pointer,
            "not_text",
            wording.say(
                'a body of the format "{format}" is text; blocks need the format "json".', format=body.format.value
            ),
        )
    return text.clean_html(body.body) if body.format is models.Format.HTML else body.body


def _blocks(body: BodyInput, pointer: str) -> str:
    found = _read(body, pointer)
    written, problems = [], []
    for index, block in enumerate(found):
        try:
            written.append(blocks.dump(blocks.parse(block)))
        except errors.ValidationFailed as refused:
            problems += [
                errors.FieldProblem(f"{pointer}/{index}{problem.pointer}", problem.code, problem.detail)
                for problem in refused.problems
            ]
    if problems:
        raise InvalidBlocks(validation.refused(problems).detail, problems=problems)
    document = orjson.dumps(written).decode()
    if len(document) > MAXIMUM_BODY_LENGTH:
        limit = f"{MAXIMUM_BODY_LENGTH:,}"
        raise _invalid(pointer, wording.say("blocks have at most {limit} characters together.", limit=limit))
    return document


def _read(body: BodyInput, pointer: str) -> list[Any]:
    try:
        found = orjson.loads(body.body) if isinstance(body.body, str) else body.body
    except orjson.JSONDecodeError as error:
        raise _invalid(pointer, wording.say("this is not JSON: {reason}.", reason=str(error))) from None
    if not isinstance(found, list):
        raise _invalid(pointer, wording.say("send a list of blocks."))
    if len(found) > MAXIMUM_BLOCKS:
        raise _invalid(pointer, wording.say("a body has {limit} blocks at most.", limit=f"{MAXIMUM_BLOCKS:,}"))
    return found


def _invalid(pointer: str, detail: str) -> InvalidBlocks:
    named = wording.say("{field}: {problem}", field=pointer.lstrip("/"), problem=detail)
    return InvalidBlocks(named, problems=[errors.FieldProblem(pointer, "invalid_blocks", detail)])
