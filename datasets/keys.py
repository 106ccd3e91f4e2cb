"""What decides about a row: whether it is a duplicate, of which split it is, whose twin."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np
import numpy.typing as npt

from cwm_trace.datasets.item import SPLITS, Item
from cwm_trace.datasets.similarity import PERMUTATIONS, key_of, rename_words, sketch, words_of

KEYS = np.dtype(
    [
        ("program", "<u8"),  # equal for programs that are equal up to names
        ("exact", "<u8"),  # and for the same call of them
        ("text", "<u8"),  # of the text and the call
        ("id", "<u8"),
        ("twin_of", "<u8"),  # the id of the program that this one rewrites; 0: none
        ("split", "i1"),  # its place in `SPLITS`; -1: not known yet
        ("sketch", "<u4", (PERMUTATIONS,)),
    ]
)
"""Of one row, as bytes that a file and another process take as they are."""

COLUMNS = tuple(name for name in KEYS.names or () if name != "sketch")
"""What is small."""

Keys = npt.NDArray[Any]
"""Of rows, `(rows,)` of `KEYS`."""


def keys_of(item: Item, split: str | None, entry: str, arguments: Any) -> tuple[Any, ...]:
    """The keys of a row.

    Args:
        item: what was recorded.
        split: that all items here have; None: that of the item.
        entry: the function that was recorded.
        arguments: what it was called with, for an item that has no call.
    """
    words = words_of(item.source)
    program = key_of(rename_words(words))
    call = json.dumps([item.call or entry, [] if item.call else arguments])
    its_split = split or (item.split if item.split != "train" else None)
    return (
        program,
        key_of([str(program), call]),
        key_of([item.source, call]),
        _number_of(item.id),
        0 if item.twin_of is None else _number_of(item.twin_of),
        -1 if its_split is None else SPLITS.index(its_split),
        sketch(words),
    )


def _number_of(name: str) -> int:
    digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little")
