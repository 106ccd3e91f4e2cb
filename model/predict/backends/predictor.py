"""What every predictor with a model has in common: `predict`, batches, one step, and frames as they come."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from cwm_trace.model.predict.backends.asking import Asker, PromptTooLongError, Settings
from cwm_trace.model.predict.backends.backend import Backend
from cwm_trace.model.predict.backends.blocks import predict_blocks
from cwm_trace.model.predict.backends.rollout import FreeRollout
from cwm_trace.modes import parse_mode
from cwm_trace.predictor import NO_MORE, Request, as_prediction
from cwm_trace.records import Decoding, Frame, Outcome, Trace
from cwm_trace.wire.tokens import TraceTokens


class IdPredictor:
    """Predicts executions with anything that continues ids.

    Args:
        name: what reports call it.
        backend: the model.
        tokens: its ids.
        settings: how it decodes.
    """

    def __init__(self, name: str, backend: Backend, tokens: TraceTokens, settings: Settings) -> None:
        self.name = name
        self.backend, self.tokens, self.settings = backend, tokens, settings

    @property
    def decoding(self) -> Decoding:
        """How it predicts; stands in every trace it makes."""
        return self.settings.decoding

    def predict(self, request: Request) -> Trace:
        """Predict in any mode.

        Raises:
            CwmTraceError: there is no such mode, it needs the truth and has none, the prompt does not fit,
                or the model does not answer.
        """
        mode = parse_mode(request.mode)
        asker = Asker(self.backend, self.tokens, self.settings, request.sample)
        if mode.needs_truth:
            return predict_blocks(asker, request, mode)
        rollout = FreeRollout(asker, request, mode)
        for _ in rollout.frames():
            pass
        return rollout.trace()

    def predict_all(self, requests: Sequence[Request]) -> Iterator[tuple[int, Trace]]:
        """Predict many; a prompt that does not fit gives a truncated prediction with a warning.

        Raises:
            CwmTraceError: as `predict`.
        """
        for index, request in enumerate(requests):
            yield index, self.predict_if_it_fits(request)

    def predict_if_it_fits(self, request: Request) -> Trace:
        """As `predict`, but one long program does not end a run over many."""
        try:
            return self.predict(request)
        except PromptTooLongError as error:
            trace = as_prediction(request, request.history.frames, Outcome.TRUNCATED, self.decoding)
            return replace(trace, profile=self.settings.profile.name, warnings=(str(error),))

    def stream(self, request: Request) -> Iterator[Frame]:
        """The predicted frames as they come; in a mode that goes back to the truth, all at the end.

        Raises:
            CwmTraceError: as `predict`.
        """
        mode = parse_mode(request.mode)
        if mode.needs_truth:
            yield from self.predict(request).frames[len(request.history.frames) :]
        else:
            asker = Asker(self.backend, self.tokens, self.settings, request.sample)
            yield from FreeRollout(asker, request, mode).frames()

    def step(self, history: Trace, sample: int = 0) -> Frame | None:
        """The next frame after any history, whose states the caller may have edited.

        Returns:
            An `END` frame if nothing follows; None if what was said is no frame.

        Raises:
            CwmTraceError: as `predict`.
        """
        trace = self.predict(Request(history, max_frames=1, sample=sample))
        if len(trace.frames) > len(history.frames):
            return trace.frames[-1]
        return None if trace.outcome is Outcome.TRUNCATED else NO_MORE.frame
