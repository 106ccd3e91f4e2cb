"""Which rows stay, and in which split: decided once all units are made, in an order that never changes.

Splits that are tested on come first, so that what is nearly the same in two of them is kept out of training.
A row is a few numbers here; its sketch is kept only where another one has a band in common with it, since no
other can be like it.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from cwm_trace.datasets.item import SPLITS
from cwm_trace.datasets.keys import COLUMNS, KEYS, Keys
from cwm_trace.datasets.similarity import PERMUTATIONS, Sketch, Sketches, bands_for

_ORDER = tuple(map(SPLITS.index, ("test", "dev", "train")))

_Array = npt.NDArray[Any]
_ReadKeys = Callable[[], Iterable[Keys]]
"""Gives the keys of each unit, in the order of the dataset; it is called more than once."""


@dataclass
class Choice:
    """The rows that stay.

    Args:
        rows: by split, in the order of the dataset; they are counted over all units.
        dropped: how many did not, by reason.
    """

    rows: dict[str, _Array]
    dropped: Counter[str] = field(default_factory=Counter)


def choose_rows(
    read: _ReadKeys, shares: Mapping[str, float], near: float, *, programs_apart: bool = True
) -> Choice:
    """Decide.

    A program that is in two splits is dropped from the one that is trained on. A twin stays if the program
    that it rewrites does; it goes where that goes. Calls of one program stay together.

    Args:
        read: gives the keys.
        shares: of the splits, for rows that have none yet.
        programs_apart: drop a program from what is trained on if another split has it, with whatever call.
        near: similarity from which a program is a duplicate; 1: only equal ones are.
    """
    keys = _columns(read)
    groups = _Groups(keys, shares)
    looks = _crowded(read, near) if near < 1 else {}
    program, exact, text = (_numbered(keys[name]) for name in ("program", "exact", "text"))
    has_exact, has_text, stays = (bytearray(len(program)) for _ in range(3))
    judged, is_fresh = bytearray(len(program)), bytearray(len(program))
    """Of programs: whether they were looked at, and none like them was there before."""
    sketches = Sketches(near)
    rows: dict[str, list[int]] = {split: [] for split in SPLITS}
    dropped: Counter[str] = Counter()
    for split in _ORDER:
        for row in np.flatnonzero(groups.splits == split).tolist():
            base, own = groups.bases[row], program[row]
            if programs_apart and groups.kept_for[row] not in (-1, split):
                reason = "program-of-another-split"
            elif base >= 0:
                reason = "" if stays[base] else "twin-of-a-dropped-one"
                if not reason and has_text[text[row]]:
                    reason = "exact-duplicate"
            elif has_exact[exact[row]]:
                reason = "exact-duplicate"
            else:
                if not judged[own]:
                    judged[own] = True
                    look = looks.get(row)
                    is_fresh[own] = look is None or sketches.find(*look) is None
                    if look is not None and is_fresh[own]:
                        sketches.add(*look)
                reason = "" if is_fresh[own] else "near-duplicate"
            if reason:
                dropped[reason] += 1
                continue
            has_exact[exact[row]] = has_text[text[row]] = stays[groups.ids[row]] = True
            rows[SPLITS[split]].append(row)
    return Choice({split: np.array(chosen, np.int64) for split, chosen in rows.items()}, dropped)


def _columns(read: _ReadKeys) -> dict[str, _Array]:
    """All keys of all rows but the sketches."""
    parts: dict[str, list[_Array]] = {name: [np.empty(0, KEYS[name])] for name in COLUMNS}
    for unit in read():
        for name, column in parts.items():
            column.append(unit[name].copy())  # or it would hold the sketches
    return {name: np.concatenate(column) for name, column in parts.items()}


class _Groups:
    """Rows that must be in one split: those of one program, up to names, and its twins.

    Args:
        keys: of all rows.
        shares: of the splits.
    """

    def __init__(self, keys: Mapping[str, _Array], shares: Mapping[str, float]) -> None:
        names, ids = np.unique(keys["id"], return_inverse=True)
        programs, program = np.unique(keys["program"], return_inverse=True)
        wanted = keys["twin_of"]
        place = np.searchsorted(names, wanted).clip(max=max(len(names) - 1, 0))
        is_there = (wanted != 0) & (names[place] == wanted) if len(names) else wanted != 0
        self.ids = ids.astype(np.int32)
        """Of each row the number of its id."""
        self.bases = np.where(is_there, place, -1).astype(np.int32)
        """Of each row the number of the id that it is a twin of; -1: of none that is there."""
        program_of_id = np.zeros(len(names), np.int64)
        program_of_id[ids] = program
        missing, number = np.unique(wanted, return_inverse=True)
        other = np.where(is_there, program_of_id[place], len(programs) + number) if len(names) else number
        twins = np.flatnonzero(wanted)
        joined = _join(len(programs) + len(missing), program[twins].tolist(), other[twins].tolist())
        roots = joined[program]
        rank = np.full(len(programs), len(_ORDER), np.int8)
        for at, split in enumerate(_ORDER):
            np.minimum.at(rank, roots[keys["split"] == split], at)
        self.kept_for = np.array([*_ORDER, -1], np.int8)[rank[roots]]
        """Of each row the split that its group is for; -1: any."""
        self.splits: _Array = np.where(keys["split"] >= 0, keys["split"], self.kept_for)
        """Of each row."""
        for row in np.flatnonzero(self.splits < 0).tolist():
            self.splits[row] = _split_by_hash(int(programs[roots[row]]), shares)


def _join(count: int, ones: Sequence[int], others: Sequence[int]) -> _Array:
    """The least of those that each of so many is joined to, directly or over others (union-find)."""
    if not ones:
        return np.arange(count)
    parents = list(range(count))

    def find(one: int) -> int:
        while parents[one] != one:
            parents[one] = one = parents[parents[one]]
        return one

    for one, other in zip(ones, others, strict=True):
        first, second = sorted((find(one), find(other)))
        parents[second] = first
    return np.array(list(map(find, parents)))


def _split_by_hash(program: int, shares: Mapping[str, float]) -> int:
    digest = hashlib.sha256(f"{program:016x}".encode()).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64 * sum(shares.values())
    for split in _ORDER:
        place -= shares.get(SPLITS[split], 0)
        if place < 0:
            return split
    return SPLITS.index("train")


def _crowded(read: _ReadKeys, near: float) -> dict[int, tuple[Sketch, int]]:
    """The sketches that have a band in common with another one, by row, and the bits of such bands."""
    bands = [_bands(unit["sketch"], bands_for(near)) for unit in read()]
    shared = np.zeros(sum(map(len, bands)), np.int64)
    for band in range(bands_for(near)):
        column = np.concatenate([unit[:, band] for unit in bands])
        order = np.argsort(column, kind="stable")
        same = column[order[1:]] == column[order[:-1]]
        shared[np.union1d(order[1:][same], order[:-1][same])] |= 1 << band
    found: dict[int, tuple[Sketch, int]] = {}
    start = 0
    for unit in read():
        for row in np.flatnonzero(shared[start : start + len(unit)]).tolist():
            found[start + row] = unit["sketch"][row].copy(), int(shared[start + row])
        start += len(unit)
    return found


def _bands(sketches: _Array, count: int) -> _Array:
    """A number of 64 bits for each band of each sketch, equal for equal ones."""
    words = sketches.reshape(len(sketches), count, PERMUTATIONS // count).astype(np.uint64)
    numbers = np.zeros(words.shape[:2], np.uint64)
    for place in range(words.shape[2]):
        numbers = (numbers ^ words[:, :, place]) * np.uint64(0x9E3779B97F4A7C15)
    return numbers


def _numbered(column: _Array) -> _Array:
    """Equal values as equal numbers from 0."""
    return np.unique(column, return_inverse=True)[1].astype(np.int32)
