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


def printed(table: Table, width: int = 160) -> str:
    console = Console(file=io.StringIO(), width=width)
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


def long_list(last: int, length: int = 300) -> Slot:
    return Slot(str([*range(1000, 1000 + length), last, *range(2000, 2000 + length)]))


def changing(*slots: Slot) -> Trace:
    frames = (Frame(Event.LINE, 2, "    b = [a]", changed={"a": slot}) for slot in slots)
    return replace(REAL, frames=(REAL.frames[0], *frames))


def test_of_a_long_value_the_part_is_shown_that_has_changed() -> None:
    text = shown(changing(long_list(-1), long_list(-2)))
    assert "*a=[1000, 1001," in text
    assert "1298, 1299, -2, 2000, 2001," in text
    assert "*a=…" in text
    assert "-1" not in text


def test_of_a_long_wrong_value_both_sides_show_where_they_part() -> None:
    text = compared(changing(long_list(-1)), replace(changing(long_list(-7)), guess=Guess(mode="free")))
    row = rows(text)["1"]
    assert ", 1299, -1, 2000," in row
    assert ", 1299, -7, 2000," in row
    sentence = next(line for line in text.splitlines() if line.startswith("first wrong"))
    assert "1299, -1, 2000" in sentence
    assert "1299, -7, 2000" in sentence


def test_as_much_of_a_value_is_shown_as_asked_for() -> None:
    whole = long_list(-1, 30).text
    text = printed(trace_table(changing(long_list(-1, 30)), chars=len(whole)), width=2000)
    assert f"*a={whole}" in text


def test_a_value_that_was_recorded_in_part_ends_in_dots() -> None:
    text = shown(changing(Slot("[1, 2, ", clipped=70)))
    assert "*a=[1, 2, …" in text


def test_threads_and_files_are_told_where_there_are_several() -> None:
    assert "thread" not in shown(REAL)
    one, *others = REAL.frames
    files = (*REAL.files, SourceFile("/home/me/a/tool.py", "x\n"), SourceFile("/home/me/b/tool.py", "y\n"))
    frames = (one, replace(others[0], thread=3, file=1), replace(others[1], file=2))
    text = shown(replace(REAL, program=replace(REAL.program, files=files), frames=frames))
    assert text.splitlines()[0].split()[:5] == ["#", "thread", "file", "line", "source"]
    assert rows(text)["0"].split()[:5] == ["0", "0", "p.py", "1", "call"]
    assert rows(text)["1"].split()[:4] == ["1", "3", "a/tool.py", "2"]
    assert rows(text)["2"].split()[:4] == ["2", "0", "b/tool.py", "3"]


@pytest.mark.parametrize("width", [40, 50])
def test_in_a_narrow_terminal_variables_stand_below_the_line(width: int) -> None:
    lines = [line.rstrip() for line in printed(trace_table(LOOP), width).splitlines()]
    assert max(map(len, lines)) <= width
    at = next(number for number, line in enumerate(lines) if line.endswith("x = 'same'"))
    assert lines[at - 1].strip() == "n=2"
    assert lines[at - 1].index("n=2") == lines[at - 2].index("def f(n)")


def test_the_parts_of_a_long_table_have_the_same_columns() -> None:
    text = printed(trace_table(many(450)))
    assert len({line.index("b = [a]") for line in text.splitlines() if "b = [a]" in line}) == 1
    assert text.count("variables before the line runs") == 1
    assert len(rows(text)) == 452  # with that of how many frames there are


@pytest.mark.parametrize(
    ("real", "predicted", "sentence"),
    [
        (4, 3, "no divergence, but only 3 of 4 frames are predicted (frame-limit)"),
        (3, 4, "no divergence, but only 3 of 4 predicted frames are real ones (incomplete)"),
    ],
)
def test_one_that_ends_before_the_other_is_not_called_right(real: int, predicted: int, sentence: str) -> None:
    ends = replace(
        REAL, frames=REAL.frames[:real], outcome=Outcome.INCOMPLETE if real < 4 else Outcome.RETURNED
    )
    guess = replace(
        REAL,
        frames=REAL.frames[:predicted],
        outcome=Outcome.FRAME_LIMIT if predicted < 4 else Outcome.RETURNED,
    )
    assert sentence in compared(ends, replace(guess, guess=Guess(mode="free")))


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
