"""Runtime types and sizes in the few classes that reports tell apart."""

from __future__ import annotations

import re
from collections.abc import Mapping

from cwm_trace.records import Frame, Slot

_BIG_INT_BITS = 64
"""An int of more bits is a big one: no machine word holds it."""

_CALLABLES = (
    "function",
    "builtin_function_or_method",
    "method",
    "method_descriptor",
    "wrapper_descriptor",
    "method-wrapper",
    "type",
    "functools.partial",
)
_ITERATORS = ("generator", "zip", "map", "filter", "enumerate", "reversed")
_KINDS = {
    **{name: name for name in ("bool", "float", "str", "bytes", "list", "tuple", "dict", "set")},
    "NoneType": "None",
    "bytearray": "bytes",
    "frozenset": "set",
    "collections.Counter": "dict",
    "collections.OrderedDict": "dict",
    "collections.defaultdict": "dict",
    "collections.deque": "list",
    **dict.fromkeys(_CALLABLES, "callable"),
    **dict.fromkeys(_ITERATORS, "iterator"),
    "": "unknown",
}
_SIZE_BINS = ("0", "1", "2-3", "4-7", "8-15", "16-31", "32-63", "64-127", "128-255", "256-511", "512+")
LAST_BIN = 512
"""Where the last bin of `size_bin` starts."""


def value_kind(slot: Slot | None) -> str:
    """The class of a value's runtime type, as it was recorded.

    `bool`, `int`, `big int`, `float`, `str`, `bytes`, `list`, `tuple`, `dict`, `set`, `None`, `callable`,
    `iterator`, `object` for every other type, `unknown` where none was recorded. The containers of
    `collections` count as what they extend.
    """
    if slot is None:
        return "unknown"
    name = slot.type
    if name == "int":
        return "big int" if (slot.size or 0) > _BIG_INT_BITS else "int"
    kind = _KINDS.get(name)
    if kind is None:
        kind = "iterator" if name.endswith("iterator") or name.startswith("itertools.") else "object"
    return kind


def size_bin(size: int | None) -> str:
    """A size, a distance or a position in bins of powers of two; `-` where there is none.

    >>> [size_bin(n) for n in (0, 1, 3, 8, 9999)]
    ['0', '1', '2-3', '8-15', '512+']
    """
    return "-" if size is None else _SIZE_BINS[min(size.bit_length(), len(_SIZE_BINS) - 1)]


def exception_type(text: str) -> str:
    """The name of the type in the text of a raised exception; empty if it shows none.

    >>> exception_type("ValueError('bad')")
    'ValueError'
    """
    match = re.match(r"<?'?([A-Za-z_][\w.]*)", text)
    return "" if match is None else match.group(1).rpartition(".")[2]


def state_at(frames: tuple[Frame, ...], index: int) -> Mapping[str, Slot]:
    """The whole state of the activation of frame `index` as that frame shows it."""
    slots: dict[str, Slot | None] = {}
    activation = frames[index].activation
    for frame in frames[: index + 1]:
        if frame.activation == activation:
            slots.update(frame.changed)
    return {name: slot for name, slot in slots.items() if slot is not None}
