"""A program to trace, with what is known of its difficulty: what generators make and loaders read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Knob = int | float | str | bool
"""A setting of a generator: an axis of later plots."""

SPLITS = ("train", "dev", "test")


@dataclass(frozen=True, slots=True)
class Item:
    """One program and the call whose execution is its trace.

    Args:
        id: the same wherever the item is made again.
        source: module text; ends in a newline.
        call: an expression such as `f(3, [1, 2])`, traced as the body of an argument-less `main`; empty: the
            whole text is traced as a script.
        family: the generator or the data set that it comes from.
        knobs: settings that it was generated with; empty for code that people wrote.
        split: one of `SPLITS`; no constant of a generated item's value pool is in two of them.
        expected: `repr` of the result, where the source of the item states it.
        max_lines: line events of its execution at the most, importing it included; None: not known.
        twin_of: id of the item that this one is a meaning-preserving rewrite of; None: of none.
    """

    id: str
    source: str
    call: str
    family: str
    knobs: Mapping[str, Knob] = field(default_factory=dict)
    split: str = "train"
    expected: str | None = None
    max_lines: int | None = None
    twin_of: str | None = None
