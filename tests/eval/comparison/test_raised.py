from __future__ import annotations

from dataclasses import replace

import pytest

from cwm_trace import trace_execution
from cwm_trace.eval.comparison.metrics import Retrieval
from cwm_trace.eval.comparison.score import score_program
from cwm_trace.eval.comparison.value_classes import exception_type
from cwm_trace.records import Event, Guess, Slot, Trace

SOURCE = """\
def f(x):
    try:
        x = int(x)
    except ValueError:
        x = 0
    return 1 / x
"""
REAL = trace_execution(SOURCE, call="f('a')")
RAISED = [i for i, frame in enumerate(REAL.frames) if frame.event is Event.EXCEPTION]
HIT, MISS, BOTH = Retrieval(1, 0, 0), Retrieval(0, 0, 1), Retrieval(0, 1, 1)


def says(trace: Trace = REAL, mode: str = "free") -> Trace:
    return replace(trace, guess=Guess(mode=mode, given=1))


def instead(index: int, value: str, kind: str = "", **changes: object) -> Trace:
    frames = list(REAL.frames)
    frames[index] = replace(frames[index], value=Slot(value, kind), message=None, **changes)  # type: ignore[arg-type]
    return replace(REAL, frames=tuple(frames))


def test_the_program_raises_in_three_activations_and_handles_one() -> None:
    assert [REAL.frames[i].line for i in RAISED] == [3, 6, 8]
    score = score_program(REAL, says())
    three = Retrieval(3, 0, 0)
    assert score.exceptions == {
        "event": three,
        "line": three,
        "type": three,
        "message": three,
        "handler": HIT,
    }


def test_another_message_is_a_wrong_message_only() -> None:
    wrong = score_program(REAL, says(instead(RAISED[0], "ValueError('other')"))).exceptions
    assert wrong["message"] == Retrieval(2, 1, 1)
    assert wrong["type"] == wrong["line"] == wrong["event"] == Retrieval(3, 0, 0)


def test_another_type_is_a_wrong_message_as_well() -> None:
    wrong = score_program(REAL, says(instead(RAISED[0], "TypeError('other')"))).exceptions
    assert wrong["type"] == wrong["message"] == Retrieval(2, 1, 1)
    assert wrong["line"] == Retrieval(3, 0, 0)


def test_another_line_is_wrong_by_itself() -> None:
    value = REAL.frames[RAISED[0]].value
    assert value is not None
    wrong = score_program(REAL, says(instead(RAISED[0], value.text, line=2))).exceptions
    assert wrong["line"] == Retrieval(2, 1, 1)
    assert wrong["message"] == Retrieval(3, 0, 0)


def test_another_handler_is_wrong_by_itself() -> None:
    frames = list(REAL.frames)
    frames[RAISED[0] + 1] = replace(frames[RAISED[0] + 1], line=5)
    wrong = score_program(REAL, says(replace(REAL, frames=tuple(frames)))).exceptions
    assert wrong["handler"] == BOTH
    assert wrong["event"] == Retrieval(3, 0, 0)


def test_a_missing_one_and_an_invented_one() -> None:
    frames = list(REAL.frames)
    frames[RAISED[0]] = replace(frames[RAISED[0] - 1], changed={})
    frames[2] = replace(frames[2], event=Event.EXCEPTION, changed={}, value=Slot("KeyError(1)"))
    wrong = score_program(REAL, says(replace(REAL, frames=tuple(frames)))).exceptions
    assert wrong["event"] == Retrieval(2, 1, 1)
    assert wrong["handler"] == BOTH  # of the invented one a handler follows


def test_the_event_is_no_part_where_it_is_given() -> None:
    assert "event" not in score_program(REAL, says(mode="forced-event")).exceptions
    assert score_program(REAL, says(mode="forced-event")).exceptions["type"] == Retrieval(3, 0, 0)


def test_nothing_raised_is_nothing_scored() -> None:
    quiet = trace_execution(SOURCE, call="f('2')")
    assert score_program(quiet, replace(quiet, guess=Guess(mode="free", given=1))).exceptions == {}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("ValueError('a')", "ValueError"),
        ("ValueError", "ValueError"),
        ("m.MyError(1, 2)", "MyError"),
        ("'ValueError'", "ValueError"),
        ("<MyError object>", "MyError"),
        ("", ""),
        ("1", ""),
    ],
)
def test_types_are_read_from_every_form_of_the_value(text: str, name: str) -> None:
    assert exception_type(text) == name
