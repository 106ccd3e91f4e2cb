"""Traces and comparisons as tables: a row for each frame."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from cwm_trace.records import Event, Frame, Slot, State, Trace
from cwm_trace.rendering.tables import Cell, Column, Kind, Mark, Piece, Row, Table
from cwm_trace.rendering.wording import (
    EVENT_WORDS,
    comparison_sentences,
    printable,
    range_sentence,
    short_text,
    shown_slot,
    trace_sentences,
)
from cwm_trace.states import states_between

if TYPE_CHECKING:
    from cwm_trace.eval.comparison import Comparison
    from cwm_trace.eval.comparison.alignment import Pair

AROUND = 5
"""Frames before and after the first wrong one that a comparison shows."""
_SHORT = 30  # frames of a comparison that is shown whole
_PLACE = (
    Column("#", Kind.INDEX),
    Column("line", Kind.NUMBER),
    Column("", Kind.WORD),
    Column("source", Kind.CODE),
)


def trace_table(
    trace: Trace, first: int = 0, last: int | None = None, *, whole_states: bool = False, more: str = ""
) -> Table:
    """A trace: of each frame the line, and the variables that have changed before it runs.

    Where an activation is shown for the first time, all of its variables are.

    Args:
        trace: recorded or predicted.
        first, last: frames to show.
        whole_states: show all variables of every frame.
        more: how to see the frames that are not shown.
    """
    rows = []
    seen: set[int] = set()
    states = states_between(trace.frames, first, last)
    for index, state in states.items():
        frame = trace.frames[index]
        shown: Mapping[str, Slot | None] | None = state
        if state is not None:
            if frame.activation in seen and not whole_states:
                shown = {name: state.get(name) for name in frame.changed}
            else:
                shown = {**state, **{name: slot for name, slot in frame.changed.items() if slot is None}}
            seen.add(frame.activation)
        mark = Mark.GIVEN if index < trace.guess.given else Mark.PLAIN
        rows.append(Row([*_place(index, frame), frame_content(frame, shown)], mark))
    notes = trace_sentences(trace)
    if len(rows) < len(trace.frames):
        notes.append(range_sentence(min(states, default=0), len(rows), len(trace.frames)) + more)
    return Table("", [*_PLACE, Column("variables before the line runs", Kind.CODE)], rows, notes)


def comparison_table(comparison: Comparison, around: int | None = AROUND, *, more: str = "") -> Table:
    """Real and predicted frames side by side, with the variables that changed or are wrong.

    Args:
        comparison: of two traces.
        around: frames before and after the first wrong one; None: all frames. A short comparison is always
            shown whole.
        more: how to see the frames that are not shown.
    """
    first = comparison.first_divergence
    start, end = _shown_range(comparison, around)
    real_states = states_between(comparison.real.frames, start, end)
    predicted_states = states_between(comparison.predicted.frames, start, end)
    rows = []
    for pair in comparison.pairs[start:end]:
        frame = pair.real or pair.predicted
        if frame is None:
            continue
        is_first = first is not None and first.index == pair.index
        cells: list[Cell] = [
            *_place(pair.index, frame),
            "-" if pair.real is None else _changes(pair.real, real_states[pair.index], pair),
            _predicted(pair, predicted_states),
            _verdict(pair, is_first=is_first),
        ]
        rows.append(Row(cells, Mark.GIVEN if pair.given else Mark.FIRST if is_first else Mark.PLAIN))
    notes = comparison_sentences(comparison)
    if end - start < len(comparison.pairs):
        notes.append(range_sentence(start, end - start, len(comparison.pairs)) + more)
    columns = [*_PLACE, Column("really", Kind.CODE), Column("predicted", Kind.CODE), Column("", Kind.MARK)]
    return Table("", columns, rows, notes)


def _shown_range(comparison: Comparison, around: int | None) -> tuple[int, int]:
    """The frames to show, from the first to before the last."""
    total, first = len(comparison.pairs), comparison.first_divergence
    if around is None or total <= _SHORT:
        return 0, total
    if first is None:
        return 0, 0
    return max(0, first.index - around), min(total, first.index + around + 1)


def frame_content(
    frame: Frame,
    state: Mapping[str, Slot | None] | None,
    wrong: Collection[str] = (),
    *,
    marks_wrong: bool = False,
) -> list[Piece]:
    """The variables of a CALL or LINE, the value of a RETURN or EXCEPTION.

    Args:
        frame: to be shown.
        state: variables to show, with None for those that are gone; None: the frame shows none.
        wrong: names of those that are wrong.
        marks_wrong: put `✗` before these.
    """
    if state is None:
        return [] if frame.value is None else [Piece(f"→ {short_text(frame.value.text)}", Mark.VALUE)]
    parts: list[Piece] = []
    for name, slot in state.items():
        changed = name in frame.changed and frame.event is not Event.CALL
        mark = Mark.WRONG if name in wrong else Mark.CHANGED if changed else Mark.SAME
        shown = shown_slot(name, slot, changed=changed, wrong=marks_wrong and name in wrong)
        parts += [Piece("  ")] if parts else []
        parts.append(Piece(printable(shown), mark))
    return parts


def _place(index: int, frame: Frame) -> tuple[str, str, str, str]:
    return str(index), str(frame.line or ""), EVENT_WORDS[frame.event], printable(frame.source.rstrip())


def _verdict(pair: Pair, *, is_first: bool) -> list[Piece]:
    if is_first:
        return [Piece("✗◀", Mark.WRONG)]
    if pair.given:
        return []
    return [Piece("✓", Mark.RIGHT) if pair.exact else Piece("✗", Mark.WRONG)]


def _changes(frame: Frame, state: State | None, pair: Pair, *, predicted: bool = False) -> list[Piece]:
    """Like `frame_content`, without the variables that neither changed nor are wrong."""
    names = {*pair.real_changes, *pair.predicted_changes, *pair.wrong}
    shown: dict[str, Slot | None] | None = None
    if state is not None:
        shown = {name: slot for name, slot in state.items() if name in names}
        if predicted:
            shown.update((name, None) for name in sorted(pair.wrong) if name not in state)
    return frame_content(frame, shown, pair.wrong, marks_wrong=predicted)


def _predicted(pair: Pair, states: Mapping[int, State | None]) -> Cell:
    if pair.given:
        return "(given)"
    frame = pair.predicted
    if frame is None:
        return [Piece("(nothing)", Mark.WRONG)]
    content = _changes(frame, states[pair.index], pair, predicted=True)
    if pair.real is not None and frame.event is pair.real.event and frame.source == pair.real.source:
        return content
    where = f"{EVENT_WORDS[frame.event]} {frame.line or ''}".strip()
    return [Piece(f"[{where}: {short_text(frame.source.strip())}] ", Mark.WRONG), *content]
