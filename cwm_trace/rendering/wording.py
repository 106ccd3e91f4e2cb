"""The words of a trace or a comparison that every rendering shows: shortened values, the verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cwm_trace.records import UNCHANGED, Event, Slot, Trace

if TYPE_CHECKING:
    from cwm_trace.eval.comparison import Comparison
    from cwm_trace.eval.comparison.metrics import Rate

SHOWN_CHARS = 60
"""Characters of one value that are shown unless more are asked for."""
EVENT_WORDS = {
    Event.CALL: "call",
    Event.LINE: "",
    Event.RETURN: "return",
    Event.EXCEPTION: "raise",
    Event.END: "end",
}
"""What tables call the events; a line needs no word."""


def short_text(text: str, other: str = "", chars: int = SHOWN_CHARS) -> str:
    """`text`, printable, and of a long one the part where it first differs from another.

    >>> short_text("[1, 2, 3, 4, 5, 6]", "[1, 2, 3, 4, 7, 6]", chars=12)
    '…3, 4, 5, 6]'

    Args:
        text: of a value.
        other: what it is to be told from; empty: the beginning is shown.
        chars: shown at the most.
    """
    if len(text) <= chars:
        return printable(text)
    start = _common_length(text, other) - chars // 2
    if start <= 1:
        return printable(f"{text[: chars - 1]}…")
    start = min(start, len(text) - chars + 1)
    end = start + chars - 2
    return printable(f"…{text[start:]}" if end + 1 >= len(text) else f"…{text[start:end]}…")


def slot_text(slot: Slot, other: Slot | None = None, chars: int = SHOWN_CHARS) -> str:
    """The text of a slot as `short_text` shows it; `…` stands for what was not recorded as well."""
    shown = short_text(slot.text, "" if other is None else other.text, chars)
    return f"{shown}…" if slot.clipped and not shown.endswith("…") else shown


def _common_length(text: str, other: str) -> int:
    """How many characters two texts begin with in common."""
    low, high = 0, min(len(text), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if text[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def printable(text: str) -> str:
    """`text` without characters that would act on the terminal."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else "⏎" if char == "\n" else repr(char)[1:-1] for char in text)


def shown_slot(
    name: str,
    slot: Slot | None,
    other: Slot | None = None,
    *,
    changed: bool,
    wrong: bool = False,
    chars: int = SHOWN_CHARS,
) -> str:
    """A variable as tables show it: `*` marks a change, `✗` what is wrong, `-` what is not there.

    `other` is what it was before, or what it should be.
    """
    mark = "✗" if wrong else "*" if changed else ""
    if slot is None:
        return f"{mark if wrong else ''}-{name}"
    return f"{mark}{name}={'?' if slot.text == UNCHANGED else slot_text(slot, other, chars)}"


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
        lines.append(_no_divergence(comparison))
    else:
        name = f" of {divergence.name}" if divergence.name else ""
        both = divergence.real, divergence.predicted
        real, predicted = (
            "nothing" if text is None else short_text(text, other or "") for text, other in (both, both[::-1])
        )
        lines.append(
            f"first wrong    frame {divergence.index}, {divergence.cause}{name}:"
            f" really {real}, predicted {predicted}"
        )
    return lines


def _no_divergence(comparison: Comparison) -> str:
    """What it means that nothing is wrong: one of the two may end before the other."""
    real = sum(pair.real is not None for pair in comparison.pairs)
    predicted = sum(
        pair.predicted is not None and pair.predicted.event is not Event.END for pair in comparison.pairs
    )
    if predicted < real:
        how = comparison.predicted.outcome.value
        return f"no divergence, but only {predicted} of {real} frames are predicted ({how})"
    if predicted > real:
        how = comparison.real.outcome.value
        return f"no divergence, but only {real} of {predicted} predicted frames are real ones ({how})"
    return "no divergence: every predicted frame is right"


def _rate(rate: Rate) -> str:
    return f"{_number(rate.value)} ({rate.hits} of {rate.total})"


def _number(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.3f}"
