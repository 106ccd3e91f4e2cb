"""What is chosen is what a plain reading of the rules chooses, row by row."""

from __future__ import annotations

import hashlib
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cwm_trace.datasets.choice import choose_rows
from cwm_trace.datasets.item import SPLITS
from cwm_trace.datasets.keys import KEYS, Keys
from cwm_trace.datasets.similarity import PERMUTATIONS
from tests.effort import examples

ORDER = ("test", "dev", "train")
SHARES = {"train": 0.5, "dev": 0.2, "test": 0.3}
SKETCHES = [np.arange(PERMUTATIONS, dtype=np.uint32) + 1000 * number for number in range(3)]
SKETCHES += [np.where(np.arange(PERMUTATIONS) < 8, 7, SKETCHES[0]), np.where(SKETCHES[1] % 3, 7, SKETCHES[1])]
"""The fourth is like the first; the fifth has numbers of the second, but no band of it."""


@st.composite
def rows(draw: st.DrawFn) -> Keys:
    """Rows that have much in common."""
    count = draw(st.integers(0, 12))
    made = []
    for number in range(count):
        program = draw(st.integers(0, 4))
        call = draw(st.integers(0, 2))
        text = draw(st.integers(0, 1))
        twin_of = draw(st.sampled_from([0, 0, 0, *range(1, count + 3)]))
        split = draw(st.sampled_from([-1, -1, 0, 1, 2]))
        look = SKETCHES[draw(st.integers(0, len(SKETCHES) - 1))]
        made.append(
            (program, 10 * program + call, 100 * program + 10 * call + text, number + 1, twin_of, split, look)
        )
    return np.array(made, KEYS)


def choose_plainly(
    keys: Keys, near: float, programs_apart: bool
) -> tuple[dict[str, list[int]], Counter[str]]:
    groups: list[set[object]] = [{int(row["program"])} for row in keys]
    program_of = {int(row["id"]): int(row["program"]) for row in keys}
    groups += [
        {int(row["program"]), program_of.get(int(row["twin_of"]), f"id {row['twin_of']}")}
        for row in keys
        if row["twin_of"]
    ]

    def group(program: object) -> set[object]:
        found, size = {program}, 0
        while len(found) > size:
            size = len(found)
            found = found.union(*(each for each in groups if each & found))
        return found

    def known(program: int) -> str | None:
        splits = {
            SPLITS[row["split"]]
            for row in keys
            if row["split"] >= 0 and int(row["program"]) in group(program)
        }
        return min(splits, key=ORDER.index) if splits else None

    def split_of(row: Keys) -> str:
        if row["split"] >= 0:
            return SPLITS[row["split"]]
        if (split := known(int(row["program"]))) is not None:
            return split
        name = f"{min(each for each in group(int(row['program'])) if isinstance(each, int)):016x}"
        place = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") / 2**64
        return "test" if place < 0.3 else "dev" if place - 0.3 < 0.2 else "train"

    chosen: dict[str, list[int]] = {split: [] for split in SPLITS}
    dropped: Counter[str] = Counter()
    exact, texts, ids = set(), set(), set()
    fresh: dict[int, bool] = {}
    kept: list[Keys] = []
    for split in ORDER:
        for number, row in enumerate(keys):
            if split_of(row) != split:
                continue
            program, look = int(row["program"]), row["sketch"]
            reason = ""
            if programs_apart and known(program) not in (None, split):
                reason = "program-of-another-split"
            elif int(row["twin_of"]) in program_of:
                if int(row["twin_of"]) not in ids:
                    reason = "twin-of-a-dropped-one"
                elif int(row["text"]) in texts:
                    reason = "exact-duplicate"
            elif int(row["exact"]) in exact:
                reason = "exact-duplicate"
            elif near < 1:
                if program not in fresh:
                    fresh[program] = not any((other == look).mean() >= near for other in kept)
                    kept += [look] * fresh[program]
                reason = "" if fresh[program] else "near-duplicate"
            if reason:
                dropped[reason] += 1
                continue
            exact.add(int(row["exact"]))
            texts.add(int(row["text"]))
            ids.add(int(row["id"]))
            chosen[split].append(number)
    return chosen, dropped


@pytest.mark.parametrize("near", [0.9, 1])
@examples(1)
@given(keys=rows(), programs_apart=st.booleans(), cut=st.integers(0, 12))
def test_chosen_as_the_rules_say(near: float, keys: Keys, programs_apart: bool, cut: int) -> None:
    choice = choose_rows(lambda: [keys[:cut], keys[cut:]], SHARES, near, programs_apart=programs_apart)
    chosen, dropped = choose_plainly(keys, near, programs_apart)
    assert {split: found.tolist() for split, found in choice.rows.items()} == chosen
    assert choice.dropped == dropped
