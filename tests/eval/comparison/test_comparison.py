from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given

from cwm_trace.errors import CwmTraceError
from cwm_trace.eval.comparison import Comparison, compare
from cwm_trace.eval.comparison.equality import Equality
from cwm_trace.eval.comparison.metrics import Rate, Retrieval
from cwm_trace.predict.baselines import OraclePredictor
from cwm_trace.predict.protocol import ENDED, Request
from cwm_trace.records import Event, Frame, Guess, Outcome, Program, Slot, SourceFile, Trace
from cwm_trace.wire import parse_trace, render_trace
from tests.effort import examples
from tests.traces import TOKENS, traces

ONE, TWO = Slot("1", "int", 1), Slot("2", "int", 2)
TEXT = "def f():\n    a = 1\n    b = 1\n    a = 2\n    del b\n    return a\n"
LINES = TEXT.split("\n")


def at(event: Event, line: int, value: Slot | None = None, **changed: Slot | None) -> Frame:
    return Frame(event, line, LINES[line - 1], changed=changed, value=value)


FRAMES = (
    at(Event.CALL, 1),
    at(Event.LINE, 2),
    at(Event.LINE, 3, a=ONE),
    at(Event.LINE, 4, b=ONE),
    at(Event.LINE, 5, a=TWO),
    at(Event.LINE, 6, b=None),
    at(Event.RETURN, 6, TWO),
)
REAL = Trace(Program((SourceFile("p.py", TEXT),), "f", 1), FRAMES, Outcome.RETURNED)


def predicted(*frames: Frame, mode: str = "free", given_frames: int = 1) -> Trace:
    return replace(REAL, frames=frames, guess=Guess(mode=mode, given=given_frames))


def instead(index: int, frame: Frame) -> tuple[Frame, ...]:
    return (*FRAMES[:index], frame, *FRAMES[index + 1 :])


def diverges(comparison: Comparison) -> tuple[int, str, str | None, str | None, str | None]:
    found = comparison.first_divergence
    assert found is not None
    return found.index, found.cause, found.name, found.real, found.predicted


@pytest.mark.parametrize("mode", ["free", "forced"])
@pytest.mark.parametrize("equality", Equality)
@examples(0.4)
@given(trace=traces())
def test_the_oracle_is_right_everywhere(mode: str, equality: Equality, trace: Trace) -> None:
    start = replace(trace, frames=trace.frames[:1])
    comparison = compare(trace, OraclePredictor().predict(Request(start, mode, trace)), equality)
    scored = len(trace.frames) - 1
    assert comparison.frame_exact == Rate(scored, scored)
    assert comparison.state_exact.value in (None, 1)
    assert comparison.changed_slots.f1 in (None, 1)
    assert comparison.surplus == 0
    assert comparison.output in (None, True)
    assert comparison.first_divergence is None


@given(traces(), traces())
def test_rates_lie_between_0_and_1(real: Trace, other: Trace) -> None:
    other = replace(other, program=real.program, guess=replace(other.guess, given=0))
    one, mirror = compare(real, other), compare(other, real)
    for value in (one.frame_exact.value, one.state_exact.value, one.changed_slots.f1):
        assert value is None or 0 <= value <= 1
    surplus = max(0, len(other.frames) - len(real.frames)) if real.outcome in ENDED else 0
    assert one.surplus == surplus  # what follows the end of a recording that was cut is not known
    assert [pair.control for pair in one.pairs] == [pair.control for pair in mirror.pairs]
    a, b = one.changed_slots, mirror.changed_slots
    if real.outcome in ENDED and other.outcome in ENDED:
        assert a.true_positives + a.false_positives == b.true_positives + b.false_negatives


@given(traces())
def test_a_parsed_truth_is_right(trace: Trace) -> None:
    """A parsed prediction has no types and lines of its own; nothing of that is an error."""
    start = replace(trace, frames=trace.frames[:1], outcome=Outcome.INCOMPLETE)
    ids = render_trace(trace, tokens=TOKENS)
    prompt = render_trace(start, tokens=TOKENS)
    parsed = parse_trace(ids[len(prompt) :], program=start, tokens=TOKENS)
    for mode in ("free", "forced"):
        comparison = compare(trace, replace(parsed, guess=Guess(mode=mode)))
        assert comparison.changed_slots.false_positives == 0
        assert comparison.changed_slots.false_negatives == 0
        assert comparison.state_exact.value in (None, 1)


