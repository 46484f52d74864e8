"""Paragraphs of bodies from the old editor of WordPress, which stores blank lines and shows elements instead."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import batched, groupby, pairwise
from typing import NamedTuple

# In these text is made paragraphs of, as at the top.
_OPEN = {
    "address", "article", "aside", "blockquote", "center", "details", "div", "fieldset", "footer", "header", "main",
    "nav", "section",
}  # fmt: skip
# These stay as they are, with what is in them; all headings are `h`.
_CLOSED = {
    "caption", "dd", "dl", "dt", "figcaption", "figure", "form", "h", "legend", "li", "menu", "ol", "p", "pre",
    "summary", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "ul",
}  # fmt: skip
_BLOCKS = _OPEN | _CLOSED | {"hr"}
# HTML ends them where a block begins.
_SHORT = {"h", "p"}
# Within a line, with content that is no text of the line.
_WHOLE = {
    "audio", "button", "canvas", "iframe", "map", "math", "noscript", "object", "picture", "script", "select", "style",
    "svg", "textarea", "video",
}  # fmt: skip
# Nothing within is a tag.
_RAW = {"script", "style", "textarea"}
_FOREIGN = {"math", "svg"}
_SHOWN = (_WHOLE - {"script", "style"}) | {"embed", "img", "input"}
_COMMENT = "!"
_TAG = re.compile(r"""<(/?)([a-zA-Z][a-zA-Z0-9:-]*+)(?:[^>=]++|=\s*+(?:"[^"]*+"|'[^']*+')?+)*+>""")
_BEGINS_TAG = re.compile(r"</?[a-zA-Z]")
_HEADING = re.compile(r"h[1-6]")
_LINE_ENDS = re.compile(r"(\n\s*\n|\n)")
_ENDS_WITH_BREAK = re.compile(r"<br\s*/?>\s*$", re.IGNORECASE)
_SHORTCODE_NAME = re.compile(r"\[/?([a-zA-Z][\w-]*)")


class _Piece(NamedTuple):
    """A tag or a comment by its name, or text without one."""

    text: str
    name: str = ""
    is_end: bool = False


class _Line(NamedTuple):
    """Or several blank ones. `is_seen` where it holds more than tags; `is_alone` where it is in no paragraph."""

    text: str
    is_seen: bool
    is_alone: bool


def as_shown(body: str) -> str:
    """The body with the paragraphs and line breaks that WordPress adds when it shows it; one of blocks as it is.

    Linear in the length of the body. Within an element, text of a single line stays as it is.
    """
    if "<!-- wp:" in body:
        return body
    writer = _Writer()
    end = 0
    for piece in _pieces(body):
        writer.take(piece)
        end += len(piece.text)
    return writer.finish(body[end:])


def _pieces(body: str) -> Iterator[_Piece]:
    """As a browser reads the body, up to a tag, comment or script that is never closed."""
    here = start = 0
    while (start := body.find("<", start)) >= 0:
        found = _read(body, start)
        if found is not None and not found.text:
            start += 1
            continue
        if here < start:
            yield _Piece(body[here:start])
        if found is None:
            return
        yield found
        here = start = start + len(found.text)
        if found.name in _RAW and not found.is_end:
            ending = re.compile(rf"</{found.name}\b", re.IGNORECASE).search(body, start)
            if ending is None:
                return
            start = ending.start()
    if here < len(body):
        yield _Piece(body[here:])


def _read(body: str, start: int) -> _Piece | None:
    """The tag or comment that begins there; an empty piece where none does, None where it is never closed."""
    if body.startswith("<!--", start):
        closing = body.find("-->", start + 4)
        return None if closing < 0 else _Piece(body[start : closing + 3], _COMMENT)
    if match := _TAG.match(body, start):
        name = match[2].lower()
        if name in _FOREIGN and match[0].endswith("/>"):
            return _Piece(match[0], "img")  # it holds nothing either
        return _Piece(match[0], "h" if _HEADING.fullmatch(name) else name, bool(match[1]))
    return None if _BEGINS_TAG.match(body, start) else _Piece("")


