"""Traces and comparisons as tables: a row for each frame."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from cwm_trace.records import Event, Frame, Slot, State, Trace
from cwm_trace.rendering.tables import Cell, Column, Kind, Mark, Piece, Row, Table
from cwm_trace.rendering.wording import (
    EVENT_WORDS,
    SHOWN_CHARS,
    comparison_sentences,
    printable,
    range_sentence,
    short_text,
    shown_slot,
    slot_text,
    trace_sentences,
)
from cwm_trace.states import states_between

if TYPE_CHECKING:
    from cwm_trace.eval.comparison import Comparison
    from cwm_trace.eval.comparison.alignment import Pair

_AROUND = 5
"""Frames before and after the first wrong one that a comparison shows."""
_SHORT = 30  # frames of a comparison that is shown whole
_NO_SLOTS: Mapping[str, Slot | None] = {}


def trace_table(
    trace: Trace,
    first: int = 0,
    last: int | None = None,
    *,
    whole_states: bool = False,
    chars: int = SHOWN_CHARS,
    more: str = "",
) -> Table:
    """A trace: of each frame the line, and the variables that have changed before it runs.

    Where an activation is shown for the first time, all of its variables are. Of a long value that has
    changed the part is shown where it did.

    Args:
        trace: recorded or predicted.
        first, last: frames to show.
        whole_states: show all variables of every frame.
        chars: characters of one value that are shown.
        more: how to see the frames that are not shown.
    """
    rows = []
    seen: dict[int, State] = {}
    places = _Places([trace])
    states = states_between(trace.frames, first, last)
    for index, state in states.items():
        frame = trace.frames[index]
        shown: Mapping[str, Slot | None] | None = state
        before = seen.get(frame.activation)
        if state is not None:
            if before is not None and not whole_states:
                shown = {name: state.get(name) for name in frame.changed}
            else:
                shown = {**state, **{name: slot for name, slot in frame.changed.items() if slot is None}}
            seen[frame.activation] = state
        mark = Mark.GIVEN if index < trace.guess.given else Mark.PLAIN
        content = frame_content(frame, shown, others=before or _NO_SLOTS, chars=chars)
        rows.append(Row([*places.cells(index, frame), content], mark))
    notes = trace_sentences(trace)
    if len(rows) < len(trace.frames):
        notes.append(range_sentence(min(states, default=0), len(rows), len(trace.frames)) + more)
    columns = [*places.columns, Column("variables before the line runs", Kind.CODE)]
    return Table("", columns, rows, notes)


def comparison_table(
    comparison: Comparison, around: int | None = _AROUND, *, chars: int = SHOWN_CHARS, more: str = ""
) -> Table:
    """Real and predicted frames side by side, with the variables that changed or are wrong.

    Of a long value that is wrong, both sides show the part where they part.

    Args:
        comparison: of two traces.
        around: frames before and after the first wrong one; None: all frames. A short comparison is always
            shown whole.
        chars: characters of one value that are shown.
        more: how to see the frames that are not shown.
    """
    first = comparison.first_divergence
    start, end = _shown_range(comparison, around)
    real_states = states_between(comparison.real.frames, start, end)
    predicted_states = states_between(comparison.predicted.frames, start, end)
    rows = []
    places = _Places([comparison.real, comparison.predicted])
    real_changes, predicted_changes = (
        _Changes(chars, marks_wrong=is_predicted) for is_predicted in (False, True)
    )
    for pair in comparison.pairs[start:end]:
        real, predicted = pair.real, pair.predicted
        frame = real or predicted
        if frame is None:
            continue
        is_first = first is not None and first.index == pair.index
        real_state, predicted_state = real_states.get(pair.index), predicted_states.get(pair.index)
        cells: list[Cell] = [
            *places.cells(pair.index, frame),
            "-" if real is None else real_changes.of(pair, real, real_state, predicted, predicted_state),
            _predicted(pair, predicted_changes, real_state, predicted_state),
            _verdict(pair, is_first=is_first),
        ]
        rows.append(Row(cells, Mark.GIVEN if pair.given else Mark.FIRST if is_first else Mark.PLAIN))
    notes = comparison_sentences(comparison)
    if end - start < len(comparison.pairs):
        notes.append(range_sentence(start, end - start, len(comparison.pairs)) + more)
    sides = Column("really", Kind.CODE), Column("predicted", Kind.CODE)
    return Table("", [*places.columns, *sides, Column("", Kind.MARK)], rows, notes)


def _shown_range(comparison: Comparison, around: int | None) -> tuple[int, int]:
    """The frames to show, from the first to before the last."""
    total, first = len(comparison.pairs), comparison.first_divergence
    if around is None or total <= _SHORT:
        return 0, total
    if first is None:
        return 0, 0
    return max(0, first.index - around), min(total, first.index + around + 1)


class _Places:
    """The columns that say where a frame is, and its cells in them.

    Where frames of several files are, or of several threads, those are told as well.
    """

    def __init__(self, traces: Sequence[Trace]) -> None:
        self._shows_threads = any(frame.thread for trace in traces for frame in trace.frames)
        self._files = _short_names([file.name for file in traces[0].files])
        self._shows_files = any(frame.file for trace in traces for frame in trace.frames)
        self.columns = [
            Column("#", Kind.INDEX),
            *([Column("thread", Kind.NUMBER)] if self._shows_threads else []),
            *([Column("file", Kind.TEXT)] if self._shows_files else []),
            Column("line", Kind.NUMBER),
            Column("", Kind.WORD),
            Column("source", Kind.CODE),
        ]

    def cells(self, index: int, frame: Frame) -> list[Cell]:
        """Those of the frame at an index."""
        file = self._files[frame.file] if frame.file < len(self._files) else "?"
        return [
            str(index),
            *([str(frame.thread)] if self._shows_threads else []),
            *([printable(file)] if self._shows_files else []),
            str(frame.line or ""),
            EVENT_WORDS[frame.event],
            printable(frame.source.rstrip()),
        ]


def _short_names(names: Sequence[str]) -> list[str]:
    """Names of files with as many of the folders around them as tell them apart."""
    parts = [name.split(os.sep) for name in names]
    for count in range(1, max(map(len, parts), default=0)):
        tails = [os.sep.join(part[-count:]) for part in parts]
        if len(set(tails)) == len(set(names)):
            return tails
    return list(names)


def frame_content(
    frame: Frame,
    state: Mapping[str, Slot | None] | None,
    wrong: Collection[str] = (),
    *,
    marks_wrong: bool = False,
    others: Mapping[str, Slot | None] = _NO_SLOTS,
    other_value: Slot | None = None,
    chars: int = SHOWN_CHARS,
) -> list[Piece]:
    """The variables of a CALL or LINE, the value of a RETURN or EXCEPTION.

    Args:
        frame: to be shown.
        state: variables to show, with None for those that are gone; None: the frame shows none.
        wrong: names of those that are wrong.
        marks_wrong: put `✗` before these.
        others, other_value: what these were before, or should be: of a long one the part is shown where it
            differs.
        chars: characters of one value that are shown.
    """
    if state is None:
        return (
            []
            if frame.value is None
            else [Piece(f"→ {slot_text(frame.value, other_value, chars)}", Mark.VALUE)]
        )
    parts: list[Piece] = []
    for name, slot in state.items():
        changed = name in frame.changed and frame.event is not Event.CALL
        mark = Mark.WRONG if name in wrong else Mark.CHANGED if changed else Mark.SAME
        is_wrong = marks_wrong and name in wrong
        shown = shown_slot(name, slot, others.get(name), changed=changed, wrong=is_wrong, chars=chars)
        parts += [Piece("  ")] if parts else []
        parts.append(Piece(printable(shown), mark))
    return parts


def _verdict(pair: Pair, *, is_first: bool) -> list[Piece]:
    if is_first:
        return [Piece("✗◀", Mark.WRONG)]
    if pair.given:
        return []
    return [Piece("✓", Mark.RIGHT) if pair.exact else Piece("✗", Mark.WRONG)]


class _Changes:
    """One side of a comparison: like `frame_content`, without what neither changed nor is wrong.

    Args:
        chars: characters of one value that are shown.
        marks_wrong: this is the predicted side.
    """

    def __init__(self, chars: int, *, marks_wrong: bool) -> None:
        self._chars = chars
        self._marks_wrong = marks_wrong
        self._before: dict[int, State] = {}

    def of(
        self, pair: Pair, frame: Frame, state: State | None, other: Frame | None, other_state: State | None
    ) -> list[Piece]:
        """What a frame shows beside the other side's."""
        names = {*pair.real_changes, *pair.predicted_changes, *pair.wrong}
        shown: dict[str, Slot | None] | None = None
        others: dict[str, Slot] = {}
        if state is not None:
            shown = {name: slot for name, slot in state.items() if name in names}
            if self._marks_wrong:
                shown.update((name, None) for name in sorted(pair.wrong) if name not in state)
            others.update(self._before.get(frame.activation, {}))
            others.update((name, slot) for name, slot in (other_state or {}).items() if name in pair.wrong)
            self._before[frame.activation] = state
        return frame_content(
            frame,
            shown,
            pair.wrong,
            marks_wrong=self._marks_wrong,
            others=others,
            other_value=None if other is None else other.value,
            chars=self._chars,
        )


def _predicted(pair: Pair, changes: _Changes, real_state: State | None, state: State | None) -> Cell:
    """The cell of the predicted side; where the frame is, if that is not where the real one is."""
    frame, real = pair.predicted, pair.real
    if pair.given:
        return "(given)"
    if frame is None:
        return [Piece("(nothing)", Mark.WRONG)]
    content = changes.of(pair, frame, state, real, real_state)
    if real is not None and frame.event is real.event and frame.source == real.source:
        return content
    where = f"{EVENT_WORDS[frame.event]} {frame.line or ''}".strip()
    return [Piece(f"[{where}: {short_text(frame.source.strip())}] ", Mark.WRONG), *content]
