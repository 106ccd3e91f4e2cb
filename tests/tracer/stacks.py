"""The law of every trace: its frames are those of stacks."""

from __future__ import annotations

from cwm_trace import Event, Trace


def check_stacks(trace: Trace) -> None:
    """Every frame is on top of its thread's stack, and every resume is a CALL.

    At the end of a recording activations may still run; where an activation was left without a RETURN, the
    trace warns about what it could not record.
    """
    stacks: dict[int, list[int]] = {}
    for number, frame in enumerate(trace.frames):
        stack = stacks.setdefault(frame.thread, [])
        where = f"frame {number}: {frame}"
        if frame.event is Event.CALL:
            assert frame.activation not in stack, f"a CALL of what runs already, {where}"
            stack.append(frame.activation)
        assert stack, f"nothing runs, {where}"
        assert stack[-1] == frame.activation, f"not on top, {where}"
        assert frame.depth == len(stack) - 1, f"depth {frame.depth} of {len(stack) - 1}, {where}"
        if frame.event is Event.RETURN:
            stack.pop()
