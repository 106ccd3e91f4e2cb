"""Which rows stay, and in which split: decided once all units are made, in an order that never changes.

Splits that are tested on come first, so that what is nearly the same in two of them is kept out of training.
"""

from __future__ import annotations

import hashlib
from base64 import b64decode
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cwm_trace.datasets.item import SPLITS
from cwm_trace.datasets.similarity import Sketches, load_sketch

_ORDER = ("test", "dev", "train")

Keys = Mapping[str, Any]
ReadKeys = Callable[[], Iterable[tuple[int, list[Keys]]]]
"""Gives each unit's number and the keys of its rows; it is called more than once."""


@dataclass
class Choice:
    """The rows that stay.

    Args:
        rows: by split: unit and row, in the order of the dataset.
        dropped: how many did not, by reason.
    """

    rows: dict[str, list[tuple[int, int]]] = field(default_factory=lambda: {split: [] for split in SPLITS})
    dropped: Counter[str] = field(default_factory=Counter)


def choose_rows(
    read: ReadKeys, shares: Mapping[str, float], near: float, *, programs_apart: bool = True
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
    groups = _group(read)
    choice = Choice()
    seen_exact: set[str] = set()
    seen_text: set[str] = set()
    programs: dict[str, bool] = {}
    stayed: set[str] = set()
    sketches = Sketches(near) if near < 1 else None
    for split in _ORDER:
        for unit, rows in read():
            for number, keys in enumerate(rows):
                if _split_of(keys, groups, shares) != split:
                    continue
                base = keys["twin_of"]
                if programs_apart and groups.splits.get(groups.find(keys["program"]), split) != split:
                    reason = "program-of-another-split"
                elif base is not None and groups.has(base):
                    reason = "" if base in stayed else "twin-of-a-dropped-one"
                    if not reason and keys["text"] in seen_text:
                        reason = "exact-duplicate"
                elif keys["exact"] in seen_exact:
                    reason = "exact-duplicate"
                else:
                    reason = ""
                    if sketches is not None and keys["program"] not in programs:
                        minhash = load_sketch(b64decode(keys["sketch"]))
                        if programs.setdefault(keys["program"], sketches.find(minhash) is None):
                            sketches.add(minhash)
                    if not programs.setdefault(keys["program"], True):
                        reason = "near-duplicate"
                if reason:
                    choice.dropped[reason] += 1
                    continue
                seen_exact.add(keys["exact"])
                seen_text.add(keys["text"])
                stayed.add(keys["id"])
                choice.rows[split].append((unit, number))
    return choice


class _Groups:
    """Rows that must be in one split: those of one program, up to names, and its twins (union-find)."""

    def __init__(self) -> None:
        self._parents: dict[str, str] = {}
        self._ids: dict[str, str] = {}
        self.splits: dict[str, str] = {}

    def find(self, program: str) -> str:
        parents = self._parents
        while parents.setdefault(program, program) != program:
            parents[program] = parents[parents[program]]
            program = parents[program]
        return program

    def join(self, one: str, other: str) -> None:
        first, second = sorted((self.find(one), self.find(other)))
        self._parents[second] = first

    def name(self, identity: str, program: str) -> None:
        self._ids[identity] = program

    def has(self, identity: str) -> bool:
        return identity in self._ids

    def program(self, identity: str) -> str:
        return self._ids.get(identity, f"id {identity}")


def _group(read: ReadKeys) -> _Groups:
    groups = _Groups()
    bases = {keys["twin_of"] for _, rows in read() for keys in rows if keys["twin_of"] is not None}
    for _, rows in read():
        for keys in rows:
            if keys["id"] in bases:
                groups.name(keys["id"], keys["program"])
    for _, rows in read():
        for keys in rows:
            if keys["twin_of"] is not None:
                groups.join(keys["program"], groups.program(keys["twin_of"]))
    for _, rows in read():
        for keys in rows:
            if keys["split"] is not None:
                group = groups.find(keys["program"])
                known = groups.splits.get(group, "train")
                groups.splits[group] = min(keys["split"], known, key=_ORDER.index)
    return groups


def _split_of(keys: Keys, groups: _Groups, shares: Mapping[str, float]) -> str:
    """The split of a row: its own, else that of its program, else by the hash of the program."""
    if keys["split"] is not None:
        own: str = keys["split"]
        return own
    group = groups.find(keys["program"])
    if group in groups.splits:
        return groups.splits[group]
    place = int.from_bytes(hashlib.sha256(group.encode()).digest()[:8], "big") / 2**64 * sum(shares.values())
    for split in _ORDER:
        place -= shares.get(split, 0)
        if place < 0:
            return split
    return "train"
