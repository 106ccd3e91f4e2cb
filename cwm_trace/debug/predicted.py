"""A timeline that a predictor writes, a frame at a time, as far as somebody looks."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

from cwm_trace.debug.timeline import Timeline
from cwm_trace.errors import CwmTraceError
from cwm_trace.flow import FlowFollower
from cwm_trace.predict.known_frames import NOTHING, History, Known, Prediction
from cwm_trace.predict.protocol import Predictor, Request, StepPredictor
from cwm_trace.predict.stepping import left_by
from cwm_trace.records import Event, Frame, Guess, Outcome, Run, Trace

_MAX_FRAMES = 10_000
"""Frames after which a prediction stops, unless more are asked for."""


class InterruptedPredictionError(CwmTraceError):
    """Somebody asked to stop a prediction that was going on."""


@runtime_checkable
class JumpPredictor(Protocol):
    """Predicts where a jump leads at once, without the frames between: a model trained for that.

    What the debugger does with any other predictor is composed of single frames and forced RETURNs.
    """

    def jump(self, history: History, action: str) -> Prediction | None:
        """The state after `step_over` or `step_return`; None if it cannot say."""


@dataclass(frozen=True, slots=True)
class Leap:
    """How a predicted frame was come by that is not the next one of the execution.

    Args:
        action: `step_over` or `step_return`.
        style: `direct`, or `composed` of a single frame and a forced RETURN.
    """

    action: str
    style: str


class PredictedTimeline(Timeline):
    """What a predictor says of an execution, after frames that are known.

    Args:
        predictor: says it.
        program: what is executed.
        known: frames before: true ones, or a prediction's that were edited.
        truth: the real execution, for a predictor that needs it.
        sample: number of the draw.
        cancel: once it is set, a prediction that is going on is interrupted.
    """

    def __init__(
        self,
        predictor: Predictor,
        program: Trace,
        known: Sequence[Frame],
        *,
        truth: Trace | None = None,
        sample: int = 0,
        cancel: threading.Event | None = None,
    ) -> None:
        super().__init__(program)
        self.predictor = predictor
        self.given = len(known)
        self.sample = sample
        self.limit = _MAX_FRAMES
        self.leaps: dict[int, Leap] = {}
        """Frames that were leapt to."""
        self._truth = truth
        self._cancel = cancel or threading.Event()
        self._history = History(program)
        for frame in known:
            self.push(frame)

    def push(self, frame: Frame) -> None:
        """Add a frame."""
        super().push(frame)
        self._history.push(frame)

    def grow(self) -> bool:
        """Predict one more frame."""
        return self._predict(NOTHING)

    def leap(self, action: str) -> bool:
        """Predict the frame that `step_over` or `step_return` leads to, and none between.

        `step_return` is a RETURN that is forced. `step_over` is the next frame, and where that is a CALL,
        its RETURN.
        """
        if isinstance(self.predictor, JumpPredictor):
            self._require_room()
            found = self.predictor.jump(self._history, action)
            if found is not None:
                self._take(found)
                self.leaps[len(self) - 1] = Leap(action, "direct")
                return True
        if action == "step_return" or self.frames[-1].event is Event.CALL:
            grown = self._predict(Known(Event.RETURN))
            if grown:
                self.leaps[len(self) - 1] = Leap("step_return", "composed")
            return grown
        return self._predict(NOTHING)

    def alternatives(self, index: int, count: int) -> list[Frame]:
        """What else could follow the frame `index`: one frame of every event that Python allows there.

        The predictor is asked for the frame while its event is given, which any of them can be. What it says
        when nothing is given comes first.
        """
        history = History(self.program, self.frames[: index + 1])
        legal = FlowFollower().follow(self.program, history.frames).legal()
        events = [event for event in _ASKED if event in legal.events]
        found: list[Frame] = []
        for known in [NOTHING, *(Known(event) for event in events)]:
            if len(found) == count:
                break
            prediction = self._ask(history, known)
            if prediction is None:
                continue
            frame = history.fork().predict(prediction)
            if not any(_is_same(frame, other) for other in found):
                found.append(frame)
        return found

    def trace(self) -> Trace:
        """The prediction so far, as a trace."""
        outcome = self.outcome if self.ended else Outcome.TRUNCATED
        decoding = replace(self.predictor.decoding, sample=self.sample)
        return replace(
            self.program,
            frames=tuple(self.frames),
            outcome=outcome,
            profile=decoding.profile,
            warnings=(),
            run=Run(),
            guess=Guess("free", self.given, decoding),
        )

    def _predict(self, known: Known) -> bool:
        if self.ended:
            return False
        self._require_room()
        prediction = self._ask(self._history, known)
        if prediction is None:
            self.ended = True
            is_over = not self._history.stack
            self.outcome = left_by(self.frames[-1]) if is_over else Outcome.TRUNCATED
            return False
        self._take(prediction)
        return True

    def _require_room(self) -> None:
        if self._cancel.is_set():
            raise InterruptedPredictionError(f"interrupted after {len(self)} frames of the prediction")
        if len(self) >= self.limit:
            raise CwmTraceError(f"the prediction has {len(self)} frames and no end: 'limit N' lets it go on")

    def _take(self, prediction: Prediction) -> None:
        before = self._history.states.state(prediction.frame.activation)
        after = before if prediction.state is None else prediction.state
        changed = {name: slot for name, slot in after.items() if before.get(name) != slot}
        gone = {name: None for name in before if name not in after}
        self.push(replace(prediction.frame, changed={**changed, **gone}))

    def _ask(self, history: History, known: Known) -> Prediction | None:
        if isinstance(self.predictor, StepPredictor) and not self.sample:
            return self.predictor.step(history, known)
        if known is not NOTHING:
            raise CwmTraceError(
                f"{self.predictor.name} predicts whole executions only: it takes no forced event"
            )
        start = replace(self.program, frames=tuple(history.frames))
        request = Request(start, "free", self._truth, max_frames=1, sample=self.sample)
        predicted = self.predictor.predict(request)
        if len(predicted.frames) <= len(history.frames):
            return None
        frame = predicted.frames[len(history.frames)]
        has_state = frame.event in (Event.CALL, Event.LINE)
        return Prediction(frame, history.states.after(frame) if has_state else None)


_ASKED = (Event.LINE, Event.RETURN, Event.CALL, Event.EXCEPTION)


def _is_same(one: Frame, other: Frame) -> bool:
    return replace(one, logprobs=None, raw=None) == replace(other, logprobs=None, raw=None)


@dataclass(frozen=True, slots=True)
class Edit:
    """A value that was written into a frame: where a what-if begins.

    Args:
        index: of the frame.
        name: of the variable.
        text: its new value, a literal.
    """

    index: int
    name: str
    text: str

    def __str__(self) -> str:
        return f"{self.name} = {self.text} at frame {self.index}"
