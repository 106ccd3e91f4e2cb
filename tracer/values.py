"""Values as text: `repr`, guarded against everything a program's own `__repr__` may do."""

from __future__ import annotations

import marshal
import re
from collections.abc import Callable
from typing import Any

from cwm_trace.records import SlotFields

Key = str | int
"""What two texts are compared by: the text, or the hash of one that is clipped."""

Describe = Callable[[Any], tuple[SlotFields, Key]]

ATOMS = frozenset([int, str, float, bool, type(None), bytes, complex, type(...), range])
"""Types whose objects never change and hold nothing of the user's: keeping one alive changes no program."""

CONTAINERS = frozenset([list, dict, set, tuple, frozenset, bytearray])

_SIZED: frozenset[type] = frozenset([str, bytes, range]) | CONTAINERS
_SCALARS: frozenset[type] = frozenset([int, float, bool, type(None)])
_STRINGS = frozenset([str, bytes, bytearray])
_BUILT_IN = {kind: kind.__name__ for kind in _SCALARS | _SIZED}
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_CONSTRUCTOR = re.compile(r"\w\(")


def describer(*, max_chars: int | None = None, keep_addresses: bool = False) -> Describe:
    """A function from a value to its text, type and size, and to the key that tells whether it changed.

    Args:
        max_chars: characters of text that are kept; the number cut off is recorded.
        keep_addresses: leave ` at 0x…` in; without it traces of the same program repeat.
    """

    def describe(value: Any) -> tuple[SlotFields, Key]:
        kind = type(value)
        text = safe_repr(value)
        fields: SlotFields = {"text": text, "type": _BUILT_IN.get(kind) or type_name(kind)}
        if kind is int:
            fields["size"] = value.bit_length()
        elif kind in _SIZED:
            fields["size"] = len(value)
        if kind not in _SCALARS and not keep_addresses and " at 0x" in text and kind not in _STRINGS:
            fields["text"] = text = _ADDRESS.sub("", text)
        if max_chars is not None and len(text) > max_chars:
            fields["clipped"] = len(text) - max_chars
            fields["text"] = text[:max_chars]
            return fields, hash(text)
        return fields, text

    return describe


def safe_repr(value: Any) -> str:
    """`repr(value)` as valid Unicode that is not `..`, whatever happens.

    An int too long for `repr` (gh-95778) is written in hexadecimal, which has no limit; a `repr` that
    raises gives `<unrepresentable TYPE: ERROR>`. KeyboardInterrupt is the user's and goes through.
    """
    try:
        text = repr(value)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit, RecursionError, and whatever else a program may raise
        if type(value) is int:
            return hex(value)
        return f"<unrepresentable {type(value).__name__}: {type(error).__name__}>"
    if text.isascii():
        return text if text != ".." else "<..>"
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def safe_str(error: BaseException) -> str:
    """`str(error)`, guarded like `safe_repr`."""
    try:
        text = str(error)
    except KeyboardInterrupt:
        raise
    except BaseException as failure:
        return f"<unprintable {type(error).__name__}: {type(failure).__name__}>"
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def type_name(kind: type) -> str:
    """Qualified name of a type, without the module for built-in ones."""
    module = kind.__module__
    return kind.__qualname__ if module == "builtins" else f"{module}.{kind.__qualname__}"


def image_of(value: Any, text: str) -> bytes | None:
    """A copy of a container as bytes, several times cheaper to make than its text; None if there is none.

    As long as `take_image` gives the same bytes again, its text is the same too. For that `text`, its `repr` now, must
    show plain literals only: `marshal` writes a bytearray or an array as if it were bytes.
    """
    if "<" in text or "b'" in text or 'b"' in text or ("(" in text and _CONSTRUCTOR.search(text)):
        return None
    return take_image(value)


def take_image(value: Any) -> bytes | None:
    """The bytes of a container of plain values, runs no code of the program; None where it holds others."""
    try:
        return marshal.dumps(value, 2)  # version 2 has no references: equal values give equal bytes
    except ValueError:
        return None