@pytest.mark.parametrize("mode", ["free", "forced", "reground-2"])
def test_a_value_that_only_changes_its_type_changes_where_its_normal_text_does(mode: str) -> None:
    """In a string an address is text, in other values it is left out: `s` changes, `t` does not."""
    text = "<object object at 0x7f00>"
    before = {"s": Slot(text, "str"), "t": Slot("1", "int")}
    after = {"s": Slot(text, "m.C"), "t": Slot("1", "m.C")}
    real = replace(REAL, frames=(FRAMES[0], at(Event.LINE, 2, **before), at(Event.LINE, 3, **after)))
    said = at(Event.LINE, 3, s=Slot("<object object>"), t=Slot("1"))
    right = predicted(*real.frames[:2], said, mode=mode)
    assert compare(real, right).changed_slots == Retrieval(3, 0, 0)
    assert compare(real, right).first_divergence is None
    stale = predicted(*real.frames[:2], at(Event.LINE, 3), mode=mode)
    assert compare(real, stale).changed_slots == Retrieval(2, 0, 1)


def test_a_hand_worked_changed_slot_f1() -> None:
    """Really: a=1, b=1, a=2, del b. Predicted: a=1, b=2 (wrong), a stale, b deleted, c invented."""
    comparison = compare(
        REAL,
        predicted(
            FRAMES[0],
            FRAMES[1],
            at(Event.LINE, 3, a=ONE),
            at(Event.LINE, 4, b=TWO),
            at(Event.LINE, 5),
            at(Event.LINE, 6, b=None, c=ONE),
            FRAMES[6],
        ),
    )
    assert comparison.changed_slots == Retrieval(2, 2, 2)
    assert comparison.changed_slots.f1 == 0.5
    assert comparison.state_exact == Rate(2, 5)
    assert comparison.frame_exact == Rate(3, 6)
    assert comparison.output is True
    assert diverges(comparison) == (3, "wrong value", "b", "1", "2")


def test_copying_earns_nothing() -> None:
    copies = tuple(replace(frame, changed={}) for frame in FRAMES)
    assert compare(REAL, predicted(*copies)).changed_slots == Retrieval(0, 0, 4)


def test_given_frames_count_nowhere() -> None:
    wrong = replace(FRAMES[2], source="wrong")
    comparison = compare(REAL, predicted(*instead(2, wrong), given_frames=3))
    assert comparison.frame_exact == Rate(4, 4)
    assert comparison.pairs[2].given
    everything = compare(REAL, predicted(*FRAMES, given_frames=7))
    assert (everything.frame_exact.value, everything.output) == (None, None)


def test_a_missing_frame_is_wrong_and_an_end() -> None:
    comparison = compare(REAL, predicted(*FRAMES[:-1]))
    assert comparison.frame_exact == Rate(5, 6)
    assert comparison.output is False
    assert comparison.surplus == 0
    assert diverges(comparison) == (6, "early end", None, "return: return a", None)


def test_a_dropped_frame_shifts_the_rest() -> None:
    comparison = compare(REAL, predicted(*FRAMES[:3], *FRAMES[4:]))
    assert comparison.frame_exact == Rate(2, 6)
    assert comparison.output is True
    assert diverges(comparison)[:2] == (3, "line")


def test_an_added_frame_is_surplus() -> None:
    comparison = compare(REAL, predicted(*FRAMES, FRAMES[-1]))
    assert comparison.frame_exact == Rate(6, 6)
    assert comparison.surplus == 1
    assert diverges(comparison) == (7, "overrun", None, None, "return: return a")


@pytest.mark.parametrize("mode", ["free", "forced"])
def test_a_wrong_value_is_wrong_while_it_lasts(mode: str) -> None:
    frames = instead(3, at(Event.LINE, 4, b=TWO))
    if mode == "forced":  # the next frame follows the truth again
        frames = (*frames[:4], at(Event.LINE, 5, a=TWO, b=ONE), *frames[5:])
    comparison = compare(REAL, predicted(*frames, mode=mode))
    assert diverges(comparison) == (3, "wrong value", "b", "1", "2")
    assert comparison.frame_exact == Rate(4 if mode == "free" else 5, 6)
    assert comparison.changed_slots == Retrieval(3, 1, 1)


@pytest.mark.parametrize("equality", Equality)
def test_a_forced_frame_is_right_after_a_wrong_one(equality: Equality) -> None:
    """Its `..` refer to the truth, so that the one before does not matter, for `exact` neither."""
    frames = (*FRAMES[:3], at(Event.LINE, 4, b=TWO), at(Event.LINE, 5, a=TWO, b=ONE), *FRAMES[5:])
    comparison = compare(REAL, predicted(*frames, mode="forced"), equality)
    assert [pair.exact for pair in comparison.pairs] == [True, True, True, False, True, True, True]


