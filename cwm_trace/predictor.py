"""The protocol of everything that predicts executions, from a baseline to a server with a 32B model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from cwm_trace.errors import CwmTraceError
from cwm_trace.records import Event, Frame, Outcome, State, Trace
from cwm_trace.states import Activations, diff_states

MODES = ("free", "forced")


@dataclass(frozen=True)
class Request:
    """What is to be predicted.

    Args:
        history: the program, and the frames that are known: at least the CALL of the entry.
        mode: `free`: the rest of the trace from `history` on; `forced`: every frame of `truth` after those
            of `history`, each from the true frames before it.
        truth: the real trace, for the modes and predictors that need it.
        max_frames: frames after which a free prediction stops, incomplete.
    """

    history: Trace
    mode: str = "free"
    truth: Trace | None = None
    max_frames: int = 10_000


class Predictor(Protocol):
    """Predicts executions."""

    @property
    def name(self) -> str:
        """What reports call it."""

    def predict(self, request: Request) -> Trace:
        """The history and the predicted frames; `given` counts the former, `mode` is the request's.

        Raises:
            CwmTraceError: this predictor cannot do that.
        """


@dataclass(frozen=True)
class Prediction:
    """What a step predictor says comes next: a frame, and the whole state of a CALL or LINE."""

    frame: Frame
    state: State | None = None


class StepPredictor(Protocol):
    """Predicts one frame at a time; `roll_out` makes a `Predictor` of it."""

    def step(self, history: History) -> Prediction | None:
        """The next frame; None if the trace has ended."""


class History:
    """The frames so far, with what a step predictor looks at: open activations and their states."""

    def __init__(self, program: Trace) -> None:
        self.program = program
        self.frames: list[Frame] = []
        self.states = Activations()
        self._stacks: dict[int, list[Frame]] = {}

    @property
    def stack(self) -> list[Frame]:
        """The last frame of every open activation of the running thread, the running one last."""
        return self._stacks.setdefault(self.frames[-1].thread if self.frames else 0, [])

    def push(self, frame: Frame) -> None:
        """Add a frame."""
        self.frames.append(frame)
        self.states.advance(frame)
        stack = self.stack
        while stack and stack[-1].depth >= frame.depth:
            stack.pop()
        if frame.event is not Event.RETURN:
            stack.append(frame)


def roll_out(predictor: StepPredictor, request: Request) -> Trace:
    """Predict in mode `free` or `forced`, step by step.

    Raises:
        CwmTraceError: another mode, or `forced` without the truth.
    """
    match request.mode:
        case "free":
            return _free(predictor, request)
        case "forced":
            return _forced(predictor, request)
        case _:
            raise CwmTraceError(f"there is no mode {request.mode!r}: choose one of {', '.join(MODES)}")


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


def _free(predictor: StepPredictor, request: Request) -> Trace:
    history = History(request.history)
    for frame in request.history.frames:
        history.push(frame)
    for _ in range(request.max_frames):
        prediction = predictor.step(history)
        if prediction is None:
            return _predicted(request, history.frames, Outcome.RETURNED)
        before = history.states.state(prediction.frame.activation)
        after = before if prediction.state is None else prediction.state
        history.push(replace(prediction.frame, changed=diff_states(before, after)))
    return _predicted(request, history.frames, Outcome.INCOMPLETE)


def _forced(predictor: StepPredictor, request: Request) -> Trace:
    truth = require_truth(request, "mode 'forced'")
    given = len(request.history.frames)
    history = History(request.history)
    chain = Activations()  # of the predicted frames, so that they resolve by themselves
    frames = []
    for real in truth.frames[:given]:
        chain.advance(real)
        history.push(real)
        frames.append(real)
    for real in truth.frames[given:]:
        prediction = predictor.step(history) or Prediction(Frame(Event.END, 0, ""))
        frame = prediction.frame
        if prediction.state is not None:
            frame = replace(frame, changed=chain.change(frame.activation, prediction.state))
        frames.append(frame)
        history.push(real)
    return _predicted(request, frames, truth.outcome)


def _predicted(request: Request, frames: list[Frame], outcome: Outcome) -> Trace:
    return replace(
        request.history,
        frames=tuple(frames),
        outcome=outcome,
        mode=request.mode,
        given=len(request.history.frames),
        python="",
        exit_code=None,
        output=None,
        not_recorded=(),
        warnings=(),
    )
