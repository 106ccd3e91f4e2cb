"""Predictors without a model: the floors and the ceiling that every report shows."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from cwm_trace.flow import FlowFollower
from cwm_trace.predict.known_frames import NOTHING, History, Known, Prediction
from cwm_trace.predict.modes import ModeKind, keep_frames, parse_mode, visible_indices
from cwm_trace.predict.protocol import Predictor, Request, as_prediction, require_truth
from cwm_trace.predict.stepping import roll_out
from cwm_trace.predict.successors import Successors
from cwm_trace.records import UNCHANGED, Decoding, Event, Frame, Outcome, Slot, State, Trace
from cwm_trace.wire.context import source_lines
from cwm_trace.wire.lines import LineResolver


class CopyPredictor:
    """Nothing changes, and execution goes on with the next line of the text.

    At the end of a function it returns `None`. Blank lines and comments are passed over.
    """

    name = "copy"
    decoding = Decoding("copy")

    def __init__(self) -> None:
        self._program: Trace | None = None

    def predict(self, request: Request) -> Trace:
        """Roll out step by step."""
        return roll_out(self, request)

    def step(self, history: History, known: Known = NOTHING) -> Prediction | None:
        """The next frame."""
        if not history.stack:
            return None
        guess = self.guess(history)
        if known.event is None or known.event is guess.frame.event:
            return guess if known.state is None else replace(guess, state=known.state)
        return _with_event(guess, known, history)

    def guess(self, history: History) -> Prediction:
        """The next frame, of an event that is not known."""
        return self._next(history)

    def _next(self, history: History) -> Prediction:
        if self._program is not history.program:
            self._program = history.program
            self._lines = [source_lines(file.text) for file in history.program.files]
            self._resolvers = [LineResolver(lines) for lines in self._lines]
            self._calls: dict[int, int] = {}
        last = history.stack[-1]
        if last.event is Event.CALL:
            self._calls.setdefault(last.activation, last.line)
        line = self._next_line(history, last)
        if line is None:
            return Prediction(
                replace(last, event=Event.RETURN, changed={}, value=Slot("None", "NoneType"), message=None)
            )
        frame = replace(
            last,
            event=Event.LINE,
            line=line,
            source=self._lines[last.file][line - 1],
            changed={},
            value=None,
            message=None,
        )
        return Prediction(frame, history.states.state(last.activation))

    def _next_line(self, history: History, last: Frame) -> int | None:
        if last.file >= len(self._lines):
            return None
        lines = self._lines[last.file]
        whole_file = last.depth == 0 and history.program.entry == "<module>"
        called = self._calls.get(last.activation)
        if called is None:  # the history began within it
            calls = (f.line for f in history.frames if f.activation == last.activation)
            called = self._calls[last.activation] = next(calls)
        end = len(lines) if whole_file else self._resolvers[last.file].span(called)[1]
        start = 0 if whole_file and last.event is Event.CALL else last.line
        for number in range(start + 1, min(end, len(lines)) + 1):
            text = lines[number - 1].strip()
            if text and not text.startswith("#"):
                return number
        return None


def _with_event(guess: Prediction, known: Known, history: History) -> Prediction:
    """The guess with another event: an end is on the last line, a call starts with nothing bound."""
    assert known.event is not None
    last = history.stack[-1]
    if known.event in (Event.RETURN, Event.EXCEPTION):
        nothing = Slot("None", "NoneType")
        return Prediction(replace(last, event=known.event, changed={}, value=nothing, message=None))
    frame = replace(guess.frame, event=known.event, value=None)
    if known.event is Event.LINE:
        state = history.states.state(last.activation)
    else:
        state = {}
        frame = replace(frame, activation=len(history.states), depth=last.depth + 1)
    return Prediction(frame, state if known.state is None else known.state)


class UnchangedPredictor(CopyPredictor):
    """Writes `..` for every variable and goes on as `copy` does.

    It copies as well, but what it writes has no value where the unbroken run of the activation ended: after a
    call that returned, `..` is dangling.
    """

    name = "unchanged"
    decoding = Decoding("unchanged")

    def guess(self, history: History) -> Prediction:
        """The next frame."""
        guess = super().guess(history)
        if not guess.state or history.frames[-1].activation == guess.frame.activation:
            return guess
        return replace(guess, state=dict.fromkeys(guess.state, Slot(UNCHANGED)))


class HaltPredictor:
    """Says that the execution has ended, always."""

    name = "halt"
    decoding = Decoding("halt")

    def predict(self, request: Request) -> Trace:
        """Roll out step by step."""
        return roll_out(self, request)

    def step(self, history: History, known: Known = NOTHING) -> Prediction | None:  # noqa: ARG002
        """Nothing follows."""
        return None


class FrequentPredictor(CopyPredictor):
    """Nothing changes, and what followed this place most often so far follows again.

    Where nothing has followed it yet, it goes on as `copy` does. A call gets the arguments, a return the
    value, that were seen last at the line.
    """

    name = "frequent"
    decoding = Decoding("frequent")

    def __init__(self) -> None:
        super().__init__()
        self._successors = Successors()

    def step(self, history: History, known: Known = NOTHING) -> Prediction | None:
        """The next frame."""
        self._successors.follow(history.frames)
        frame = self._successors.most_frequent(history, known.event) if history.stack else None
        if frame is None:
            return super().step(history, known)
        last = history.stack[-1]
        if frame.event is Event.CALL:
            guess = replace(frame, activation=len(history.states), depth=last.depth + 1)
            state: State | None = {name: slot for name, slot in frame.changed.items() if slot is not None}
        else:
            guess = replace(frame, activation=last.activation, depth=last.depth)
            state = history.states.state(last.activation) if frame.event is Event.LINE else None
        return Prediction(replace(guess, changed={}, raw=None, logprobs=None), known.state or state)


class FlowCopyPredictor(CopyPredictor):
    """What the rules of `cwm_trace.flow` decide without any model; where they leave a choice, the first.

    Nothing changes, and execution goes on with the first legal line: the next one in the text, or else the
    first. Where no line may follow it returns `None`, calls, or raises, the first of these that is legal.
    """

    name = "flow-copy"
    decoding = Decoding("flow-copy")

    def __init__(self) -> None:
        super().__init__()
        self._follower = FlowFollower()

    def step(self, history: History, known: Known = NOTHING) -> Prediction | None:
        """The next frame."""
        legal = self._follower.follow(history.program, history.frames).legal()
        if not history.stack or legal.events == {Event.END}:
            return None
        last = history.stack[-1]
        events = _PREFERENCE if known.event is None else (known.event,)
        for event in events:
            lines = legal.lines.get(event) if event in legal.events else None
            if lines:
                return self._at(event, _first(lines, last), history, known)
        return super().step(history, known)

    def _at(self, event: Event, place: tuple[int, int], history: History, known: Known) -> Prediction:
        """A frame of this event there."""
        guess = _with_event(self.guess(history), replace(known, event=event), history)
        file, line = place
        lines = source_lines(history.program.files[file].text)
        source = lines[line - 1] if 0 < line <= len(lines) else ""
        return replace(guess, frame=replace(guess.frame, file=file, line=line, source=source))


_PREFERENCE = (Event.LINE, Event.RETURN, Event.CALL, Event.EXCEPTION)


def _first(lines: Iterable[tuple[int, int]], last: Frame) -> tuple[int, int]:
    """The next line in the text of the running function's file; else the first one."""
    return min(lines, key=lambda place: (place[0] != last.file, place[1] <= last.line, place[1]))


class OraclePredictor:
    """Replays the truth: every accuracy of it must be 1."""

    name = "oracle"
    decoding = Decoding("oracle")

    def predict(self, request: Request) -> Trace:
        """The true trace, up to the request's number of frames."""
        truth = require_truth(request, "the oracle")
        given = len(request.history.frames)
        has_own_history = not parse_mode(request.mode).needs_truth
        frames = truth.frames[: given + request.max_frames] if has_own_history else truth.frames
        cut = len(frames) < len(truth.frames)
        outcome = Outcome.TRUNCATED if cut else truth.outcome
        replay = as_prediction(
            replace(request, history=replace(truth, frames=truth.frames[:given])),
            frames,
            outcome,
            self.decoding,
        )
        mode = parse_mode(request.mode)
        if mode.kind is ModeKind.FREE:
            return replay
        return keep_frames(replay, visible_indices(replay, mode))


BASELINES: dict[str, Callable[[], Predictor]] = {
    "copy": CopyPredictor,
    "oracle": OraclePredictor,
    "unchanged": UnchangedPredictor,
    "frequent": FrequentPredictor,
    "halt": HaltPredictor,
    "flow-copy": FlowCopyPredictor,
}
"""By name. `copy` is the textual next line as well: it is what skill is measured against."""
