"""Traces and comparisons as tables in a terminal."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cwm_trace.records import UNCHANGED, Frame, State, Trace
from cwm_trace.rendering.wording import (
    EVENT_WORDS,
    comparison_sentences,
    printable,
    short_text,
    trace_sentences,
)
from cwm_trace.states import resolve_states

if TYPE_CHECKING:
    from cwm_trace.eval.alignment import Pair
    from cwm_trace.eval.comparison import Comparison


def print_trace(
    trace: Trace, first: int = 0, last: int | None = None, console: Console | None = None
) -> None:
    """Print frames `first` to `last`: the line, and the variables before it runs."""
    console = console or Console()
    states = resolve_states(trace.frames)
    table = _table("variables before the line runs")
    for index in range(len(trace.frames))[first:last]:
        frame, state = trace.frames[index], states[index]
        style = "dim" if index < trace.given else ""
        table.add_row(*_place(index, frame), _content(frame, state, frame.changed), style=style)
    console.print(table)
    for line in trace_sentences(trace):
        console.print(line, highlight=False, markup=False)


def print_comparison(comparison: Comparison, console: Console | None = None) -> None:
    """Print real and predicted frames side by side, with the variables that changed or are wrong."""
    console = console or Console()
    table = _table("really")
    table.add_column("predicted", ratio=3, overflow="fold")
    table.add_column("", width=2)
    first = comparison.first_divergence
    real_states = resolve_states(comparison.real.frames)
    predicted_states = resolve_states(comparison.predicted.frames)
    for pair in comparison.pairs:
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
    console.print(table)
    for line in comparison_sentences(comparison):
        console.print(line, highlight=False, markup=False)


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
    frame: Frame, state: State | None, changes: Collection[str], wrong: Collection[str] = ()
) -> Text:
    """The variables of a CALL or LINE, the value of a RETURN or EXCEPTION."""
    if state is None:
        text = "" if frame.value is None else f"→ {short_text(frame.value.text)}"
        return Text(text, "bold")
    parts = []
    for name, slot in state.items():
        value = "?" if slot.text == UNCHANGED else slot.text
        style = "bold red" if name in wrong else "bold yellow" if name in changes else "dim"
        parts.append(Text(f"{name}={short_text(value)}", style))
    return Text("  ").join(parts)


def _changes(frame: Frame, state: State | None, pair: Pair) -> Text:
    """Like `_content`, without the variables that neither changed nor are wrong."""
    names = {*pair.real_changes, *pair.predicted_changes, *pair.wrong}
    shown = None if state is None else {name: slot for name, slot in state.items() if name in names}
    return _content(frame, shown, names, pair.wrong)


def _predicted(pair: Pair, states: Sequence[State | None]) -> Text:
    if pair.given:
        return Text("(given)")
    frame = pair.predicted
    if frame is None:
        return Text("(nothing)", "red")
    content = _changes(frame, states[pair.index], pair)
    if pair.real is not None and frame.event is pair.real.event and frame.source == pair.real.source:
        return content
    where = f"{EVENT_WORDS[frame.event]} {frame.line or ''}".strip()
    return Text.assemble((f"[{where}: {short_text(frame.source.strip())}] ", "red"), content)
