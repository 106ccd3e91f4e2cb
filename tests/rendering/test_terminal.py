from __future__ import annotations

import io
from dataclasses import replace

import pytest
from hypothesis import given
from rich.console import Console

from cwm_trace import trace_execution
from cwm_trace.eval.comparison import compare
from cwm_trace.records import Event, Frame, Guess, Outcome, Program, Run, Slot, SourceFile, Trace
from cwm_trace.rendering.frames import comparison_table, trace_table
from cwm_trace.rendering.tables import Table
from cwm_trace.rendering.terminal import print_tables
from tests.effort import examples
from tests.traces import traces

TEXT = "def f(a):\n    b = [a]\n    return b\n"
REAL = Trace(
    Program((SourceFile("p.py", TEXT),), "f", 1),
    (
        Frame(Event.CALL, 1, "def f(a):", changed={"a": Slot("'[red]'", "str")}),
        Frame(Event.LINE, 2, "    b = [a]"),
        Frame(Event.LINE, 3, "    return b", changed={"b": Slot("x" * 200)}),
        Frame(Event.RETURN, 3, "    return b", value=Slot("7")),
    ),
    Outcome.RETURNED,
    run=Run(python="3.11.7"),
)


def printed(table: Table) -> str:
    console = Console(file=io.StringIO(), width=160)
    print_tables([table], console)
    return str(console.file.getvalue())  # type: ignore[attr-defined]


def shown(trace: Trace, first: int = 0, last: int | None = None) -> str:
    return printed(trace_table(trace, first, last))


def compared(real: Trace, predicted: Trace) -> str:
    return printed(comparison_table(compare(real, predicted)))


def test_a_trace_is_a_row_for_each_frame() -> None:
    text = shown(REAL)
    assert "a='[red]'" in text  # markup of a program stays text
    assert "x" * 50 in text
    assert "x" * 61 not in text
    assert "→ 7" in text
    assert "4 frames of p.py, entry f: returned (Python 3.11.7)" in text
    assert "b = [a]" not in shown(REAL, 2)
    assert "return b" not in shown(REAL, 0, 2)


def rows(text: str) -> dict[str, str]:
    """The lines of a table by their number."""
    return {line.split()[0]: line for line in text.splitlines() if line.split() and line.split()[0].isdigit()}


LOOP = trace_execution(
    "def g(i):\n    return i\ndef f(n):\n    x = 'same'\n    for i in range(n):\n        g(i)\n"
    "    del i\n    return x\n",
    call="f(2)",
)


def test_changes_are_marked_and_nothing_is_repeated() -> None:
    text = shown(LOOP)
    assert text.count("x='same'") == 1
    assert "*x='same'" in text
    assert [name for name in ("*i=0", "*i=1", "-i") if name in text] == ["*i=0", "*i=1", "-i"]
    assert rows(text)["2"].rstrip().endswith("n=2")  # a call: its arguments, which nothing was before
    assert "*n" not in text


def test_a_part_begins_with_whole_states_and_full_has_all_of_them() -> None:
    line = next(row for row in rows(shown(LOOP, 5)).values() if "g(i)" in row)
    assert "n=2" in line
    assert "x='same'" in line
    text = printed(trace_table(LOOP, whole_states=True))
    assert text.count("x='same'") > 4
    assert text.count("*x='same'") == 1
    assert "-i" in text


def many(length: int, wrong: int | None = None) -> Trace:
    frames = [
        Frame(Event.LINE, 2, "    b = [a]", changed={"a": Slot(str(-7 if index == wrong else index))})
        for index in range(length)
    ]
    return replace(REAL, frames=(REAL.frames[0], *frames))


@pytest.mark.parametrize(
    ("wrong", "around", "first", "last"), [(500, 5, 496, 506), (500, 0, 501, 501), (2, 5, 0, 8)]
)
def test_a_long_comparison_shows_where_it_goes_wrong(wrong: int, around: int, first: int, last: int) -> None:
    comparison = compare(many(1000), replace(many(1000, wrong), guess=Guess(mode="free")))
    text = printed(comparison_table(comparison, around, more=": --all"))
    numbers = [int(number) for number in rows(text)]
    assert (numbers[0], numbers[-1], len(numbers)) == (first, last, last - first + 1)
    assert text.count("✗◀") == 1
    assert "✗a=-7" in text
    assert f"frames {first} to {last} of 1001 are shown: --all\n" in text


def test_a_long_comparison_without_fault_is_its_summary() -> None:
    text = compared(many(1000), replace(many(1000), guess=Guess(mode="free")))
    assert "b = [a]" not in text
    assert "no divergence" in text
    assert "none of 1001 frames is shown" in text
    assert len(rows(printed(comparison_table(compare(many(40), many(40)), None)))) == 41


def test_what_a_prediction_lacks_is_marked_without_colour() -> None:
    lacks = replace(REAL.frames[2], changed={"c": Slot("1")})
    text = compared(REAL, replace(REAL, frames=(*REAL.frames[:2], lacks), guess=Guess(mode="free", given=1)))
    assert "✗c=1" in text
    assert "✗-b" in text


def test_limits_and_warnings_are_said() -> None:
    text = shown(
        replace(REAL, warnings=("careful [b]",), run=replace(REAL.run, skipped=3), guess=Guess(mode="free"))
    )
    assert "3 calls deeper than None were stepped over" in text
    assert "warning: careful [b]" in text
    assert "predicted, mode free" in text


def test_a_right_prediction_has_no_divergence() -> None:
    text = compared(REAL, replace(REAL, guess=Guess(mode="free", given=1)))
    assert "(given)" in text
    assert "✗" not in text
    assert "frames exact   1.000 (3 of 3)" in text
    assert "no divergence" in text


def test_the_first_wrong_frame_is_marked_with_both_values() -> None:
    wrong = replace(REAL.frames[2], changed={"b": Slot("0")})
    text = compared(REAL, replace(REAL, frames=(*REAL.frames[:2], wrong), guess=Guess(mode="free", given=1)))
    assert text.count("✗◀") == 1
    assert "b=0" in text
    assert "(nothing)" in text
    assert "first wrong    frame 2, wrong value of b" in text
    assert "output         wrong" in text


@examples(0.25)
@given(traces(), traces())
def test_anything_can_be_shown(real: Trace, other: Trace) -> None:
    assert f"{len(real.frames)} frames" in shown(real)
    assert "frames exact" in compared(real, replace(other, program=real.program))
