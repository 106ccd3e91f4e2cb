"""When a predicted text equals a real one. Predictions are parsed, never executed.

Every text has a key at each level, and two values are equal where their keys are: equality is transitive, and
a value is normalised once, not once per comparison.
"""

from __future__ import annotations

import ast
import enum
import functools
import warnings
from typing import Any

from cwm_trace.records import UNCHANGED, Slot
from cwm_trace.wire.profile import FormatProfile

_NORMAL = FormatProfile(addresses="removed", str_iterator="str_iterator")
_LITERAL = "\0="  # before the key of a literal, so that no other text has it
_DANGLING = "\0.."
"""The key of a `..` with nothing before it: no real value has it."""


class Equality(str, enum.Enum):
    """How strictly values are compared."""

    EXACT = "exact"
    """The same characters."""
    NORMAL = "normal"
    """The same but for heap addresses and the name of the iterator over an ASCII string."""
    TYPED = "typed"
    """Literals of equal value and equal type at every level, sets and dicts unordered; else as `normal`."""


def slots_equal(real: Slot | None, predicted: Slot | None, level: Equality) -> bool:
    """Whether two values are equal; a dangling `..` equals nothing, not even another.

    A prediction has no types: its text is read as one of the real value's type.
    """
    if real is None or predicted is None:
        return real is predicted
    if predicted.text == UNCHANGED:
        return False
    return value_key(real.text, real.type, level) == value_key(predicted.text, real.type, level)


def value_key(text: str, kind: str, level: Equality) -> str:
    """What two texts of runtime type `kind` share if and only if they are equal at `level`.

    The type matters to texts with ` at 0x` or ` object` in them only: inside a string they are characters.
    """
    if text == UNCHANGED:
        return _DANGLING
    if level is Equality.EXACT:
        return text
    if " at 0x" in text or " object" in text:
        text = _NORMAL.text_of(Slot(text, kind))
    return text if level is Equality.NORMAL else _literal_key(text)


@functools.lru_cache(maxsize=1 << 14)
def _literal_key(text: str) -> str:
    """The canonical form of a literal; any other text as it is."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # such as those about invalid escapes
            return _LITERAL + _canonical(ast.literal_eval(text))
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return text if not text.startswith(_LITERAL) else _LITERAL + text


def _canonical(value: Any) -> str:
    if isinstance(value, tuple):
        return f"({''.join(_canonical(item) + ',' for item in value)})"
    if isinstance(value, list):
        return f"[{','.join(map(_canonical, value))}]"
    if isinstance(value, dict):
        items = sorted(f"{_canonical(key)}:{_canonical(item)}" for key, item in value.items())
        return f"{{{','.join(items)}:}}"
    if isinstance(value, set):
        return f"{{{','.join(sorted(map(_canonical, value)))}}}"
    if isinstance(value, float | complex):
        return repr(value + 0)  # 0.0 and -0.0 are equal
    return repr(value)
