"""Alignment that survives a dropped or an added frame: the longest common control sequence.

By position, one frame too many makes everything after it wrong. Here frames are matched by what they are
(depth, event, file, line), as many as possible in their order, and the states of matched frames are compared.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from cwm_trace.eval.comparison.alignment import Alignment, Pair
from cwm_trace.eval.comparison.counts import Counts
from cwm_trace.eval.comparison.metrics import NO_ITEMS, NO_TRIALS, Rate, Retrieval
from cwm_trace.eval.comparison.state_keys import KeyMatch, Keys, SlotKeys
from cwm_trace.records import Event, Frame

_STATEFUL = (Event.CALL, Event.LINE)


@dataclass(frozen=True, slots=True)
class EditScore:
    """State metrics on frames that were matched by control.

    Args:
        matched: real frames with a partner, of all that count: the coverage of the other numbers.
        states: states that are equal, of those of matched frames.
        changed_slots: (variable, value) pairs that changed, of matched frames.
    """

    matched: Rate = NO_TRIALS
    states: Rate = NO_TRIALS
    changed_slots: Retrieval = NO_ITEMS


NO_EDIT = EditScore()


def score_by_edit(alignment: Alignment, counts: Counts) -> EditScore:
    """Match the frames of both sides by control and compare the states of those that are matched.

    Meant for predictions that go their own way, `free` and `step-over`; a mode that returns to the truth
    never shifts.
    """
    pairs = alignment.pairs
    if counts.control == counts.real == counts.said and all(map(_same_depth, pairs)):  # nothing shifts
        changes = counts.change_hits, counts.predicted_changes, counts.real_changes
        return EditScore(
            Rate(counts.real, counts.real),
            Rate(counts.state_hits, counts.states),
            Retrieval(changes[0], changes[1] - changes[0], changes[2] - changes[0]),
        )
    left = [pair for pair in pairs if pair.real is not None and pair.scored]
    right = [pair for pair in pairs if pair.predicted is not None and pair.scored]
    matches = longest_common_subsequence(
        [_control(pair.real) for pair in left], [_control(pair.predicted) for pair in right]
    )
    ours, theirs = _Side(), _Side()
    for pair in pairs:
        if not pair.scored and pair.given:
            ours.advance(pair.real, pair.real_changes)
            theirs.advance(pair.predicted, pair.predicted_changes)
    found: dict[tuple[int, int], KeyMatch] = {}
    states = hits = tp = real_changes = predicted_changes = at = to = 0
    for i, j in matches:
        while at <= i:
            ours.advance(left[at].real, left[at].real_changes)
            at += 1
        while to <= j:
            theirs.advance(right[to].predicted, right[to].predicted_changes)
            to += 1
        a, b = left[i], right[j]
        if a.real is None or b.predicted is None or a.real.event not in _STATEFUL:
            continue
        states += 1
        key = (a.real.activation, b.predicted.activation)
        match = found.setdefault(key, KeyMatch())
        wrong = match.differing(ours.of(key[0]), theirs.of(key[1]))
        hits += not (wrong - alignment.mask.names.get(a.index, frozenset()))
        real_changes += len(a.real_changes)
        predicted_changes += len(b.predicted_changes)
        tp += _common(a, b)
    return EditScore(
        Rate(len(matches), len(left)),
        Rate(hits, states),
        Retrieval(tp, predicted_changes - tp, real_changes - tp),
    )


def longest_common_subsequence(left: Sequence[Hashable], right: Sequence[Hashable]) -> list[tuple[int, int]]:
    """Indices of equal items of both, as many as possible in increasing order.

    Bit-parallel: one row of the table is one integer (Hyyrö 2004, "Bit-parallel LCS-length computation
    revisited"), and the rows are kept to walk back through them. Without a common prefix and suffix it takes
    `len(left) * len(right) / 64` machine steps.

    >>> longest_common_subsequence("abcd", "acxd")
    [(0, 0), (2, 1), (3, 3)]
    """
    start = 0
    while start < min(len(left), len(right)) and left[start] == right[start]:
        start += 1
    end = 0
    while end < min(len(left), len(right)) - start and left[-1 - end] == right[-1 - end]:
        end += 1
    inner = _walk_back(left[start : len(left) - end], right[start : len(right) - end])
    return [
        *((i, i) for i in range(start)),
        *((i + start, j + start) for i, j in inner),
        *((len(left) - k, len(right) - k) for k in range(end, 0, -1)),
    ]


def _walk_back(left: Sequence[Hashable], right: Sequence[Hashable]) -> list[tuple[int, int]]:
    masks: dict[Hashable, int] = {}
    for j, item in enumerate(right):
        masks[item] = masks.get(item, 0) | 1 << j
    everything = (1 << len(right)) - 1
    row, rows = everything, []
    for item in left:
        same = row & masks.get(item, 0)
        row = (row + same | row - same) & everything
        rows.append(row)
    found = []
    i, j = len(left), len(right)
    while i and j:
        if rows[i - 1] >> j - 1 & 1:
            j -= 1
            continue
        i -= 1
        if not i or rows[i - 1] >> j - 1 & 1:
            j -= 1
            found.append((i, j))
    return found[::-1]


class _Side:
    """The states of one trace as keys."""

    def __init__(self) -> None:
        self._slots: dict[int, SlotKeys] = {}

    def of(self, activation: int) -> SlotKeys:
        """The last state of an activation."""
        slots = self._slots.get(activation)
        if slots is None:
            slots = self._slots[activation] = SlotKeys()
        return slots

    def advance(self, frame: Frame | None, changes: Keys) -> None:
        """Take the next frame."""
        if frame is not None and changes:
            self.of(frame.activation).apply(changes)


def _same_depth(pair: Pair) -> bool:
    return not pair.scored or (
        pair.real is not None and pair.predicted is not None and pair.real.depth == pair.predicted.depth
    )


def _control(frame: Frame | None) -> Hashable:
    return None if frame is None else (frame.depth, frame.event, frame.file, frame.line)


def _common(a: Pair, b: Pair) -> int:
    predicted = b.predicted_changes
    return sum(name in predicted and predicted[name] == key for name, key in a.real_changes.items())
