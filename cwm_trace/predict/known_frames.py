"""The frames so far, as a predictor looks at them, and what it may say and be told about the next one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from cwm_trace.predict.modes import Mode, ModeKind
from cwm_trace.records import Event, Frame, State, Trace
from cwm_trace.states import Activations, diff_states


@dataclass(frozen=True)
class Prediction:
    """What comes next: a frame, and the whole state of a CALL or LINE."""

    frame: Frame
    state: State | None = None


NO_MORE = Prediction(Frame(Event.END, 0, ""))
"""The prediction that nothing follows, where it needs a frame of its own."""


@dataclass(frozen=True)
class Known:
    """What a predictor is told of the frame that it is to predict.

    Args:
        event: its event.
        state: its state, of a CALL or LINE whose event is known too.
    """

    event: Event | None = None
    state: State | None = None


NOTHING = Known()


class History:
    """The frames so far, with what a step predictor looks at: open activations and their states."""

    def __init__(self, program: Trace, frames: Iterable[Frame] = ()) -> None:
        self.program = program
        self.frames: list[Frame] = []
        self.states = Activations()
        self._stacks: dict[int, list[Frame]] = {}
        for frame in frames:
            self.push(frame)

    @property
    def stack(self) -> list[Frame]:
        """The last frame of every open activation of the running thread, the running one last."""
        return self._stacks.setdefault(self.frames[-1].thread if self.frames else 0, [])

    def push(self, frame: Frame) -> None:
        """Add a frame."""
        self.frames.append(frame)
        self.states.apply(frame)
        stack = self.stack
        while stack and stack[-1].depth >= frame.depth:
            stack.pop()
        if frame.event is not Event.RETURN:
            stack.append(frame)

    def predict(self, prediction: Prediction) -> Frame:
        """Add a predicted frame as if it had happened; returns it with its changes."""
        frame = self.with_changes(prediction)
        self.push(frame)
        return frame

    def with_changes(self, prediction: Prediction) -> Frame:
        """The predicted frame with what it changes, without adding it."""
        before = self.states.state(prediction.frame.activation)
        after = before if prediction.state is None else prediction.state
        changed = diff_states(before, after)
        frame = prediction.frame
        return replace(frame, changed=changed) if changed or frame.changed else frame

    def fork(self) -> History:
        """A copy that goes on by itself."""
        other = History(self.program)
        other.frames = list(self.frames)
        other.states = self.states.fork()
        other._stacks = {thread: list(stack) for thread, stack in self._stacks.items()}
        return other


def forces_return(frames: Sequence[Frame], mode: Mode) -> bool:
    """Whether the mode forces the frame after `frames` to be a RETURN."""
    if mode.kind is ModeKind.STEP_OVER:
        return bool(frames) and frames[-1].event is Event.CALL and frames[-1].depth > mode.number
    return mode.kind is ModeKind.OUTPUT
