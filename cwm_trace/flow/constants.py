"""Which recorded values prove that they cannot change as long as nobody binds the name again."""

from __future__ import annotations

import ast
import functools

from cwm_trace.records import Slot

_ATOMS = frozenset(("int", "str", "float", "bool", "NoneType", "bytes", "complex", "ellipsis", "range"))
_LONGEST = 2_000  # characters of a text that is read


def is_immutable(slot: Slot, *, trusts_types: bool, trusts_texts: bool) -> bool:
    """Whether the object that a slot shows can never be shown otherwise.

    Args:
        slot: of the history; of a predicted frame it has no type.
        trusts_types: no class of the program goes by the name of a built-in type.
        trusts_texts: nothing that changes is shown like a literal.

    >>> is_immutable(Slot("1", "int"), trusts_types=True, trusts_texts=False)
    True
    >>> is_immutable(Slot("1", "__main__.Box"), trusts_types=True, trusts_texts=False)
    False
    """
    if slot.type:
        if slot.type in _ATOMS:
            return trusts_types
        return slot.type == "tuple" and trusts_types and trusts_texts and _is_literal(slot.text)
    return trusts_texts and _is_literal(slot.text)


@functools.lru_cache(maxsize=1 << 14)
def _is_literal(text: str) -> bool:
    if len(text) > _LONGEST:
        return False
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        return False
    return _is_atom(value)


def _is_atom(value: object) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_atom, value))
    return isinstance(value, int | str | float | bytes | complex | None)
