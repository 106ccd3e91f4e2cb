"""Programs, traces and predictors that the tests of the debugger step through."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from cwm_trace import trace_execution
from cwm_trace.debug.console import Console
from cwm_trace.debug.session import Session
from cwm_trace.predict.known_frames import NOTHING, History, Known, Prediction
from cwm_trace.predict.protocol import Request
from cwm_trace.predict.registry import find_predictor
from cwm_trace.predict.stepping import roll_out
from cwm_trace.records import Decoding, Event, Frame, Trace
from cwm_trace.states import Activations

NESTED = """\
def g(x):
    y = x + 1
    return y


def f(x):
    y = x * 2
    return y


def total(xs):
    t = 0
    for x in xs:
        t += f(g(x))
    return t
"""

CAUGHT = """\
def check(n):
    if n > 1:
        raise ValueError(n)
    return n


def run():
    found = []
    for n in range(3):
        try:
            found.append(check(n))
        except ValueError:
            found.append(None)
    return found
"""


def record(source: str, call: str) -> Trace:
    """The trace of a call."""
    return trace_execution(source, call=call)


class Scripted:
    """Says the frames of a trace in the place of a model, with changes where a test wants them."""

    name = "scripted"

    def __init__(
        self, trace: Trace, change: Callable[[int, Frame], Frame | None] = lambda _, frame: frame
    ) -> None:
        self.decoding = Decoding("scripted")
        self._trace = trace
        self._change = change
        self.asked: list[tuple[int, Known]] = []
        self.seen: list[Frame] = []

    def step(self, history: History, known: Known = NOTHING) -> Prediction | None:
        """The frame of the trace at this place; where a RETURN is forced, that of the last activation."""
        index = len(history.frames)
        self.asked.append((index, known))
        self.seen = list(history.frames)
        if index >= len(self._trace.frames):
            return None
        states = Activations()
        for frame in self._trace.frames[:index]:
            states.advance(frame)
        found = self._change(index, self._trace.frames[index])
        if found is None:
            return None
        if known.event is Event.RETURN:
            last = history.frames[-1]
            found = next(
                frame
                for frame in self._trace.frames
                if frame.event is Event.RETURN and frame.activation == last.activation
            )
        has_state = found.event in (Event.CALL, Event.LINE)
        return Prediction(found, states.after(found) if has_state else None)

    def predict(self, request: Request) -> Trace:
        """Roll out step by step."""
        return roll_out(self, request)


def console_of(real: Trace, model: str = "flow-copy") -> Console:
    """A session over a recording and a prediction."""
    return Console(Session(real, None, find_predictor(model)), find_model=find_predictor)


def positions(console: Console) -> dict[str, int]:
    """Where every track stands."""
    return {name: track.position for name, track in console.session.tracks.items()}


def without_types(trace: Trace) -> Trace:
    """What a model would say of it: texts alone."""
    frames = [
        replace(
            frame,
            changed={
                name: slot and replace(slot, type="", size=None) for name, slot in frame.changed.items()
            },
            value=frame.value and replace(frame.value, type="", size=None),
        )
        for frame in trace.frames
    ]
    return replace(trace, frames=tuple(frames))
