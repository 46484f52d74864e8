"""Rules on the text of the program that no linter has: errors can be translated, and what is ignored says why."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Collection, Iterator
from pathlib import Path

# What only operators see, at a terminal, in English; a trailing slash is a folder.
AT_A_TERMINAL = (
    "apps/audit/checkpoints.py",
    "apps/commerce/catalogue/",
    "apps/commerce/exporting/",
    "apps/commerce/importing/",
    "apps/commerce/shopify/",
    "apps/commerce/woocommerce/",
    "apps/consumers/generations.py",
    "apps/consumers/rebuild.py",
    "apps/consumers/replay.py",
    "apps/content/wordpress/",
    "apps/imports/commanding.py",
    "apps/imports/services.py",
    "apps/kernel/encodings.py",
    "apps/kernel/imports.py",
    "apps/kernel/records.py",
    "apps/outbox/",
    "rustok/",
)
BUT_NOT = ("apps/outbox/append.py",)  # runs in requests
# Where the sentence stands among the arguments.
DETAIL = {"for_field": 2, "FieldProblem": 2}
TEMPLATE = {"say": 0, "mark": 0, "refusal": 1}


def is_answered(path: str) -> bool:
    """Whether errors raised in this file reach clients of the API."""
    return path in BUT_NOT or not path.startswith(AT_A_TERMINAL)


def untranslatable(source: str, error_classes: Collection[str]) -> Iterator[int]:
    """The lines where an error is told in a plain text, or where a template is put together before it is said."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = _name(node.func)
        if name in TEMPLATE and isinstance(node.func, ast.Attribute) and _name(node.func.value) == "wording":
            if isinstance(_argument(node, TEMPLATE[name], ""), ast.JoinedStr | ast.BinOp):
                yield node.lineno
        elif name in DETAIL or name in error_classes:
            detail = _argument(node, DETAIL.get(name, 0), "detail")
            if detail is not None and _is_plain(detail):
                yield node.lineno


def silent(source: str) -> Iterator[int]:
    """The lines that ignore an exception with no comment there or above that says why."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    told = {token.start[0] for token in tokens if token.type == tokenize.COMMENT and _is_a_reason(token.string)}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and _name(node.func) == "suppress":
            own = {node.lineno - 1, node.lineno}
        elif isinstance(node, ast.ExceptHandler) and [type(line) for line in node.body] == [ast.Pass]:
            own = {node.lineno - 1, node.lineno, node.body[0].lineno - 1, node.body[0].lineno}
        else:
            continue
        if not own & told:
            yield node.lineno


def _is_a_reason(comment: str) -> bool:
    return " - " in comment or not comment.startswith("# noqa")


def files(*folders: str, root: Path) -> Iterator[tuple[str, str]]:
    """Paths below the root, and the text there."""
    for folder in folders:
        for file in sorted((root / folder).rglob("*.py")):
            yield file.relative_to(root).as_posix(), file.read_text()


def _is_plain(node: ast.expr) -> bool:
    match node:
        case ast.Constant(value=str(text)):
            return bool(text)
        case ast.JoinedStr() | ast.BinOp(op=ast.Add() | ast.Mod()):
            return True
        case ast.Call(func=ast.Attribute(attr="join" | "format", value=ast.Constant())):
            return True
        case ast.IfExp() | ast.BoolOp():
            return any(_is_plain(part) for part in ast.iter_child_nodes(node) if isinstance(part, ast.expr))
        case _:
            return False


def _argument(call: ast.Call, place: int, name: str) -> ast.expr | None:
    if len(call.args) > place:
        return call.args[place]
    return next((keyword.value for keyword in call.keywords if keyword.arg == name), None)


def _name(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""
