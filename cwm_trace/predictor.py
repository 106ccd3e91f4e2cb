"""The protocol of everything that predicts executions, from a baseline to a server with a 32B model."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, runtime_checkable

from cwm_trace.errors import CwmTraceError
from cwm_trace.modes import Mode, ModeKind, parse_mode
from cwm_trace.records import Cost, Decoding, Event, Frame, Outcome, State, Trace
from cwm_trace.states import Activations, diff_states

ENDED = (Outcome.RETURNED, Outcome.RAISED, Outcome.EXITED)
"""Outcomes of an execution that came to its end, so that predicting the end is right."""


@dataclass(frozen=True)
class Request:
    """What is to be predicted.

    Args:
        history: the program, and the frames that are known: at least the CALL of the entry.
        mode: name of a mode of `cwm_trace.modes`. The forced ones predict every frame of `truth` after those
            of `history`, and its end.
        truth: the real trace, for the modes and predictors that need it.
        max_frames: frames after which a prediction that has its own history stops, truncated.
        sample: number of the draw, where the predictor samples.
        on_frame: is called with each predicted frame that is whole, for a progress display.
    """

    history: Trace
    mode: str = "free"
    truth: Trace | None = None
    max_frames: int = 10_000
    sample: int = 0
    on_frame: Callable[[Frame], None] | None = field(default=None, compare=False)


class Predictor(Protocol):
    """Predicts executions."""

    @property
    def name(self) -> str:
        """What reports call it."""

    @property
    def decoding(self) -> Decoding:
        """How it predicts; stands in every trace it makes."""

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


@dataclass(frozen=True)
class Prediction:
    """What a step predictor says comes next: a frame, and the whole state of a CALL or LINE."""

    frame: Frame
    state: State | None = None


NO_MORE = Prediction(Frame(Event.END, 0, ""))
"""The prediction that nothing follows, where it needs a frame of its own."""


@dataclass(frozen=True)
class Known:
    """What a step predictor is told of the frame that it is to predict.

    Args:
        event: its event.
        state: its state, of a CALL or LINE whose event is known too.
    """

    event: Event | None = None
    state: State | None = None


NOTHING = Known()


@runtime_checkable
class StepPredictor(Protocol):
    """Predicts one frame at a time; `roll_out` makes a `Predictor` of it."""

    @property
    def decoding(self) -> Decoding:
        """How it predicts."""

    def step(self, history: History, known: Known = NOTHING) -> Prediction | None:
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

    def predict(self, prediction: Prediction) -> None:
        """Add a predicted frame as if it had happened."""
        before = self.states.state(prediction.frame.activation)
        after = before if prediction.state is None else prediction.state
        self.push(replace(prediction.frame, changed=diff_states(before, after)))

    def fork(self) -> History:
        """A copy that goes on by itself."""
        other = History(self.program)
        other.frames = list(self.frames)
        other.states = self.states.fork()
        other._stacks = {thread: list(stack) for thread, stack in self._stacks.items()}
        return other


def roll_out(predictor: StepPredictor, request: Request) -> Trace:
    """Predict in any mode, step by step.

    Raises:
        CwmTraceError: there is no such mode, or it needs the truth and has none.
    """
    mode = parse_mode(request.mode)
    if mode.needs_truth:
        return _from_the_truth(predictor, request, mode)
    return _free(predictor, request, mode)


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


def forces_return(frames: Sequence[Frame], mode: Mode) -> bool:
    """Whether the mode forces the frame after `frames` to be a RETURN."""
    if mode.kind is ModeKind.STEP_OVER:
        return bool(frames) and frames[-1].event is Event.CALL and frames[-1].depth > mode.number
    return mode.kind is ModeKind.OUTPUT


def as_prediction(
    request: Request, frames: Sequence[Frame], outcome: Outcome, decoding: Decoding, cost: Cost | None = None
) -> Trace:
    """The trace of a prediction: it claims nothing that only a run can know."""
    return replace(
        request.history,
        frames=tuple(frames),
        outcome=outcome,
        mode=str(parse_mode(request.mode)),
        given=len(request.history.frames),
        decoding=replace(decoding, sample=request.sample),
        cost=cost,
        python="",
        exit_code=None,
        output=None,
        not_recorded=(),
        warnings=(),
    )


def _free(predictor: StepPredictor, request: Request, mode: Mode) -> Trace:
    history = History(request.history)
    for frame in request.history.frames:
        history.push(frame)
    outcome = Outcome.RETURNED
    for count in itertools.count():
        if mode.kind is ModeKind.OUTPUT and not history.stack:
            break
        known = Known(Event.RETURN) if forces_return(history.frames, mode) else NOTHING
        prediction = predictor.step(history, known) if count < request.max_frames else None
        if prediction is None:
            outcome = Outcome.RETURNED if count < request.max_frames else Outcome.TRUNCATED
            break
        history.predict(prediction)
    return as_prediction(request, history.frames, outcome, predictor.decoding)


def _from_the_truth(predictor: StepPredictor, request: Request, mode: Mode) -> Trace:
    """Blocks of frames, each after the true ones before it; a forced mode has blocks of one frame."""
    truth = require_truth(request, f"mode '{mode}'")
    size = 1 if mode.is_forced else mode.number
    given = len(request.history.frames)
    history = History(request.history)
    chain = Activations()  # of the predicted frames, so that they resolve by themselves
    frames: list[Frame] = []
    for real in truth.frames[:given]:
        chain.advance(real)
        history.push(real)
        frames.append(real)

    def add(prediction: Prediction) -> None:
        frame = prediction.frame
        if prediction.state is not None:
            frame = replace(frame, changed=chain.change(frame.activation, prediction.state))
        frames.append(frame)

    for start in range(given, len(truth.frames), size):
        block = truth.frames[start : start + size]
        branch = history if size == 1 else history.fork()
        prediction: Prediction | None = NO_MORE
        for real in block:
            if prediction is not None:
                prediction = predictor.step(branch, _known(history, real, mode))
            add(prediction or NO_MORE)
            if prediction is not None and size > 1:
                branch.predict(prediction)
        for real in block:
            history.push(real)
    outcome = truth.outcome
    if mode.kind is ModeKind.FORCED and outcome in ENDED:
        surplus = predictor.step(history)
        if surplus is not None:
            add(surplus)
            outcome = Outcome.INCOMPLETE
    return as_prediction(request, frames, outcome, predictor.decoding)


def _known(history: History, real: Frame, mode: Mode) -> Known:
    match mode.kind:
        case ModeKind.FORCED_EVENT:
            return Known(real.event)
        case ModeKind.FORCED_STATE:
            stateful = real.event in (Event.CALL, Event.LINE)
            return Known(real.event, history.states.after(real) if stateful else None)
        case _:
            return NOTHING
