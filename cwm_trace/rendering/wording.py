"""The words of a trace or a comparison that every rendering shows: shortened values, the verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cwm_trace.records import UNCHANGED, Event, Slot, Trace

if TYPE_CHECKING:
    from cwm_trace.eval.comparison import Comparison
    from cwm_trace.eval.comparison.metrics import Rate

_SHOWN_CHARS = 60  # of one value
EVENT_WORDS = {
    Event.CALL: "call",
    Event.LINE: "",
    Event.RETURN: "return",
    Event.EXCEPTION: "raise",
    Event.END: "end",
}
"""What tables call the events; a line needs no word."""


def short_text(text: str) -> str:
    """`text`, printable and with its end left out if it is long."""
    return printable(text if len(text) <= _SHOWN_CHARS else f"{text[: _SHOWN_CHARS - 1]}…")


def printable(text: str) -> str:
    """`text` without characters that would act on the terminal."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else "⏎" if char == "\n" else repr(char)[1:-1] for char in text)


def shown_slot(name: str, slot: Slot | None, *, changed: bool, wrong: bool = False) -> str:
    """A variable as tables show it: `*` marks a change, `✗` what is wrong, `-` what is not there."""
    mark = "✗" if wrong else "*" if changed else ""
    if slot is None:
        return f"{mark if wrong else ''}-{name}"
    return f"{mark}{name}={'?' if slot.text == UNCHANGED else short_text(slot.text)}"


def trace_sentences(trace: Trace) -> list[str]:
    """What a trace is, and what a reader must know about it."""
    what = f"{len(trace.frames)} frames of {trace.files[0].name if trace.files else '?'}"
    who = f"predicted, mode {trace.guess.mode}" if trace.guess.mode else f"Python {trace.run.python or '?'}"
    lines = [f"{what}, entry {trace.entry}: {trace.outcome.value} ({who})"]
    if trace.run.skipped:
        lines.append(f"{trace.run.skipped} calls deeper than {trace.run.limits.max_depth} were stepped over")
    if trace.capture.expand_objects:
        lines.append(f"objects are shown by their state, {trace.capture.expand_objects} deep")
    if trace.capture.redacted:
        lines.append(f"redacted: {', '.join(trace.capture.redacted)}")
    lines += [f"warning: {warning}" for warning in trace.warnings]
    lines += [
        f"frame {problem.frame}: {problem.message} ({problem.grade})" for problem in trace.guess.problems
    ]
    return lines


def range_sentence(first: int, count: int, total: int) -> str:
    """Which of all frames are shown."""
    if not count:
        return f"none of {total} frames is shown"
    return f"frames {first} to {first + count - 1} of {total} are shown"


def comparison_sentences(comparison: Comparison) -> list[str]:
    """How well a prediction matches, and where it goes wrong first."""
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
            short_text(t) if t is not None else "nothing" for t in (divergence.real, divergence.predicted)
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
