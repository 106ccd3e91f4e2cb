from __future__ import annotations

from itertools import combinations
from math import isclose

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cwm_trace.eval.comparison.score import ProgramScore
from cwm_trace.eval.statistics.pairing import compare_scores
from cwm_trace.eval.statistics.samples import majority_is_right, pass_at, summarise_samples
from cwm_trace.eval.statistics.summary import summarise


@given(st.lists(st.booleans(), min_size=1, max_size=7), st.integers(1, 7))
def test_pass_at_k_is_the_share_of_all_draws_that_have_a_right_one(samples: list[bool], k: int) -> None:
    k = min(k, len(samples))
    draws = [any(draw) for draw in combinations(samples, k)]
    assert isclose(pass_at(k, sum(samples), len(samples)), sum(draws) / len(draws))


def test_the_majority_counts_equal_answers_together() -> None:
    right = [False, True, True, False]
    assert majority_is_right(["'b'", "'a'", '"a"', "'c'"], right) == 1.0
    assert majority_is_right(["x", "x", "3", None], [False, False, True, False]) == 0.0
    assert majority_is_right([None, None], [False, False]) == 0.0


def test_samples_of_a_program_are_not_programs() -> None:
    programs = [[("1", True), ("2", False)], [("3", True), ("3", True)]]
    found = summarise_samples(programs, folds=50)
    assert {name: estimate.value for name, estimate in found.items()} == {
        "pass_at_1": 0.75,
        "pass_at_2": 1.0,
        "majority": 0.75,
    }
    assert {estimate.n for estimate in found.values()} == {2}
    assert summarise_samples([[("1", True)], [("2", False)]]) == {}


def score(right: bool, tau: int = 3) -> ProgramScore:
    return ProgramScore("free", "normal", 5, output=right, answer="right" if right else "wrong", tau=tau)


def test_intervals_are_of_programs_whatever_the_number_of_samples() -> None:
    once = summarise([[score(True)], [score(False)], [score(True)]], folds=500)
    flat = summarise([score(True), score(False), score(True)], folds=500)
    assert once == flat
    many = summarise([[score(True)] * 40, [score(False)] * 40, [score(True)] * 40], folds=500)
    found = many["output_accuracy"]
    assert found.value == pytest.approx(2 / 3)
    assert found.n == 3
    assert found.low is not None
    assert found.high is not None
    assert found.high - found.low > 0.5  # three programs tell little
    assert many["rmst_32"].n == 3
    assert many["rmst_32"].value == flat["rmst_32"].value


def test_runs_with_other_numbers_of_samples_are_paired_by_program() -> None:
    first = [[score(True)], [score(False)], [score(False)]]
    second = [[score(True), score(False)], [score(True)] * 2, [score(False)] * 2]
    found = compare_scores(first, second, folds=200)
    assert found["output_accuracy"].value == pytest.approx(0.5 - 1 / 3)
    assert found["rmst_32"].value == 0
