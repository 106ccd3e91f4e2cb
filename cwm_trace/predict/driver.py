"""Every mode, once: a writer says what it predicts for each segment of a plan, and this makes the trace.

A writer that goes step by step, a model in this process and one behind a server differ in how they write a
segment. Where frames stand, what a lost one leaves behind, how predicted states resolve, how a prediction
ends and who is told of its frames is decided here.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, field, replace
from typing import Protocol

from cwm_trace.predict.known_frames import NO_MORE
from cwm_trace.predict.plan import Plan, Segment
from cwm_trace.predict.protocol import as_prediction
from cwm_trace.records import Cost, Decoding, Frame, Outcome, Problem, Trace
from cwm_trace.states import Activations
from cwm_trace.wire.render import STATEFUL

HIDDEN = (
    "frames of other threads, and after the return of the entry, cannot be shown to a model: they stand as"
    " not predicted"
)

Texts = tuple[str, str]


@dataclass(slots=True)
class Written:
    """What is predicted for one segment.

    Args:
        frames: in their order; `changed` is against the frames before, the true ones and its own.
        outcome: how it ended; None: it has as many frames as were asked for.
        problems: places where it is not valid; numbered from the first of `frames`.
        lost: stands for a next frame that was begun and is none; None: none was begun.
        texts: the two texts of each frame, of a writer that writes texts.
        fits: how many places of the segment fit the predictor; None: all. Where not all do, the prediction is
            truncated behind them.
    """

    frames: list[Frame] = field(default_factory=list)
    outcome: Outcome | None = None
    problems: list[Problem] = field(default_factory=list)
    lost: Frame | None = None
    texts: list[Texts | None] = field(default_factory=list)
    fits: int | None = None


class Writer(Protocol):
    """Writes the segments of a plan."""

    @property
    def decoding(self) -> Decoding:
        """Who it is and how it predicts."""

    def write(self, plan: Plan) -> Iterator[Frame | Written]:
        """What it predicts: for each segment, in their order, a `Written`, fewer if the rest does not fit.

        Where the mode has its own history, the frames as they come before that.

        Raises:
            CwmTraceError: it cannot do that.
        """

    def cost(self) -> Cost | None:
        """What it took so far; None if nobody counts."""

    def warnings(self) -> tuple[str, ...]:
        """What a reader of the prediction must know about it, a sentence each."""


def drive(plan: Plan, writer: Writer) -> Trace:
    """Predict, and tell the request's `on_frame`."""
    frames = stream(plan, writer)
    on_frame = plan.request.on_frame
    while True:
        try:
            frame = next(frames)
        except StopIteration as done:
            trace: Trace = done.value
            return trace
        if on_frame is not None:
            on_frame(frame)


def stream(plan: Plan, writer: Writer) -> Generator[Frame, None, Trace]:
    """The predicted frames as they stand; the generator's value is the trace."""
    assembly = Assembly(plan)
    for item in writer.write(plan):
        if isinstance(item, Frame):
            yield item
        else:
            new = assembly.add(item)
            if plan.follows:
                yield from new
    yield from assembly.fill_to_the_end() if plan.follows else ()
    return assembly.trace(writer)


class Assembly:
    """The trace of a prediction while its segments come in."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._left = list(reversed(plan.segments))
        self._true, self._chain = Activations(), Activations()
        self._read = 0  # true frames that `_true` knows
        self._outcome: Outcome | None = None
        self._problems: list[Problem] = []
        self.frames: list[Frame] = list(plan.request.history.frames)
        for frame in self.frames:
            self._chain.apply(frame)

    def add(self, written: Written) -> list[Frame]:
        """Take what is predicted for the next segment; returns the frames that it brings."""
        segment = self._left.pop()
        if written.fits is not None:
            self._left = [segment]  # what remains of it, and all behind it, is not predicted
            segment = replace(segment, places=segment.places[: written.fits])
        start = len(self.frames)
        if self._plan.follows:
            self._fill(segment.start)
            first = len(self.frames)
            self._place(segment, written)
        else:
            first = start
            self.frames += written.frames
            self._outcome = written.outcome or Outcome.TRUNCATED
        self._problems += (replace(problem, frame=first + problem.frame) for problem in written.problems)
        return self.frames[start:]

    def fill_to_the_end(self) -> list[Frame]:
        """Stand-ins for the true frames behind the last segment, if every segment was written."""
        start = len(self.frames)
        if not self._left:
            self._fill(len(self._plan.frames))
        return self.frames[start:]

    def trace(self, writer: Writer) -> Trace:
        """The prediction that a writer has written."""
        outcome = self._outcome
        if self._plan.follows:
            truth = self._plan.request.truth
            assert truth is not None
            surplus = len(self.frames) > len(truth.frames)
            outcome = Outcome.TRUNCATED if self._left else Outcome.INCOMPLETE if surplus else truth.outcome
        outcome = outcome or Outcome.TRUNCATED
        trace = as_prediction(self._plan.request, self.frames, outcome, writer.decoding, writer.cost())
        warnings = (*writer.warnings(), *((HIDDEN,) if self._plan.hidden else ()))
        guess = replace(trace.guess, problems=tuple(self._problems))
        return replace(trace, warnings=warnings, guess=guess)

    def _place(self, segment: Segment, written: Written) -> None:
        """Put predicted frames at the places of the true ones, resolvable by themselves."""
        for frame in self._plan.frames[self._read : segment.start]:
            self._true.apply(frame)
        self._read = segment.start
        states = self._true.fork() if len(segment.places) > 1 else self._true
        predicted = list(written.frames)
        texts: list[Texts | None] = list(written.texts) or [None] * len(predicted)
        if not segment.places:
            if not predicted and written.lost is not None:
                self.frames.append(written.lost)
            predicted = predicted[:1]
        elif len(predicted) < len(segment.places):
            predicted.append(written.lost or NO_MORE.frame)
        for index, frame in enumerate(predicted):
            if segment.places:
                self._fill(segment.places[index])
            if frame.event in STATEFUL:
                state = states.advance(frame) if len(segment.places) > 1 else states.after(frame)
                changed = self._chain.change(frame.activation, state)
                text = texts[index] if index < len(texts) else frame.raw
                if text != frame.raw and [*self._chain.state(frame.activation)] == [*state]:
                    text = frame.raw  # which rendering the record again gives
                if changed or frame.changed or text != frame.raw:
                    frame = replace(frame, changed=changed, raw=text)
            self.frames.append(frame)
        for place in segment.places[len(predicted) :]:
            self._fill(place)
            self.frames.append(NO_MORE.frame)

    def _fill(self, until: int) -> None:
        """Stand-ins for true frames that cannot be shown to the predictor."""
        self.frames += [NO_MORE.frame] * (until - len(self.frames))
