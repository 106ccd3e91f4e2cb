"""A predictor out of any model that continues ids: one prediction, many, a step, frames as they come."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import replace

from cwm_trace.model.predict.backend import Meter
from cwm_trace.model.predict.prediction import PromptTooLongError, Setup
from cwm_trace.model.predict.writer import ModelWriter
from cwm_trace.predict.driver import Assembly, drive, stream
from cwm_trace.predict.known_frames import NOTHING, History, Known, Prediction
from cwm_trace.predict.plan import Plan, make_plan
from cwm_trace.predict.protocol import Request, as_prediction
from cwm_trace.records import Decoding, Frame, Outcome, Trace
from cwm_trace.wire.render import STATEFUL, shown_indices
from cwm_trace.wire.tokens import TraceTokens


class ModelPredictor:
    """Predicts executions with a model.

    Args:
        setup: the model, and how it decodes.
        concurrency: predictions at a time, for a model that many may ask at once.
    """

    def __init__(self, setup: Setup, concurrency: int = 1) -> None:
        self.setup = setup
        self._concurrency = concurrency

    @property
    def name(self) -> str:
        """What messages call it."""
        return self.setup.name

    @property
    def decoding(self) -> Decoding:
        """Who it is and how it predicts; stands in every trace it makes."""
        return self.setup.decoding

    @property
    def tokens(self) -> TraceTokens:
        """How it writes prompts as ids."""
        return self.setup.tokens

    def predict(self, request: Request) -> Trace:
        """Predict in any mode.

        Raises:
            CwmTraceError: there is no such mode, it needs the truth and has none, the prompt does not fit, or
                the model does not answer.
        """
        plan = self._plan(request)
        return drive(plan, ModelWriter(self.setup, plan))

    def stream(self, request: Request) -> Iterator[Frame]:
        """The predicted frames as they come; in a mode that goes back to the truth, all at the end.

        Raises:
            CwmTraceError: as `predict`.
        """
        plan = self._plan(request)
        return stream(plan, ModelWriter(self.setup, plan))

    def step(self, history: History, known: Known = NOTHING) -> Prediction | None:
        """The next frame after any history, whose states may have been edited; None if the trace ends.

        Raises:
            CwmTraceError: as `predict`.
        """
        program = replace(history.program, frames=tuple(history.frames))
        plan = make_plan(Request(program, max_frames=1), known)
        writer = ModelWriter(self.setup, plan)
        start = writer.begin(plan)
        for _ in self.setup.backend.write([start], writer.meter):
            pass
        written = writer.finished(start.rollout)
        frame = written.frames[0] if written.frames else written.lost
        if frame is None:
            return None
        return Prediction(frame, history.states.after(frame) if frame.event in STATEFUL else None)

    def predict_all(self, requests: Sequence[Request]) -> Iterator[tuple[int, Trace]]:
        """Predict many; a prompt that does not fit gives a truncated prediction with a warning.

        Raises:
            CwmTraceError: as `predict`.
        """
        if self._concurrency > 1:
            yield from self._side_by_side(requests)
            return
        together: list[tuple[int, Plan, ModelWriter]] = []
        for index, request in enumerate(requests):
            try:
                plan = self._plan(request)
                writer = ModelWriter(self.setup, plan)
            except PromptTooLongError as error:
                yield index, self._too_long(request, error)
                continue
            if plan.follows or plan.draft is not None or self.setup.backend.together == 1:
                yield index, drive(plan, writer)
            else:
                together.append((index, plan, writer))
        size = self.setup.backend.together
        for at in range(0, len(together), size):
            yield from self._together(together[at : at + size])

    def _together(self, group: Sequence[tuple[int, Plan, ModelWriter]]) -> Iterator[tuple[int, Trace]]:
        starts = [writer.begin(plan) for _, plan, writer in group]
        meter = Meter()
        for row, frame in self.setup.backend.write(starts, meter):
            index, plan, writer = group[row]
            if frame is not None:
                if plan.request.on_frame is not None:
                    plan.request.on_frame(frame)
                continue
            assembly = Assembly(plan)
            assembly.add(writer.finished(starts[row].rollout))
            writer.meter.passes, writer.meter.attention = meter.passes, meter.attention
            yield index, assembly.trace(writer)

    def _side_by_side(self, requests: Sequence[Request]) -> Iterator[tuple[int, Trace]]:
        """As they are done. The first error ends all of them; so does a caller who wants no more."""
        pool = ThreadPoolExecutor(self._concurrency, "cwm-trace-predict")
        futures: dict[Future[Trace], int] = {}
        try:
            for index, request in enumerate(requests):
                futures[pool.submit(self._if_it_fits, request)] = index
            for future in as_completed(futures):
                yield futures[future], future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            self._stop()

    def _stop(self) -> None:
        """End what goes on in the background."""

    def _if_it_fits(self, request: Request) -> Trace:
        try:
            return self.predict(request)
        except PromptTooLongError as error:
            return self._too_long(request, error)

    def _too_long(self, request: Request, error: PromptTooLongError) -> Trace:
        trace = as_prediction(request, request.history.frames, Outcome.TRUNCATED, self.decoding)
        return replace(trace, warnings=(str(error),))

    def _plan(self, request: Request) -> Plan:
        shown = None if request.truth is None else shown_indices(request.truth)
        return make_plan(request, shown=shown)
