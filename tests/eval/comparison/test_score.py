"""What moves which metric: a hand-worked prediction, and mutations of a right one."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cwm_trace.eval.comparison.alignment import Mask
from cwm_trace.eval.comparison.equality import Equality
from cwm_trace.eval.comparison.metrics import Rate, Retrieval
from cwm_trace.eval.comparison.score import ProgramScore, score_program
from cwm_trace.eval.comparison.score_fields import score_fields, score_from_fields
from cwm_trace.predict.baselines import OraclePredictor
from cwm_trace.predict.protocol import ENDED, Request
from cwm_trace.records import Cost, Event, Frame, Guess, Outcome, Problem, Program, Slot, SourceFile, Trace
from cwm_trace.states import resolve_states
from tests.effort import examples
from tests.traces import traces

MODES = ["free", "forced", "forced-event", "forced-state", "reground-2", "reground-3", "output", "step-over"]
TEXT = """\
def f(n):
    total = 0
    while n:
        total += n
        n -= 1
    return total
def main():
    return f(2)
"""
LINES = TEXT.split("\n")


def number(value: int) -> Slot:
    return Slot(str(value), "int", value.bit_length())


def at(
    event: Event, line: int, value: Slot | None = None, *, activation: int = 1, **changed: Slot | None
) -> Frame:
    return Frame(event, line, LINES[line - 1], activation, activation, changed=changed, value=value)


FRAMES = (
    at(Event.CALL, 7, activation=0),
    at(Event.LINE, 8, activation=0),
    at(Event.CALL, 1, n=number(2)),
    at(Event.LINE, 2),
    at(Event.LINE, 3, total=number(0)),
    at(Event.LINE, 4),
    at(Event.LINE, 5, total=number(2)),
    at(Event.LINE, 3, n=number(1)),
    at(Event.LINE, 4),
    at(Event.LINE, 5, total=number(3)),
    at(Event.LINE, 3, n=number(0)),
    at(Event.LINE, 6),
    at(Event.RETURN, 6, number(3)),
    at(Event.RETURN, 8, number(3), activation=0),
)
REAL = Trace(Program((SourceFile("p.py", TEXT),), "main", 7), FRAMES, Outcome.RETURNED)
LENGTH = 13


def says(*frames: Frame, mode: str = "free", given: int = 1, outcome: Outcome = Outcome.RETURNED) -> Trace:
    return replace(REAL, frames=frames, outcome=outcome, guess=Guess(mode=mode, given=given))


def instead(index: int, frame: Frame) -> tuple[Frame, ...]:
    return (*FRAMES[:index], frame, *FRAMES[index + 1 :])


RIGHT = score_program(REAL, says(*FRAMES))


def moved(score: ProgramScore) -> set[str]:
    """The fields that are not those of a right prediction."""
    right, other = score_fields(RIGHT), score_fields(score)
    return {name for name, value in other.items() if value != right[name]}


BINS = {"by_position", "by_depth", "by_lookback"}


def test_a_right_prediction() -> None:
    assert RIGHT.length == LENGTH
    assert RIGHT.frames == RIGHT.next_lines == Retrieval(LENGTH, 0, 0)
    assert RIGHT.events == Retrieval(LENGTH + 1, 0, 0)
    assert RIGHT.branches == Rate(3, 3)  # after each `while n`
    assert RIGHT.states == Rate(11, 11)
    assert RIGHT.changed_slots == Retrieval(6, 0, 0)
    assert RIGHT.stale == Rate(0, 6)
    assert RIGHT.by_type == {"int": Rate(6, 6)}
    assert RIGHT.by_size == {"2-3": Rate(3, 3), "0": Rate(2, 2), "1": Rate(1, 1)}
    assert (RIGHT.output, RIGHT.path_exact, RIGHT.trace_exact) == (True, True, True)
    assert (RIGHT.tau, RIGHT.tau_observed, RIGHT.cause, RIGHT.halting) == (LENGTH, False, None, "right")
    assert RIGHT.at_risk == {"line": 7, "call": 1, "branch": 3, "return": 2, "end": 1}
    assert RIGHT.by_depth == {"0": Rate(2, 2), "1": Rate(11, 11)}
    assert RIGHT.by_lookback == {"new": Rate(1, 1), "1": Rate(11, 11), "8-15": Rate(1, 1)}
    assert RIGHT.by_position == {
        "0": Rate(1, 1),
        "1": Rate(1, 1),
        "2-3": Rate(2, 2),
        "4-7": Rate(4, 4),
        "8-15": Rate(5, 5),
    }
    assert RIGHT.matched == Rate(LENGTH, LENGTH)
    assert RIGHT.matched_slots == RIGHT.changed_slots


def test_a_swapped_value_moves_states_and_not_control() -> None:
    """`total` is 5 instead of 2, until it is written again three frames later."""
    score = score_program(REAL, says(*instead(6, at(Event.LINE, 5, total=number(5)))))
    assert score.states == Rate(8, 11)
    assert score.frames == Retrieval(10, 3, 3)
    assert score.changed_slots == Retrieval(5, 1, 1)
    assert score.by_type == {"int": Rate(5, 6)}
    assert (score.tau, score.cause, score.cause_type, score.failed_kind) == (5, "wrong value", "int", "line")
    assert moved(score) == {
        *("frames", "states", "changed_slots", "by_type", "by_size", "matched_states", "matched_slots"),
        *("tau", "tau_observed", "cause", "cause_type", "failed_kind", "at_risk", "trace_exact", "reval"),
        *BINS,
    }


def test_a_stale_value_is_a_change_that_is_missed() -> None:
    score = score_program(REAL, says(*instead(6, at(Event.LINE, 5))))
    assert (score.cause, score.stale, score.spurious) == ("stale", Rate(1, 6), Rate(0, 5))
    assert score.changed_slots == Retrieval(5, 0, 1)


def test_an_invented_change_is_spurious() -> None:
    score = score_program(REAL, says(*instead(5, at(Event.LINE, 4, n=number(7)))))
    assert (score.cause, score.stale, score.spurious) == ("wrong value", Rate(0, 6), Rate(1, 7))
    assert score.changed_slots == Retrieval(6, 1, 0)


def test_a_deletion_is_a_change() -> None:
    score = score_program(REAL, says(*instead(6, at(Event.LINE, 5, total=None))))
    assert (score.cause, score.changed_slots) == ("missing key", Retrieval(5, 1, 1))


@pytest.mark.parametrize("equality", Equality)
def test_a_changed_type_is_wrong_at_every_level(equality: Equality) -> None:
    wrong = says(*instead(12, at(Event.RETURN, 6, Slot("3.0", "float"))))
    score = score_program(REAL, wrong, equality=equality)
    assert (score.cause, score.cause_type, score.tau) == ("return", "int", 11)
    assert score.frames == Retrieval(12, 1, 1)
    assert score.output is True
    assert moved(replace(score, equality="normal")) == {
        *("frames", "tau", "tau_observed", "cause", "cause_type", "failed_kind", "at_risk", "trace_exact"),
        *BINS,
    }


def test_a_wrong_result_moves_the_output() -> None:
    score = score_program(REAL, says(*instead(13, at(Event.RETURN, 8, number(4), activation=0))))
    assert (score.output, score.tau, score.path_exact) == (False, 12, True)


def test_a_dropped_frame_moves_what_follows_by_position_and_little_by_edit() -> None:
    score = score_program(REAL, says(*FRAMES[:8], *FRAMES[9:]))  # the second `total += n`
    assert (score.tau, score.cause, score.halting) == (7, "line", "early")
    assert score.frames == Retrieval(7, 5, 6)
    assert score.matched == Rate(12, 13)
    assert score.matched_states == Rate(10, 10)
    assert score.matched_slots == Retrieval(6, 0, 0)
    assert score.output is True
    assert score.path_exact is False


def test_an_added_frame_is_wrong_in_precision() -> None:
    score = score_program(REAL, says(*FRAMES, FRAMES[-1]))
    assert score.frames == Retrieval(LENGTH, 1, 0)
    assert score.events == Retrieval(LENGTH, 2, 1)
    assert (score.tau, score.cause, score.failed_kind, score.halting) == (LENGTH, "overrun", "end", "late")
    assert moved(score) == {
        *("frames", "next_lines", "events", "tau_observed", "cause", "failed_kind", "halting"),
        *("path_exact", "trace_exact"),
    }


def test_a_cut_prediction_is_censored_where_it_was_right() -> None:
    cut = says(*FRAMES[:9], outcome=Outcome.TRUNCATED)
    score = score_program(REAL, cut)
    assert (score.tau, score.tau_observed, score.cause) == (8, False, None)
    assert score.frames == Retrieval(8, 0, 5)
    assert (score.halting, score.budget_loss, score.truncated) == ("unknown", "structural", True)
    assert (score.output, score.trace_exact, score.path_exact) == (False, False, False)
    assert score.at_risk == {"line": 5, "call": 1, "branch": 2}
    cut = replace(cut, guess=replace(cut.guess, cost=Cost(new_tokens=100)))
    assert score_program(REAL, cut, real_tokens=101).budget_loss == "structural"
    assert score_program(REAL, cut, real_tokens=100).budget_loss == "runaway"


def test_a_prediction_that_stops_by_itself_is_not_censored() -> None:
    score = score_program(REAL, says(*FRAMES[:9]))
    assert (score.tau, score.tau_observed, score.cause) == (8, True, "early end")
    assert score.failed_kind == "line"


def test_a_loop_runs_away() -> None:
    loop = says(*FRAMES[:8], *FRAMES[5:8] * 9, outcome=Outcome.TRUNCATED)
    score = score_program(REAL, loop)
    assert (score.halting, score.budget_loss, score.tau) == ("unknown", "runaway", 8)
    assert score.output is False
    assert score.path_exact is False
    assert (score.frames.precision or 1) < (score.frames.recall or 0)


def test_a_cut_right_behind_the_last_frame_is_unknown() -> None:
    score = score_program(REAL, says(*FRAMES, outcome=Outcome.TRUNCATED))
    assert (score.halting, score.path_exact, score.trace_exact) == ("unknown", None, None)
    assert score.events == Retrieval(LENGTH, 0, 0)
    assert (score.tau, score.tau_observed) == (LENGTH, False)


def test_what_follows_a_cut_recording_is_not_known() -> None:
    cut = replace(REAL, frames=FRAMES[:9], outcome=Outcome.FRAME_LIMIT)
    score = score_program(cut, says(*FRAMES))
    assert score.frames == Retrieval(8, 0, 0)
    assert (score.halting, score.path_exact, score.trace_exact, score.output) == (None, None, None, None)
    assert (score.tau, score.tau_observed) == (8, False)


def test_events_count_the_end() -> None:
    halts = [Frame(Event.END, 0, "")] * LENGTH
    score = score_program(REAL, says(FRAMES[0], *halts, mode="forced"))
    assert score.events == Retrieval(1, LENGTH, LENGTH)
    assert score.halting == "early"
    late = score_program(REAL, says(*FRAMES, FRAMES[1], mode="forced"))
    assert (late.events, late.halting) == (Retrieval(LENGTH, 1, 1), "late")


def test_given_fields_count_nowhere() -> None:
    event = score_program(REAL, says(*FRAMES, mode="forced-event"))
    assert event.events == Retrieval(0, 0, 0)
    assert (event.path_exact, event.halting) == (None, None)
    assert event.states.total == 11
    state = score_program(REAL, says(*instead(6, at(Event.LINE, 5, total=number(5))), mode="forced-state"))
    assert (state.states, state.changed_slots, state.by_type) == (Rate(0, 0), Retrieval(0, 0, 0), {})
    assert state.frames == Retrieval(LENGTH, 0, 0)
    everything = score_program(REAL, says(*FRAMES, given=len(FRAMES)))
    assert (everything.length, everything.tau, everything.output) == (0, None, None)


def test_output_mode_speaks_about_the_result_only() -> None:
    score = score_program(REAL, says(FRAMES[0], FRAMES[-1], mode="output"))
    assert (score.output, score.length, score.frames) == (True, 1, Retrieval(1, 0, 0))
    assert score.tau_observed is False
    wrong = at(Event.RETURN, 8, number(4), activation=0)
    score = score_program(REAL, says(FRAMES[0], wrong, mode="output"))
    assert (score.output, score.cause, score.tau) == (False, "return", 0)


def test_step_over_speaks_about_shallow_frames_only() -> None:
    shallow = [frame for frame in FRAMES if frame.depth == 0]
    score = score_program(REAL, says(*shallow, mode="step-over-0"))
    assert (score.length, score.path_exact, score.halting, score.output) == (2, True, "right", True)


def test_a_block_follows_the_truth_again() -> None:
    """Blocks of 3 start at 1, 4, 7, 10: a wrong `total` in frame 6 is no change to report in frame 7."""
    frames = list(FRAMES)
    frames[6] = at(Event.LINE, 5, total=number(5))
    frames[7] = at(Event.LINE, 3, n=number(1), total=number(2))
    score = score_program(REAL, says(*frames, mode="reground-3"))
    assert score.changed_slots == Retrieval(5, 1, 1)
    assert score.states == Rate(10, 11)
    free = score_program(REAL, says(*frames))
    assert free.changed_slots == Retrieval(5, 2, 1)


def test_within_a_block_the_prediction_follows_itself() -> None:
    """Frame 5 is in the block of 4: a spurious change there is carried on, not made again."""
    frames = list(FRAMES)
    frames[5] = at(Event.LINE, 4, n=number(9))
    frames[7] = at(Event.LINE, 3, n=number(1))
    score = score_program(REAL, says(*frames, mode="reground-3"))
    assert score.changed_slots == Retrieval(6, 1, 0)
    assert score.states == Rate(9, 11)


def test_what_cannot_be_read_is_a_fault_of_format() -> None:
    broken = replace(at(Event.LINE, 5), raw=("{", LINES[4]))
    said = says(*instead(6, broken))

    def score(problem: Problem) -> ProgramScore:
        return score_program(REAL, replace(said, guess=replace(said.guess, problems=(problem,))))

    wrong = score(Problem("locals", 6, 99, "not JSON"))
    assert (wrong.cause, wrong.problems) == ("format", {"locals": 1})
    assert score(Problem("locals", 0, 0, "in the prompt")).problems == {}
    assert score(Problem("truncated", 6, 99, "cut")).problems == {}


def test_masked_values_count_nowhere() -> None:
    wrong = says(*instead(6, at(Event.LINE, 5, total=number(5))))
    mask = Mask({6: frozenset({"total"}), 7: frozenset({"total"}), 8: frozenset({"total"})})
    score = score_program(REAL, wrong, masked=mask)
    assert score.masked == 3
    assert score.frames == Retrieval(LENGTH, 0, 0)
    assert score.changed_slots == Retrieval(5, 0, 0)
    result = says(*instead(13, at(Event.RETURN, 8, number(4), activation=0)))
    score = score_program(REAL, result, masked=Mask(values=frozenset({13})))
    assert (score.output, score.masked, score.frames) == (None, 1, Retrieval(LENGTH, 0, 0))


def test_frames_after_a_masked_step_count_nowhere() -> None:
    wrong = says(*instead(6, at(Event.LINE, 5, total=number(5))))
    score = score_program(REAL, wrong, masked=Mask(end=6))
    assert (score.length, score.masked) == (5, 8)
    assert (score.tau, score.tau_observed, score.halting, score.trace_exact) == (5, False, None, None)
    shallow = says(*[frame for frame in FRAMES if frame.depth == 0], mode="step-over-0")
    assert score_program(REAL, shallow, masked=Mask(end=6)).length == 1


def test_confidence_is_the_product_of_token_probabilities() -> None:
    logprobs = {"event": (-0.1,), "locals": (-0.2, -0.3), "source": (), "value": ()}
    score = score_program(REAL, says(*instead(6, replace(at(Event.LINE, 5), logprobs=logprobs))))
    assert score.tokens == {"event": 1, "locals": 2}
    assert {name: len(found) for name, found in score.confidence.items()} == {
        "event": 1,
        "locals": 1,
        "frame": 1,
    }
    ((confidence, right),) = score.confidence["locals"]
    assert confidence == pytest.approx(0.6065306597)
    assert right is False
    assert score.confidence["event"][0][1] is True
    assert score.confidence["frame"][0][0] == pytest.approx(0.5488116361)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("equality", Equality)
@examples(0.25)
@given(trace=traces())
def test_the_oracle_is_right_in_every_mode(mode: str, equality: Equality, trace: Trace) -> None:
    start = replace(trace, frames=trace.frames[:1])
    score = score_program(trace, OraclePredictor().predict(Request(start, mode, trace)), equality=equality)
    for found in (score.frames, score.events, score.next_lines, score.changed_slots, score.matched_slots):
        assert found.false_positives == found.false_negatives == 0
    for rate in (score.branches, score.states, score.matched, score.matched_states, *score.by_type.values()):
        assert rate.hits == rate.total
    assert score.stale.hits == score.spurious.hits == 0
    for part in score.exceptions.values():
        assert part.f1 == 1
    assert not score.tau_observed
    assert score.tau in (None, score.length)
    assert score.output in (None, True)
    assert score.trace_exact in (None, True)
    assert score.path_exact in (None, True)
    assert score.halting in (None, "right")
    assert score.cause is score.failed_kind is score.budget_loss is None


@given(traces(), traces(), st.sampled_from(MODES), st.sampled_from(Equality))
def test_any_pair_has_rates_between_0_and_1(real: Trace, other: Trace, mode: str, equality: Equality) -> None:
    other = replace(other, program=real.program, guess=Guess(mode))
    score = score_program(real, other, equality=equality)
    rates = [score.branches, score.states, score.stale, score.spurious, score.matched, score.matched_states]
    for group in (score.by_type, score.by_size, score.by_position, score.by_depth, score.by_lookback):
        rates += group.values()
    for found in (
        score.frames,
        score.events,
        score.next_lines,
        score.changed_slots,
        *score.exceptions.values(),
    ):
        rates += [Rate(found.true_positives, found.true_positives + found.false_positives)]
        rates += [Rate(found.true_positives, found.true_positives + found.false_negatives)]
    assert all(0 <= rate.hits <= rate.total for rate in rates)
    assert score.tau is None or 0 <= score.tau <= score.length
    assert (score.cause is not None) == score.tau_observed
    assert score_from_fields(json.loads(json.dumps(score_fields(score)))) == score


@given(traces(), traces(), st.sampled_from(MODES), st.randoms())
def test_names_of_activations_do_not_matter(
    real: Trace, other: Trace, mode: str, chance: random.Random
) -> None:
    """Under the true history both sides share its names; elsewhere each has its own."""
    other = replace(other, program=real.program, guess=Guess(given=0, mode=mode))
    score = score_program(real, other)
    count = 1 + max(frame.activation for frame in (*real.frames, *other.frames))
    names = chance.sample(range(100), count)
    renamed = renamed_by(other, names)
    if mode.startswith(("forced", "reground")):
        assert score_program(renamed_by(real, names), renamed) == score
    else:
        assert score_program(real, renamed) == score


def renamed_by(trace: Trace, names: list[int]) -> Trace:
    frames = tuple(replace(frame, activation=names[frame.activation]) for frame in trace.frames)
    return replace(trace, frames=frames)


@given(traces(), traces(), st.data())
def test_repairing_a_wrong_frame_makes_nothing_worse(real: Trace, other: Trace, data: st.DataObject) -> None:
    """Each frame stands for itself under forcing: a repaired one is one more that is right."""
    count = len(real.frames)
    states = resolve_states(other.frames)
    frames = list(other.frames[:count])
    frames += real.frames[len(frames) :]
    shown = whole(frames, [*states, *resolve_states(real.frames)[len(states) :]])
    wrong = replace(real, frames=shown, guess=Guess("forced"))
    at = data.draw(st.integers(0, count - 1))
    fixed = list(wrong.frames)
    fixed[at] = whole(list(real.frames), list(resolve_states(real.frames)))[at]
    before, after = score_program(real, wrong), score_program(real, replace(wrong, frames=tuple(fixed)))
    assert after.frames.true_positives >= before.frames.true_positives
    assert after.states.hits >= before.states.hits
    assert after.next_lines.true_positives >= before.next_lines.true_positives
    assert after.changed_slots.true_positives >= before.changed_slots.true_positives
    assert after.stale.hits <= before.stale.hits
    assert (after.tau or 0) >= (before.tau or 0)


def whole(frames: list[Frame], states: list[dict[str, Slot] | None]) -> tuple[Frame, ...]:
    """Frames of activations of their own, so that each shows its whole state."""
    return tuple(
        replace(frame, activation=index, changed=state or {})
        for index, (frame, state) in enumerate(zip(frames, states, strict=False))
    )


@given(traces())
def test_a_cut_of_the_truth_is_censored(trace: Trace) -> None:
    half = trace.frames[: len(trace.frames) // 2]
    cut = replace(trace, frames=half, outcome=Outcome.TRUNCATED, guess=Guess("free"))
    score = score_program(trace, cut)
    assert not score.tau_observed
    assert score.tau == len(cut.frames)
    if trace.outcome in ENDED:
        assert score.halting == "unknown"
