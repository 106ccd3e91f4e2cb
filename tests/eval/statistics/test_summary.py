from __future__ import annotations

from dataclasses import replace

import pytest

from cwm_trace.eval.comparison.metrics import Rate, Retrieval
from cwm_trace.eval.comparison.score import ProgramScore
from cwm_trace.eval.statistics.estimates import Estimate, mcnemar_mid_p, wilson
from cwm_trace.eval.statistics.pairing import compare_scores, find_flips
from cwm_trace.eval.statistics.summary import RATIOS, VERDICTS, summarise
from cwm_trace.records import Cost

pytest.importorskip("scipy")

GOOD = ProgramScore(
    "free",
    "normal",
    10,
    frames=Retrieval(10, 0, 0),
    states=Rate(8, 8),
    changed_slots=Retrieval(5, 0, 0),
    output=True,
    tau=10,
    trace_exact=True,
    halting="right",
    cost=Cost(new_tokens=200, seconds=1.0, forward_passes=50),
    local_steps={"if": Rate(2, 2)},
    local_outside={"state": 2},
)
BAD = replace(
    GOOD,
    frames=Retrieval(1, 3, 9),
    states=Rate(2, 8),
    changed_slots=Retrieval(1, 2, 4),
    output=False,
    tau=1,
    tau_observed=True,
    trace_exact=False,
    halting="early",
    problems={"locals": 1},
    cost=None,
)
NONE = ProgramScore("free", "normal", 0)

KEYS = {
    *("output_accuracy", "frame_exact", "event_accuracy", "next_line_accuracy", "next_line_all"),
    *("path_exact", "frame_precision"),
    *("state_exact", "changed_slot_precision", "changed_slot_recall", "changed_slot_f1", "stale", "spurious"),
    *("trace_exact", "valid_format", "valid_tokens", "valid_locals", "valid_stack", "valid_source"),
    *("halting_right", "halting_early", "halting_late", "halting_unknown", "budget_structural"),
    *("budget_runaway", "rmst_32", "rmst_128", "rmst_512", "local_step_accuracy", "local_step_coverage"),
    *("tokens_per_frame", "seconds_per_frame", "passes_per_frame", "matched", "matched_state_exact"),
}
"""What others cite: these names stay."""


def test_a_hand_worked_summary() -> None:
    found = summarise([GOOD, GOOD, BAD, NONE], folds=200)
    assert found["output_accuracy"] == wilson(2, 3)
    assert found["frame_exact"].value == pytest.approx(21 / 30)
    assert found["frame_precision"].value == pytest.approx(21 / 24)
    assert found["state_exact"].value == pytest.approx(18 / 24)
    assert found["changed_slot_f1"].value == pytest.approx(22 / (22 + 2 + 4))
    assert found["halting_early"] == wilson(1, 3)
    assert found["valid_locals"] == wilson(3, 4)
    assert found["valid_tokens"] == found["valid_stack"] == wilson(4, 4)
    assert found["rmst_32"].value == pytest.approx(1 + 9 * 2 / 3)  # to the longest program
    assert found["tokens_per_frame"].value == 20
    assert found["tokens_per_frame"].n == 2
    assert found["local_step_accuracy"].value == 1
    assert found["local_step_coverage"].value == 0.5
    assert found["exception_type_recall"] == Estimate(None)


def test_keys_are_stable_and_intervals_hold_their_value() -> None:
    found = summarise([GOOD, BAD], folds=100)
    assert set(found) >= KEYS
    assert set(found) == {*VERDICTS, *RATIOS, "rmst_32", "rmst_128", "rmst_512"}
    for key, estimate in found.items():
        if estimate.value is not None:
            if key.endswith("_per_frame"):  # one program has no spread, and such a number no bound
                assert (estimate.n, estimate.low, estimate.high) == (1, None, None)
                continue
            assert estimate.low is not None, key
            assert estimate.high is not None, key
            assert estimate.low <= estimate.value <= estimate.high, key
            assert estimate.low < estimate.high, key


def test_no_programs_have_no_numbers() -> None:
    found = summarise([])
    assert set(found) >= KEYS
    assert set(found.values()) == {Estimate(None)}


def test_skill_is_what_copying_leaves() -> None:
    found = summarise([GOOD, BAD], baseline=[BAD, BAD], folds=50)
    assert found["state_exact"].skill == pytest.approx((10 / 16 - 1 / 4) / (3 / 4))
    assert found["output_accuracy"].skill == 0.5
    assert found["stale"].skill is None
    assert found["tokens_per_frame"].skill is None
    assert summarise([BAD], baseline=[GOOD], folds=50)["state_exact"].skill is None  # nothing is left


def test_two_runs_are_compared_on_the_same_programs() -> None:
    first = [GOOD] + [BAD] * 7 + [GOOD] * 4
    second = [BAD] + [GOOD] * 7 + [GOOD] * 4
    found = compare_scores(first, second, folds=500)
    assert set(found) == set(summarise(first, folds=2))
    assert found["output_accuracy"].value == 0.5
    assert found["output_accuracy"].p == mcnemar_mid_p(1, 7)
    assert found["state_exact"].value == pytest.approx(36 / 96)
    assert found["rmst_32"].value is not None
    assert found["rmst_32"].value > 0
    assert find_flips(first, second) == ([0], list(range(1, 8)))
    assert find_flips([NONE], [GOOD]) == ([], [])
    with pytest.raises(ValueError, match="not of the same programs"):
        compare_scores(first, second[1:])


def test_a_run_does_not_differ_from_itself() -> None:
    for key, found in compare_scores([GOOD, BAD, NONE], [GOOD, BAD, NONE], folds=50).items():
        assert found.value in (None, 0), key
        assert found.p in (None, 1), key
