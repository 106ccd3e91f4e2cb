"""Traces and comparisons as tables in a terminal."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cwm_trace.records import Event, Frame, Slot, State, Trace
from cwm_trace.rendering.wording import (
    EVENT_WORDS,
    comparison_sentences,
    printable,
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


def print_trace(
    trace: Trace,
    first: int = 0,
    last: int | None = None,
    console: Console | None = None,
    *,
    whole_states: bool = False,
) -> None:
    """Print frames `first` to `last`: the line, and the variables that have changed before it runs.

    Where an activation is shown for the first time, all of its variables are; with `whole_states` always.
    """
    console = console or Console()
    table = _table("variables before the line runs")
    seen: set[int] = set()
    for index, state in states_between(trace.frames, first, last).items():
        frame = trace.frames[index]
        shown: Mapping[str, Slot | None] | None = state
        if state is not None:
            if frame.activation in seen and not whole_states:
                shown = {name: state.get(name) for name in frame.changed}
            else:
                shown = {**state, **{name: slot for name, slot in frame.changed.items() if slot is None}}
            seen.add(frame.activation)
        marked = () if frame.event is Event.CALL else frame.changed
        style = "dim" if index < trace.guess.given else ""
        table.add_row(*_place(index, frame), _content(frame, shown, marked), style=style)
    console.print(table)
    for line in trace_sentences(trace):
        console.print(line, highlight=False, markup=False)


def print_comparison(
    comparison: Comparison, console: Console | None = None, *, around: int | None = AROUND
) -> None:
    """Print real and predicted frames side by side, with the variables that changed or are wrong.

    Args:
        comparison: of two traces.
        console: to print on.
        around: frames before and after the first wrong one; None: all frames. A short comparison is always
            printed whole.
    """
    console = console or Console()
    first = comparison.first_divergence
    start, end = shown_range(comparison, around)
    table = _table("really")
    table.add_column("predicted", ratio=3, overflow="fold")
    table.add_column("", width=2)
    real_states = states_between(comparison.real.frames, start, end)
    predicted_states = states_between(comparison.predicted.frames, start, end)
    for pair in comparison.pairs[start:end]:
        frame = pair.real or pair.predicted
        if frame is None:
            continue
        is_first = first is not None and first.index == pair.index
        mark = Text("") if pair.given else Text("✓", "green") if pair.exact else Text("✗", "red")
        if is_first:
            mark = Text("✗◀", "bold red")
        table.add_row(
            *_place(pair.index, frame),
            Text("-") if pair.real is None else _changes(pair.real, real_states[pair.index], pair),
            _predicted(pair, predicted_states),
            mark,
            style="dim" if pair.given else "on grey15" if is_first else "",
        )
    if end > start:
        console.print(table)
    sentences = comparison_sentences(comparison)
    total = len(comparison.pairs)
    if end - start < total:
        what = f"frames {start} to {end - 1} of {total} are shown" if end > start else f"{total} frames"
        sentences.append(f"{what}: --around N shows more of them, --all every one")
    for line in sentences:
        console.print(line, highlight=False, markup=False)


def shown_range(comparison: Comparison, around: int | None) -> tuple[int, int]:
    """The frames to show, from the first to before the last."""
    total, first = len(comparison.pairs), comparison.first_divergence
    if around is None or total <= _SHORT:
        return 0, total
    if first is None:
        return 0, 0
    return max(0, first.index - around), min(total, first.index + around + 1)


def _table(state_title: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", expand=True)
    table.add_column("#", justify="right", style="dim", no_wrap=True)
    table.add_column("line", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True, style="cyan")
    table.add_column("source", ratio=3, overflow="fold")
    table.add_column(state_title, ratio=3, overflow="fold")
    return table


def _place(index: int, frame: Frame) -> tuple[str, str, str, Text]:
    return str(index), str(frame.line or ""), EVENT_WORDS[frame.event], Text(printable(frame.source.rstrip()))


def _content(
    frame: Frame,
    state: Mapping[str, Slot | None] | None,
    changes: Collection[str],
    wrong: Collection[str] = (),
    *,
    marks_wrong: bool = False,
) -> Text:
    """The variables of a CALL or LINE, the value of a RETURN or EXCEPTION."""
    if state is None:
        text = "" if frame.value is None else f"→ {short_text(frame.value.text)}"
        return Text(text, "bold")
    parts = []
    for name, slot in state.items():
        style = "bold red" if name in wrong else "bold yellow" if name in changes else "dim"
        is_wrong = marks_wrong and name in wrong
        shown = shown_slot(name, slot, changed=name in changes, wrong=is_wrong)
        parts.append(Text(printable(shown), style))
    return Text("  ").join(parts)


def _changes(frame: Frame, state: State | None, pair: Pair, *, predicted: bool = False) -> Text:
    """Like `_content`, without the variables that neither changed nor are wrong."""
    names = {*pair.real_changes, *pair.predicted_changes, *pair.wrong}
    shown: dict[str, Slot | None] | None = None
    if state is not None:
        shown = {name: slot for name, slot in state.items() if name in names}
        if predicted:
            shown.update((name, None) for name in sorted(pair.wrong) if name not in state)
    marked = () if frame.event is Event.CALL else frame.changed
    return _content(frame, shown, marked, pair.wrong, marks_wrong=predicted)


def _predicted(pair: Pair, states: Mapping[int, State | None]) -> Text:
    if pair.given:
        return Text("(given)")
    frame = pair.predicted
    if frame is None:
        return Text("(nothing)", "red")
    content = _changes(frame, states[pair.index], pair, predicted=True)
    if pair.real is not None and frame.event is pair.real.event and frame.source == pair.real.source:
        return content
    where = f"{EVENT_WORDS[frame.event]} {frame.line or ''}".strip()
    return Text.assemble((f"[{where}: {short_text(frame.source.strip())}] ", "red"), content)
