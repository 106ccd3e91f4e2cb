"""Traces and comparisons as tables in a terminal."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cwm_trace.records import UNCHANGED, Event, Frame, State, Trace
from cwm_trace.states import resolve_states

if TYPE_CHECKING:
    from cwm_trace.eval.alignment import Pair
    from cwm_trace.eval.comparison import Comparison
    from cwm_trace.eval.metrics import Rate

_SHOWN_CHARS = 60  # of one value
_EVENTS = {
    Event.CALL: "call",
    Event.LINE: "",
    Event.RETURN: "return",
    Event.EXCEPTION: "raise",
    Event.END: "end",
}


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
    for line in _summary(trace):
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
    for line in _verdict(comparison):
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
    return str(index), str(frame.line or ""), _EVENTS[frame.event], Text(_printable(frame.source.rstrip()))


def _content(
    frame: Frame, state: State | None, changes: Collection[str], wrong: Collection[str] = ()
) -> Text:
    """The variables of a CALL or LINE, the value of a RETURN or EXCEPTION."""
    if state is None:
        text = "" if frame.value is None else f"→ {_short(frame.value.text)}"
        return Text(text, "bold")
    parts = []
    for name, slot in state.items():
        value = "?" if slot.text == UNCHANGED else slot.text
        style = "bold red" if name in wrong else "bold yellow" if name in changes else "dim"
        parts.append(Text(f"{name}={_short(value)}", style))
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
    where = f"{_EVENTS[frame.event]} {frame.line or ''}".strip()
    return Text.assemble((f"[{where}: {_short(frame.source.strip())}] ", "red"), content)


def _short(text: str) -> str:
    return _printable(text if len(text) <= _SHOWN_CHARS else f"{text[: _SHOWN_CHARS - 1]}…")


def _printable(text: str) -> str:
    """`text` without characters that would act on the terminal."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else "⏎" if char == "\n" else repr(char)[1:-1] for char in text)


def _summary(trace: Trace) -> list[str]:
    what = f"{len(trace.frames)} frames of {trace.files[0].name if trace.files else '?'}"
    who = f"predicted, mode {trace.mode}" if trace.mode else f"Python {trace.python or '?'}"
    lines = [f"{what}, entry {trace.entry}: {trace.outcome.value} ({who})"]
    if trace.skipped:
        lines.append(f"{trace.skipped} calls deeper than {trace.limits.max_depth} were stepped over")
    lines += [f"warning: {warning}" for warning in trace.warnings]
    lines += [f"frame {problem.frame}: {problem.message} ({problem.grade})" for problem in trace.problems]
    return lines


def _verdict(comparison: Comparison) -> list[str]:
    lines = [
        f"frames exact   {_rate(comparison.frame_exact)}",
        f"states exact   {_rate(comparison.state_exact)}",
        f"changed slots  F1 {_number(comparison.changed_slots.f1)}"
        f" (precision {_number(comparison.changed_slots.precision)},"
        f" recall {_number(comparison.changed_slots.recall)})",
    ]
    if comparison.surplus:
        lines.append(f"{comparison.surplus} predicted frames beyond the real end")
    if comparison.output is not None:
        lines.append(f"output         {'right' if comparison.output else 'wrong'}")
    divergence = comparison.first_divergence
    if divergence is None:
        lines.append("no divergence: every predicted frame is right")
    else:
        name = f" of {divergence.name}" if divergence.name else ""
        real, predicted = (
            _short(t) if t is not None else "nothing" for t in (divergence.real, divergence.predicted)
        )
        lines.append(
            f"first wrong    frame {divergence.index}, {divergence.cause}{name}:"
            f" really {real}, predicted {predicted}"
        )
    return lines


def _rate(rate: Rate) -> str:
    return f"{_number(rate.value)} ({rate.hits} of {rate.total})"


def _number(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.3f}"
