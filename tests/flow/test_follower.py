from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cwm_trace import trace_execution
from cwm_trace.flow import Flow, FlowFollower, analyse
from cwm_trace.strategies import DrawnProgram, programs


@given(programs(), st.lists(st.floats(0, 1), max_size=6))
def test_a_history_that_is_taken_back_is_as_if_it_had_never_been(
    program: DrawnProgram, ends: list[float]
) -> None:
    trace = trace_execution(program.source, call=program.call, capture_output=True)
    follower = FlowFollower()
    for end in ends:
        frames = trace.frames[: round(end * len(trace.frames))]
        assert follower.follow(trace, frames).legal() == Flow(analyse(trace), frames).legal()


def test_another_program_begins_anew() -> None:
    first = trace_execution("def f():\n    return 1\n", call="f()")
    second = trace_execution("def f():\n    x = 1\n    return x\n", call="f()")
    follower = FlowFollower()
    follower.follow(first, first.frames)
    assert (
        follower.follow(second, second.frames[:3]).legal() == Flow(analyse(second), second.frames[:3]).legal()
    )
