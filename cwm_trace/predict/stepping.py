"""A writer out of a predictor of single steps: floors, and the slow way to do any mode."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from cwm_trace.predict.driver import Written, drive
from cwm_trace.predict.known_frames import NOTHING, History, Known, forces_return
from cwm_trace.predict.modes import ModeKind
from cwm_trace.predict.plan import Plan, Segment, make_plan, told
from cwm_trace.predict.protocol import Request, StepPredictor
from cwm_trace.records import Cost, Decoding, Event, Frame, Outcome, Trace


def roll_out(predictor: StepPredictor, request: Request) -> Trace:
    """Predict in any mode, step by step.

    Raises:
        CwmTraceError: there is no such mode, or it needs the truth and has none.
    """
    return drive(make_plan(request), StepWriter(predictor))


class StepWriter:
    """Writes segments one frame after the other.

    Args:
        predictor: says each.
    """

    def __init__(self, predictor: StepPredictor) -> None:
        self._predictor = predictor

    @property
    def decoding(self) -> Decoding:
        """That of the predictor."""
        return self._predictor.decoding

    def cost(self) -> Cost | None:
        """Nobody counts."""
        return None

    def warnings(self) -> tuple[str, ...]:
        """None."""
        return ()

    def write(self, plan: Plan) -> Iterator[Frame | Written]:
        """Each segment from the frames before it."""
        if not plan.follows:
            yield from self._go_on(plan, plan.segments[0])
            return
        history = History(plan.request.history, plan.frames[: len(plan.request.history.frames)])
        for segment in plan.segments:
            for frame in plan.frames[len(history.frames) : segment.start]:
                history.push(frame)
            yield self._segment(plan, segment, history)

    def _go_on(self, plan: Plan, segment: Segment) -> Iterator[Frame | Written]:
        history = History(plan.request.history, plan.frames)
        written = Written()
        for count in itertools.count():
            if plan.mode.kind is ModeKind.OUTPUT and not history.stack:
                written.outcome = left_by(history.frames[-1])
                break
            if count == segment.limit:
                written.outcome = Outcome.TRUNCATED
                break
            known = Known(Event.RETURN) if forces_return(history.frames, plan.mode) else NOTHING
            prediction = self._predictor.step(history, known)
            if prediction is None:
                written.outcome = Outcome.RETURNED
                break
            written.frames.append(history.predict(prediction))
            yield written.frames[-1]
        yield written

    def _segment(self, plan: Plan, segment: Segment, history: History) -> Written:
        branch = history if segment.limit == 1 else history.fork()
        written = Written()
        for count in range(segment.limit):
            real = plan.frames[segment.places[0]] if segment.places and not count else None
            known = NOTHING if real is None else told(plan.mode, real, history.states)
            prediction = self._predictor.step(branch, known)
            if prediction is None:
                break
            if segment.limit == 1:
                written.frames.append(history.with_changes(prediction))
            else:
                written.frames.append(branch.predict(prediction))
        return written


def left_by(frame: Frame) -> Outcome:
    """How an execution ended whose last frame is this one: an exception leaves by a RETURN of nothing."""
    return Outcome.RAISED if frame.event is Event.RETURN and frame.value is None else Outcome.RETURNED
