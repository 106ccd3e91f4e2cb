"""When a predicted text equals a real one. Predictions are parsed, never executed."""

from __future__ import annotations

import ast
import enum
import warnings
from typing import Any

from cwm_trace.records import UNCHANGED, Slot
from cwm_trace.wire.profile import FormatProfile

_NORMAL = FormatProfile(addresses="removed", str_iterator="str_iterator")


class Equality(str, enum.Enum):
    """How strictly values are compared."""

    EXACT = "exact"
    """The same characters."""
    NORMAL = "normal"
    """The same but for heap addresses and the name of the iterator over an ASCII string."""
    TYPED = "typed"
    """Literals of equal value and equal type at every level, sets unordered; otherwise as `normal`."""


def slots_equal(real: Slot | None, predicted: Slot | None, level: Equality) -> bool:
    """Whether two values are equal; a dangling `..` equals nothing, not even another."""
    if real is None or predicted is None:
        return real is predicted
    if predicted.text == UNCHANGED:
        return False
    if level is Equality.EXACT:
        return real.text == predicted.text
    if _NORMAL.text_of(real) == _NORMAL.text_of(Slot(predicted.text, real.type)):
        return True
    return level is Equality.TYPED and _literals_equal(real.text, predicted.text)


def _literals_equal(real: str, predicted: str) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # such as those about invalid escapes
            return _same(ast.literal_eval(real), ast.literal_eval(predicted))
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return False


def _same(left: Any, right: Any) -> bool:
    if type(left) is not type(right):
        return False
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(_same, left, right))
    if isinstance(left, dict):
        return len(left) == len(right) and all(
            _same(key_l, key_r) and _same(left[key_l], right[key_r])
            for key_l, key_r in zip(left, right, strict=True)
        )
    if isinstance(left, set):
        return {_typed(item) for item in left} == {_typed(item) for item in right}
    return bool(left == right)


def _typed(item: Any) -> Any:
    """An element of a set, so that elements of different types differ at every level."""
    return (type(item), tuple(map(_typed, item)) if isinstance(item, tuple) else item)
