"""Numbers by which a client asks for stack frames and values; they hold until something moves."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from cwm_trace.debug.literals import ExpressionError, parse_expression
from cwm_trace.debug.track import Track
from cwm_trace.errors import CwmTraceError
from cwm_trace.records import Slot

_MAX_TEXT = 10_000
"""Characters of a value that are sent."""
MAX_CHILDREN = 1_000
"""Children of a value that are sent at a time."""


@dataclass(frozen=True)
class FrameReference:
    """A stack frame: the frame `index` of a track."""

    track: Track
    index: int


@dataclass(frozen=True)
class Scope:
    """Named values.

    Args:
        values: in their order.
        frame: whose variables they are, if they can be written; None: they cannot.
        note: of values that are not what a reader may take them for.
    """

    values: tuple[tuple[str, Slot], ...]
    frame: FrameReference | None = None


@dataclass(frozen=True)
class Children:
    """The parts of a value, read off its text.

    Args:
        data: the text's bytes.
        node: the value in it.
    """

    data: bytes
    node: ast.expr


class References:
    """What each number stands for."""

    def __init__(self) -> None:
        self._frames: dict[int, FrameReference] = {}
        self._values: dict[int, Scope | Children] = {}
        self._next = 1

    def clear(self) -> None:
        """Something moved: no number holds any more."""
        self._frames.clear()
        self._values.clear()

    def of_frame(self, track: Track, index: int) -> int:
        """A number for a stack frame."""
        self._frames[self._next] = FrameReference(track, index)
        self._next += 1
        return self._next - 1

    def of_values(self, values: Scope | Children) -> int:
        """A number for values."""
        self._values[self._next] = values
        self._next += 1
        return self._next - 1

    def frame(self, number: int) -> FrameReference:
        """The stack frame of a number.

        Raises:
            CwmTraceError: it does not hold any more.
        """
        if number not in self._frames:
            raise CwmTraceError(f"stack frame {number} is of an earlier stop: ask for the stack again")
        return self._frames[number]

    def values(self, number: int) -> Scope | Children:
        """The values of a number.

        Raises:
            CwmTraceError: it does not hold any more.
        """
        if number not in self._values:
            raise CwmTraceError(f"the values {number} are of an earlier stop: ask for the scopes again")
        return self._values[number]

    def variable(self, name: str, slot: Slot, evaluate_name: str = "") -> dict[str, Any]:
        """A variable as the protocol has it."""
        found: dict[str, Any] = {"name": name, "value": shorten(slot.text), "variablesReference": 0}
        if slot.type:
            found["type"] = slot.type
        if evaluate_name:
            found["evaluateName"] = evaluate_name
        if not slot.clipped:
            try:
                node = parse_expression(slot.text)
            except ExpressionError:
                return found
            self._unfold(found, slot.text.encode("utf-8", "replace"), node)
        return found

    def children(self, children: Children, start: int, count: int) -> list[dict[str, Any]]:
        """Some parts of a value."""
        found = []
        for name, node in islice(_parts_of(children), start, start + min(count, MAX_CHILDREN)):
            part: dict[str, Any] = {
                "name": name,
                "value": shorten(text_of(children.data, node)),
                "variablesReference": 0,
            }
            self._unfold(part, children.data, node)
            found.append(part)
        return found

    def _unfold(self, variable: dict[str, Any], data: bytes, node: ast.expr) -> None:
        count = _count_parts(node)
        if count:
            variable["variablesReference"] = self.of_values(Children(data, node))
            variable["namedVariables" if isinstance(node, ast.Dict | ast.Call) else "indexedVariables"] = (
                count
            )


def _count_parts(node: ast.expr) -> int:
    """How many parts a value has."""
    match node:
        case ast.List(elements) | ast.Tuple(elements) | ast.Set(elements):
            return len(elements)
        case ast.Dict(keys, _):
            return len(keys)
        case ast.Call(_, arguments, keywords):
            return len(arguments) + len(keywords)
    return 0


def _parts_of(children: Children) -> Iterator[tuple[str, ast.expr]]:
    """The name and the node of every part."""
    match children.node:
        case ast.List(elements) | ast.Tuple(elements) | ast.Set(elements):
            for number, element in enumerate(elements):
                yield str(number), element
        case ast.Dict(keys, values):
            for key, value in zip(keys, values, strict=True):
                yield shorten(text_of(children.data, key) if key is not None else "**", 100), value
        case ast.Call(_, arguments, keywords):
            for number, argument in enumerate(arguments):
                yield str(number), argument
            for keyword in keywords:
                yield keyword.arg or "**", keyword.value


def text_of(data: bytes, node: ast.expr) -> str:
    """The text of a part of a value."""
    if node.lineno == 1 and node.end_lineno == 1:
        return data.lstrip()[node.col_offset : node.end_col_offset].decode("utf-8", "replace")
    try:
        return ast.unparse(node)
    except (ValueError, RecursionError, MemoryError):
        return "…"


def shorten(text: str, length: int = _MAX_TEXT) -> str:
    """`text`, with its end left out if it is long."""
    return text if len(text) <= length else f"{text[: length - 1]}…"
