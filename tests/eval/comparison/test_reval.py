from __future__ import annotations

from dataclasses import replace

from cwm_trace import trace_execution
from cwm_trace.eval.comparison.metrics import Rate
from cwm_trace.eval.comparison.reval import program_lines, score_reval
from cwm_trace.eval.comparison.score import score_program
from cwm_trace.records import Guess, Slot

SOURCE = """\
def f(n):
    total = 0
    while n:
        total += n
        n -= 1
    if total > 9:
        total = 0
    return total
"""
REAL = trace_execution(SOURCE, call="f(2)")
SAID = replace(REAL, guess=Guess("free", 1))


def test_the_truth_answers_everything() -> None:
    found = score_program(REAL, SAID).reval
    assert found == {
        "coverage": Rate(7, 7),  # one of them by saying that it is not executed
        "path": Rate(6, 6),
        "state": Rate(3, 3),
        "consistency": Rate(48, 48),
    }
    assert sorted(program_lines(SOURCE)) == [2, 3, 4, 5, 6, 7, 8]


def test_a_wrong_value_costs_its_line_and_what_builds_on_it() -> None:
    frames = [
        replace(frame, changed={"total": Slot("7")}) if frame.line == 5 and frame.changed else frame
        for frame in REAL.frames
    ]
    found = score_reval(REAL, replace(SAID, frames=tuple(frames)), "right")
    assert (found["coverage"], found["path"], found["state"]) == (Rate(7, 7), Rate(6, 6), Rate(2, 3))
    assert found["consistency"] == Rate(40, 48)  # right behind a wrong one: nothing
    wrong = score_reval(REAL, SAID, "wrong")["consistency"]
    assert wrong == Rate(24, 48)


def test_a_prediction_that_ends_at_once_knows_what_is_not_executed() -> None:
    found = score_reval(REAL, replace(SAID, frames=REAL.frames[:1]), "missing")
    assert found == {
        "coverage": Rate(1, 7),
        "path": Rate(0, 6),
        "state": Rate(0, 3),
        "consistency": Rate(0, 48),
    }


def test_it_is_asked_of_whole_traces_only() -> None:
    assert score_program(REAL, replace(SAID, guess=Guess("forced", 1))).reval == {}