def test_a_type_is_no_part_of_a_prediction() -> None:
    frames = instead(3, at(Event.LINE, 4, b=Slot("1")))
    assert compare(REAL, predicted(*frames)).first_divergence is None
    frames = instead(3, at(Event.LINE, 4, b=Slot("1"), a=Slot("1")))  # written again without its type
    for mode in ("free", "forced"):
        assert compare(REAL, predicted(*frames, mode=mode)).changed_slots == Retrieval(4, 0, 0)


def test_another_text_of_the_same_value_is_typed_equal() -> None:
    real = replace(REAL, frames=instead(6, at(Event.RETURN, 6, Slot("[1, 2]", "list"))))
    other = predicted(*instead(6, at(Event.RETURN, 6, Slot("[1,2]"))))
    assert compare(real, other, Equality.TYPED).output is True
    comparison = compare(real, other)
    assert comparison.output is False
    assert comparison.frame_exact == Rate(5, 6)
    assert diverges(comparison) == (6, "return", None, "[1, 2]", "[1,2]")


def test_another_line_is_another_frame() -> None:
    comparison = compare(REAL, predicted(*instead(4, at(Event.LINE, 6, a=TWO))))
    assert comparison.frame_exact == Rate(5, 6)
    assert comparison.state_exact == Rate(5, 5)
    assert [pair.control for pair in comparison.pairs].count(False) == 1
    assert diverges(comparison)[1] == "line"


def test_another_event_is_another_frame() -> None:
    comparison = compare(REAL, predicted(*instead(6, at(Event.EXCEPTION, 6, TWO))))
    assert diverges(comparison)[:2] == (6, "event")
    assert comparison.output is False


def test_an_extra_name_and_a_missing_one_are_wrong_states() -> None:
    extra = compare(REAL, predicted(*instead(2, at(Event.LINE, 3, a=ONE, z=ONE))))
    assert diverges(extra) == (2, "extra key", "z", None, "1")
    missing = compare(REAL, predicted(*instead(2, at(Event.LINE, 3))))
    assert diverges(missing) == (2, "missing key", "a", "1", None)


def test_a_dangling_copy_is_wrong() -> None:
    comparison = compare(REAL, predicted(*instead(2, at(Event.LINE, 3, a=Slot("..")))))
    assert diverges(comparison) == (2, "wrong value", "a", "1", "..")
    assert comparison.changed_slots.false_positives == 1


def test_the_order_of_names_matters_to_exact_only() -> None:
    real = replace(REAL, frames=(FRAMES[0], at(Event.LINE, 2, a=ONE, b=TWO)))
    other = predicted(FRAMES[0], at(Event.LINE, 2, b=TWO, a=ONE))
    assert compare(real, other).first_divergence is None
    for mode in ("free", "forced"):
        exact = compare(real, replace(other, guess=Guess(mode=mode)), Equality.EXACT)
        assert diverges(exact) == (1, "format", None, None, None)


def test_raw_text_matters_to_exact_only() -> None:
    raw = replace(FRAMES[2], raw=('{"a":"1"}', LINES[2] + "\n"))
    for mode in ("free", "forced"):
        other = predicted(*instead(2, raw), mode=mode)
        assert compare(REAL, other).first_divergence is None
        assert diverges(compare(REAL, other, Equality.EXACT))[:2] == (2, "format")


def test_forced_output_is_that_of_the_frame_that_returns() -> None:
    early = at(Event.RETURN, 2, TWO)
    last = at(Event.LINE, 6)
    comparison = compare(
        REAL, predicted(*(early if i == 2 else f for i, f in enumerate(FRAMES[:-1])), last, mode="forced")
    )
    assert comparison.output is False
    assert compare(REAL, predicted(*instead(2, early), mode="forced")).output is True


def test_a_forced_end_is_an_early_end() -> None:
    after = at(Event.LINE, 5, a=TWO, b=ONE)
    frames = (*FRAMES[:3], Frame(Event.END, 0, ""), after, *FRAMES[5:])
    comparison = compare(REAL, predicted(*frames, mode="forced"))
    assert diverges(comparison) == (3, "early end", None, "line: a = 2", None)
    assert comparison.state_exact == Rate(4, 5)


def test_a_raised_entry_has_no_output() -> None:
    real = replace(REAL, frames=(*FRAMES[:6], at(Event.RETURN, 6)), outcome=Outcome.RAISED)
    assert compare(real, predicted(*FRAMES)).output is None


def test_other_programs_are_not_compared() -> None:
    other = replace(REAL, program=replace(REAL.program, files=(SourceFile("p.py", "pass\n"),)))
    with pytest.raises(CwmTraceError, match="different programs"):
        compare(REAL, other)
