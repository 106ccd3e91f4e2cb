"""The protocol of everything that predicts executions, from a baseline to a server with a 32B model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, runtime_checkable

from cwm_trace.errors import CwmTraceError
from cwm_trace.predict.known_frames import History, Known, Prediction
from cwm_trace.predict.modes import parse_mode
from cwm_trace.records import Cost, Decoding, Frame, Guess, Outcome, Run, Trace
from cwm_trace.wire.render import ENDED as ENDED  # outcomes after which predicting the end is right


@dataclass(frozen=True)
class Request:
    """What is to be predicted.

    Args:
        history: the program, and the frames that are known: at least the CALL of the entry.
        mode: name of a mode (see `cwm_trace.predict.modes`). The forced ones predict every frame of `truth`
            after those of `history`, and its end.
        truth: the real trace, for the modes and predictors that need it.
        max_frames: frames after which a prediction that has its own history stops, truncated.
        sample: number of the draw, where the predictor samples.
        on_frame: is called with each predicted frame once it stands: as it comes where the prediction has its
            own history, in the order of the true frames where it goes back to them.
    """

    history: Trace
    mode: str = "free"
    truth: Trace | None = None
    max_frames: int = 10_000
    sample: int = 0
    on_frame: Callable[[Frame], None] | None = field(default=None, compare=False)


class RefusedError(CwmTraceError):
    """One request was refused, by a server; others may be answered."""


class Predictor(Protocol):
    """Predicts executions."""

    @property
    def name(self) -> str:
        """What reports call it."""

    @property
    def decoding(self) -> Decoding:
        """Who it is and how it predicts; stands in every trace it makes."""

    def predict(self, request: Request) -> Trace:
        """The history and the predicted frames; `given` counts the former, `mode` is the request's.

        The outcome is `truncated` if a budget of tokens or frames ended the prediction. In a forced mode the
        frames stand at the positions of the true ones; an `END` frame says "nothing follows" where something
        does, a frame beyond the true ones says that something follows where nothing does.

        Raises:
            CwmTraceError: this predictor cannot do that.
        """


@runtime_checkable
class BatchPredictor(Predictor, Protocol):
    """A predictor that is faster with several requests at a time."""

    def predict_all(self, requests: Sequence[Request]) -> Iterator[tuple[int, Trace]]:
        """The index of each request with its prediction, in whatever order they are done."""


def predict_all(predictor: Predictor, requests: Sequence[Request]) -> Iterator[tuple[int, Trace]]:
    """Predict many, all at once if the predictor can; results come as they are done."""
    if isinstance(predictor, BatchPredictor):
        return predictor.predict_all(requests)
    return ((index, predictor.predict(request)) for index, request in enumerate(requests))


@runtime_checkable
class StepPredictor(Protocol):
    """Predicts one frame at a time, after any history; `roll_out` makes a `Predictor` of it."""

    @property
    def decoding(self) -> Decoding:
        """Who it is and how it predicts."""

    def step(self, history: History, known: Known = ...) -> Prediction | None:
        """The next frame; None if the trace has ended."""


def require_truth(request: Request, what: str) -> Trace:
    """The real trace of a request.

    Raises:
        CwmTraceError: it has none, or one of another program.
    """
    if request.truth is None:
        raise CwmTraceError(f"{what} needs the real trace: record it and give it as the history")
    if request.truth.files[0].text != request.history.files[0].text:
        raise CwmTraceError("the history is the trace of another program")
    return request.truth


def as_prediction(
    request: Request, frames: Sequence[Frame], outcome: Outcome, decoding: Decoding, cost: Cost | None = None
) -> Trace:
    """The trace of a prediction: it claims nothing that only a run can know."""
    return replace(
        request.history,
        frames=tuple(frames),
        outcome=outcome,
        profile=decoding.profile,
        warnings=(),
        run=Run(),
        guess=Guess(
            mode=str(parse_mode(request.mode)),
            given=len(request.history.frames),
            decoding=replace(decoding, sample=request.sample),
            cost=cost,
        ),
    )
