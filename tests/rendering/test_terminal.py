from __future__ import annotations

import io
from dataclasses import replace

from hypothesis import given
from rich.console import Console

from cwm_trace.eval.comparison import compare
from cwm_trace.records import Event, Frame, Outcome, Slot, SourceFile, Trace
from cwm_trace.rendering.terminal import print_comparison, print_trace
from tests.effort import examples
from tests.traces import traces

TEXT = "def f(a):\n    b = [a]\n    return b\n"
REAL = Trace(
    (SourceFile("p.py", TEXT),),
    "f",
    1,
    (
        Frame(Event.CALL, 1, "def f(a):", changed={"a": Slot("'[red]'", "str")}),
        Frame(Event.LINE, 2, "    b = [a]"),
        Frame(Event.LINE, 3, "    return b", changed={"b": Slot("x" * 200)}),
        Frame(Event.RETURN, 3, "    return b", value=Slot("7")),
    ),
    Outcome.RETURNED,
    python="3.11.7",
)


def shown(trace: Trace, first: int = 0, last: int | None = None) -> str:
    console = Console(file=io.StringIO(), width=160)
    print_trace(trace, first, last, console)
    return str(console.file.getvalue())  # type: ignore[attr-defined]


def compared(real: Trace, predicted: Trace) -> str:
    console = Console(file=io.StringIO(), width=160)
    print_comparison(compare(real, predicted), console)
    return str(console.file.getvalue())  # type: ignore[attr-defined]


def test_a_trace_is_a_row_for_each_frame() -> None:
    text = shown(REAL)
    assert "a='[red]'" in text  # markup of a program stays text
    assert "x" * 50 in text
    assert "x" * 61 not in text
    assert "→ 7" in text
    assert "4 frames of p.py, entry f: returned (Python 3.11.7)" in text
    assert "b = [a]" not in shown(REAL, 2)
    assert "return b" not in shown(REAL, 0, 2)


def test_limits_and_warnings_are_said() -> None:
    text = shown(replace(REAL, skipped=3, warnings=("careful [b]",), mode="free"))
    assert "3 calls deeper than None were stepped over" in text
    assert "warning: careful [b]" in text
    assert "predicted, mode free" in text


def test_a_right_prediction_has_no_divergence() -> None:
    text = compared(REAL, replace(REAL, mode="free", given=1))
    assert "(given)" in text
    assert "✗" not in text
    assert "frames exact   1.000 (3 of 3)" in text
    assert "no divergence" in text


def test_the_first_wrong_frame_is_marked_with_both_values() -> None:
    wrong = replace(REAL.frames[2], changed={"b": Slot("0")})
    text = compared(REAL, replace(REAL, frames=(*REAL.frames[:2], wrong), mode="free", given=1))
    assert text.count("✗◀") == 1
    assert "b=0" in text
    assert "(nothing)" in text
    assert "first wrong    frame 2, wrong value of b" in text
    assert "output         wrong" in text


@examples(0.25)
@given(traces(), traces())
def test_anything_can_be_shown(real: Trace, other: Trace) -> None:
    assert f"{len(real.frames)} frames" in shown(real)
    assert "frames exact" in compared(real, replace(other, files=real.files))