class _Writer:
    """Writes blocks as they come, and between them the text that was read since the last one."""

    def __init__(self) -> None:
        self._written: list[str] = []
        self._run: list[_Piece] = []
        self._depth = 0
        # The element that stays as it is, and how many of its kind are open in it.
        self._kept, self._kept_depth = "", 0

    def take(self, piece: _Piece) -> None:
        if self._kept in _SHORT and piece.name in _BLOCKS:
            was, self._kept, self._kept_depth = self._kept, "", 0
            if piece.is_end and piece.name == was:
                self._written.append(piece.text)
                return
        if self._kept:
            self._keep(piece)
        elif piece.name in _WHOLE and not piece.is_end:
            self._kept = piece.name
            self._keep(piece)
        elif piece.name in _BLOCKS:
            self._end_run()
            self._block(piece)
        else:
            self._run.append(piece)

    def finish(self, rest: str) -> str:
        """All of it, with a rest that no browser shows."""
        if self._kept in _WHOLE:
            self._written += [piece.text for piece in self._run]
        else:
            self._end_run()
        return "".join([*self._written, rest])

    def _keep(self, piece: _Piece) -> None:
        if piece.name == self._kept:
            self._kept_depth += -1 if piece.is_end else 1
        if self._kept in _WHOLE:
            self._run.append(_Piece(piece.text, self._kept))
        else:
            self._written.append(piece.text)
        if not self._kept_depth:
            self._kept = ""

    def _block(self, piece: _Piece) -> None:
        self._written.append(piece.text)
        if piece.name in _OPEN:
            self._depth = max(self._depth + (-1 if piece.is_end else 1), 0)
        elif piece.name in _CLOSED and not piece.is_end:
            self._kept, self._kept_depth = piece.name, 1

    def _end_run(self) -> None:
        lines = list(_lines(self._run))
        seen = sum(line.is_seen and not line.is_alone for line in lines)
        if seen > (1 if self._depth else 0):
            self._written.append("\n".join(_paragraphs(lines)))
        else:
            self._written += [piece.text for piece in self._run]
        self._run = []


def _lines(run: Iterable[_Piece]) -> Iterator[_Line]:
    line: list[_Piece] = []
    for piece in run:
        if piece.name:
            line.append(piece)
            continue
        text = piece.text.replace("\r\n", "\n").replace("\r", "\n")
        first, *others = _LINE_ENDS.split(text)
        line.append(_Piece(first))
        for ends, following in batched(others, 2):
            yield _line(line)
            if len(ends) > 1:
                yield _Line(ends[1:-1], is_seen=False, is_alone=True)
            line = [_Piece(following)]
    yield _line(line)


def _line(pieces: Sequence[_Piece]) -> _Line:
    text = "".join(piece.text for piece in pieces)
    is_seen = any(piece.name in _SHOWN if piece.name else bool(piece.text.strip()) for piece in pieces)
    is_comment = not is_seen and any(piece.name == _COMMENT for piece in pieces)
    return _Line(text, is_seen, is_comment or not text.strip() or _is_shortcode(text.strip()))


def _is_shortcode(line: str) -> bool:
    """`[gallery ids="1"]`, or `[caption]…[/caption]`."""
    if not line.startswith("[") or not line.endswith("]"):
        return False
    name = _SHORTCODE_NAME.match(line)
    return name is not None and (line.find("]") == len(line) - 1 or line.endswith(f"[/{name[1]}]"))


def _paragraphs(lines: Iterable[_Line]) -> Iterator[str]:
    for is_alone, group in groupby(lines, key=lambda line: line.is_alone):
        together = list(group)
        if is_alone or not any(line.is_seen for line in together):
            yield from (line.text for line in together)
            continue
        broken = [line.text + _break(line, following) for line, following in pairwise(together)]
        yield f"<p>{'\n'.join([*broken, together[-1].text]).strip()}</p>"


def _break(line: _Line, following: _Line) -> str:
    is_between = line.is_seen and following.is_seen
    return "<br>" if is_between and not _ENDS_WITH_BREAK.search(line.text) else ""
