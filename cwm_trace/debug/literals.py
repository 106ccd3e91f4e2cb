"""Expressions over recorded values: literals are read, operators applied, and nothing is ever executed.

A value is text that a program's own `repr` wrote, so it may be anything. A literal becomes that value;
everything else stays `Opaque`: text that equals the same text. There are no attributes, no calls but those in
`CALLS`, and a bound on what any operation may make.
"""

from __future__ import annotations

import ast
import math
import operator
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from cwm_trace.errors import CwmTraceError
from cwm_trace.expressions import ARITHMETIC, COMPARISONS, Evaluator
from cwm_trace.records import Slot, State

MAX_CHARS = 200_000
"""Of a value's text that is read as a literal; a longer one stays text."""
_MAX_EXPRESSION = 1_000
"""Characters of an expression that is typed."""
_MAX_SIZE = 100_000
"""Elements, characters or bits of anything that an expression makes."""


class ExpressionError(CwmTraceError):
    """An expression that cannot be evaluated here, with the reason."""


@dataclass(frozen=True)
class Opaque:
    """A value of which only the text is known.

    Args:
        text: its `repr`.
        size: as in `Slot`.
    """

    text: str
    size: int | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Opaque) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return self.text


@lru_cache(maxsize=512)
def parse_expression(text: str) -> ast.expr:
    """The tree of an expression; nothing of it is compiled.

    Raises:
        ExpressionError: it is no expression, or too long.
    """
    if len(text) > MAX_CHARS:
        raise ExpressionError(f"the text has {len(text)} characters: at most {MAX_CHARS} are read")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # such as those about invalid escapes
            return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        reason = getattr(error, "msg", None) or type(error).__name__
        raise ExpressionError(f"{text!r:.80} is no expression: {reason}") from None


def read_literal(text: str) -> Any:
    """The value of a literal.

    Raises:
        ExpressionError: it is none.
    """
    tree = parse_expression(text)
    try:
        return ast.literal_eval(tree)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        raise ExpressionError(
            f"{text!r:.80} is no literal: give a number, a text, a list of them, …"
        ) from None


def value_of(slot: Slot) -> Any:
    """The value of a slot, as far as it is known."""
    if slot.clipped:
        return Opaque(slot.text, slot.size)
    if slot.text in _FLOATS and slot.type in ("float", ""):
        return _FLOATS[slot.text]
    try:
        return read_literal(slot.text)
    except ExpressionError:
        return Opaque(slot.text, slot.size)


_FLOATS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def evaluate(text: str, state: State) -> Any:
    """The value of an expression over the variables of a frame.

    Raises:
        ExpressionError: a name that is not bound, an operation that is not offered, or one that fails.

    >>> evaluate("n * 2 + len(xs)", {"n": Slot("4"), "xs": Slot("[1, 2]")})
    10
    """
    if len(text) > _MAX_EXPRESSION:
        raise ExpressionError(
            f"the expression has {len(text)} characters: at most {_MAX_EXPRESSION} are read"
        )
    tree = parse_expression(text)
    try:
        return _Values(state).find(tree)
    except ExpressionError:
        raise
    except (ArithmeticError, TypeError, ValueError, LookupError, RecursionError, MemoryError) as error:
        raise ExpressionError(f"{text.strip()}: {type(error).__name__}: {error}") from None


def show_value(value: Any) -> str:
    """The text of a value that `evaluate` gave."""
    try:
        return repr(value)
    except (ValueError, RecursionError, MemoryError) as error:  # an int of too many digits
        return f"<{type(error).__name__}>"


def _are_same(left: Any, right: Any) -> bool:
    return left is right or (type(left) is type(right) and bool(left == right))


class _Values(Evaluator):
    comparisons: Mapping[type[ast.cmpop], Callable[[Any, Any], Any]] = {
        **COMPARISONS,
        ast.Is: _are_same,
        ast.IsNot: lambda left, right: not _are_same(left, right),
    }

    def __init__(self, state: State) -> None:
        self._state = state

    def find_name(self, name: str) -> Any:
        slot = self._state.get(name)
        if slot is None:
            raise ExpressionError(f"there is no variable {name!r} here{_hint(name, self._state)}")
        return value_of(slot)

    def find_other(self, node: ast.expr) -> Any:
        match node:
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
                return _call(name, list(map(self.find, arguments)))
        kind = type(node).__name__
        raise ExpressionError(f"{kind} is not offered here: values are only text, so nothing is run")

    def apply(self, op: ast.unaryop, value: Any) -> Any:
        return _UNARY[type(op)](value)

    def combine(self, op: ast.operator, left: Any, right: Any) -> Any:
        function = _BINARY.get(type(op))
        if function is None:
            raise ExpressionError(f"{type(op).__name__} is not offered here")
        if isinstance(op, ast.Mult):
            for one, other in ((left, right), (right, left)):
                if isinstance(other, int) and isinstance(one, str | bytes | list | tuple):
                    _require_size(_size(one) * other)
        if isinstance(op, ast.Mult | ast.Pow | ast.LShift) and _are_ints(left, right):
            bits = {
                ast.Mult: left.bit_length() + right.bit_length(),
                ast.Pow: left.bit_length() * max(right, 0),
                ast.LShift: left.bit_length() + max(right, 0),
            }
            _require_size(bits[type(op)])
        if isinstance(op, ast.Mod) and isinstance(left, str | bytes):
            raise ExpressionError("formatting is not offered here")
        if isinstance(op, ast.Add) and isinstance(left, str | bytes | list | tuple):
            _require_size(len(left))
        return function(left, right)


def _hint(name: str, state: State) -> str:
    from difflib import get_close_matches

    close = get_close_matches(name, list(state), 1)
    return f": did you mean {close[0]!r}?" if close else ""


def _are_ints(*values: Any) -> bool:
    return all(isinstance(value, int) for value in values)


def _size(value: Any) -> int:
    """Elements and characters of a value, those of its elements included."""
    if isinstance(value, str | bytes):
        return len(value)
    if isinstance(value, dict):
        return sum(_size(key) + _size(item) for key, item in value.items())
    return sum(map(_size, value)) if isinstance(value, list | tuple | set | frozenset) else 1


def _require_size(size: int) -> None:
    if size > _MAX_SIZE:
        raise ExpressionError(f"that would make something of size {size}: at most {_MAX_SIZE}")


def _call(name: str, arguments: list[Any]) -> Any:
    function = CALLS.get(name)
    if function is None:
        raise ExpressionError(f"{name}() is not offered here: only {', '.join(CALLS)} are")
    return function(*arguments)


def _len(value: Any) -> int:
    if isinstance(value, Opaque):
        if value.size is None:
            raise ExpressionError(f"the length of {value.text:.60} is not known")
        return value.size
    return len(value)


CALLS: Mapping[str, Callable[..., Any]] = {
    "len": _len,
    "abs": abs,
    "min": min,
    "max": max,
    "sum": lambda values: sum(values),
    "sorted": lambda values: sorted(values),
    "any": any,
    "all": all,
    "bool": bool,
    "int": lambda value: int(value),
    "float": float,
    "str": lambda value: value if isinstance(value, str) else show_value(value),
    "repr": show_value,
    "set": set,
    "list": list,
    "tuple": tuple,
    "round": round,
}
"""Calls that an expression may have, on what it has itself made."""

_UNARY: dict[type, Callable[[Any], Any]] = {
    ast.Not: operator.not_,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Invert: operator.invert,
}
_BINARY: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    **ARITHMETIC,
    ast.Pow: operator.pow,
    ast.LShift: operator.lshift,
    ast.RShift: operator.rshift,
}
