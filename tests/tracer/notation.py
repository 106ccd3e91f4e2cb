"""Recorded traces as compact text: one line per frame, only what changed.

    0 line 3 | x=1 y='a' | y = 2
    ^ activation, event, line | changed variables | source

`-x` is a variable that is no longer bound, `-> 5` what is returned or yielded, `-> raised` the return by
which an exception leaves the activation, `! ValueError(1)` an exception. Frames are indented by depth;
a line number of another file than the entry's has the file's number before it (`2:7`). The line of a
CALL on line 0 or 1 is left out: a module has 1 in CPython 3.10 and 0 later, and nothing else would differ.
"""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Iterable, Iterator

from cwm_trace import Trace, trace_execution
from cwm_trace.records import Event, Frame, Slot
from tests.tracer.both import RECORDERS, use


def show_trace(trace: Trace) -> str:
    """The whole trace, with a header that says how it ended."""
    head = [f"outcome {trace.outcome.value}, exit code {trace.run.exit_code}"]
    head += [f"file {number} {file.name}" for number, file in enumerate(trace.files) if number]
    head += [f"warning {warning}" for warning in trace.warnings]
    head += [f"> {line}" for line in (trace.run.output or "").splitlines()]
    return "\n".join([*head, "", *show_frames(trace.frames)]) + "\n"


def show_frames(frames: Iterable[Frame]) -> Iterator[str]:
    """A line for each frame."""
    for frame in frames:
        where = f"{frame.file}:{frame.line}" if frame.file else str(frame.line)
        thread = f"thread {frame.thread} " if frame.thread else ""
        parts = (
            f"{thread}{frame.activation} {frame.event.value} {where}",
            show_data(frame),
            frame.source.strip(),
        )
        if frame.event is Event.CALL and frame.line <= 1:
            parts = f"{thread}{frame.activation} call module", "", ""
        yield "  " * frame.depth + " | ".join(parts).replace(" |  |", " | |").rstrip(" |")


def show_data(frame: Frame) -> str:
    """What the frame says about values."""
    if frame.event is Event.RETURN:
        return "-> raised" if frame.value is None else f"-> {_text(frame.value)}"
    if frame.event is Event.EXCEPTION:
        return f"! {_text(frame.value or Slot('?'))}"
    return " ".join(_change(name, slot) for name, slot in frame.changed.items())


def check(program: str, expected: str | dict[int, str], *, recorder: str | None = None) -> Trace:
    """Record a program, by every recorder or by one, and compare its frames with `expected`; the last trace.

    If the program defines a function `f` without parameters, the trace of `f()` is compared, otherwise that
    of the program. `expected` has an item for each frame, separated by blanks or line ends:

        c1 l2 l3{x=1} e3!ValueError('a') r3^ r4=5

    that is event and line; then what changed, is raised or is returned (`^`: an exception leaves). An item
    of another activation than the first starts with its number: `1.c7`. Blanks inside of values are left
    out. A dict has the text for the minor versions from its keys on.
    """
    source = textwrap.dedent(program).lstrip("\n")
    if isinstance(expected, dict):
        expected = expected[max(minor for minor in expected if minor <= sys.version_info.minor)]
    for one in RECORDERS if recorder is None else [recorder]:
        with use(one):
            trace = trace_of(source)
        items = show_items(trace, first=0 if trace.entry == "<module>" else 1)
        assert items == expected.split(), "\n".join([one, " ".join(items), *show_frames(trace.frames)])
    return trace


def trace_of(source: str) -> Trace:
    """The trace of `f()` in an argument-less `main`, or of the program if it has no such `f`."""
    has_function = re.search(r"^(async )?def f\(\):", source, re.MULTILINE)
    return trace_execution(source, call="f()" if has_function else None, capture_output=True)


def show_items(trace: Trace, first: int) -> list[str]:
    """The compact items of a trace from that activation on."""
    return [_item(frame, first) for frame in trace.frames if frame.activation >= first]


def _item(frame: Frame, first: int) -> str:
    number = "" if frame.activation == first else f"{frame.activation - first}."
    item = f"{number}{frame.event.value[0]}{frame.line}"
    if frame.event is Event.RETURN:
        item += "^" if frame.value is None else f"={frame.value.text}"
    elif frame.event is Event.EXCEPTION:
        item += show_data(frame).replace("! ", "!", 1)
    elif frame.changed:
        item += "{" + ",".join(_change(name, slot) for name, slot in frame.changed.items()) + "}"
    return re.sub(r"\s", "", item)


def _change(name: str, slot: Slot | None) -> str:
    return f"-{name}" if slot is None else f"{name}={_text(slot)}"


def _text(slot: Slot) -> str:
    return slot.text.replace("\n", "\\n") + (f"[+{slot.clipped}]" if slot.clipped else "")
