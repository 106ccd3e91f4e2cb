from __future__ import annotations

import json
from dataclasses import replace

from hypothesis import given

from cwm_trace.eval.comparison import compare
from cwm_trace.records import Guess, Outcome, Problem, Trace
from cwm_trace.rendering.as_json import comparison_json, trace_json
from cwm_trace.states import resolve_states
from tests.effort import examples
from tests.traces import traces


@examples(0.3)
@given(traces())
def test_a_trace_is_shown_with_its_whole_states(trace: Trace) -> None:
    shown = json.loads(trace_json(trace))
    states = resolve_states(trace.frames)
    assert [frame["event"] for frame in shown["frames"]] == [frame.event.value for frame in trace.frames]
    for index, (frame, state) in enumerate(zip(shown["frames"], states, strict=True)):
        assert frame["index"] == index
        assert frame.get("state") == (None if state is None else {n: s.text for n, s in state.items()})
    assert shown["outcome"] == trace.outcome.value


@examples(0.3)
@given(traces())
def test_part_of_a_trace_keeps_its_states(trace: Trace) -> None:
    whole = json.loads(trace_json(trace))["frames"]
    assert json.loads(trace_json(trace, 1, 3))["frames"] == whole[1:3]
    assert json.loads(trace_json(trace, -2))["frames"] == whole[-2:]


@examples(0.3)
@given(traces())
def test_problems_are_shown(trace: Trace) -> None:
    problem = Problem("tokens", 0, 4, "bad")
    shown = json.loads(trace_json(replace(trace, guess=replace(trace.guess, problems=(problem,)))))
    assert shown["problems"] == [{"grade": "tokens", "frame": 0, "position": 4, "message": "bad"}]


@examples(0.3)
@given(traces())
def test_a_comparison_is_its_numbers(trace: Trace) -> None:
    start = replace(
        trace, frames=trace.frames[:-1], outcome=Outcome.RETURNED, guess=Guess(mode="free", given=0)
    )
    shown = json.loads(comparison_json(compare(trace, start)))
    total = len(trace.frames)
    assert shown["frame_exact"] == {"value": (total - 1) / total, "hits": total - 1, "total": total}
    assert shown["first_divergence"]["cause"] == "early end"
    assert shown["surplus_frames"] == 0
    assert set(shown["changed_slots"]) >= {"f1", "precision", "recall"}
