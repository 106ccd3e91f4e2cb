"""A debugging session: executions side by side, a position in each, stops and forks. It has no screen."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from cwm_trace.debug import travel
from cwm_trace.debug.difference import aligned, first_difference
from cwm_trace.debug.literals import read_literal, show_value
from cwm_trace.debug.predicted import Edit, InterruptedPredictionError, PredictedTimeline
from cwm_trace.debug.stops import Rule, Stops
from cwm_trace.debug.timeline import Timeline
from cwm_trace.debug.track import Track
from cwm_trace.errors import CwmTraceError
from cwm_trace.predict.protocol import Predictor
from cwm_trace.records import Event, Frame, Guess, Slot, Trace

Goal = Callable[[Timeline, int], int | None]


@dataclass(frozen=True)
class Arrival:
    """Where a move led.

    Args:
        track: that moved.
        index: the frame at which it stands now.
        reason: `step`, `goto`, `entry`, the reason of a stop, `pause`, `end` or `start`.
        text: the same for people.
        rules: the stops that were met.
        logs: what log points said on the way, by frame.
        moved: whether it stands elsewhere than before.
    """

    track: Track
    index: int
    reason: str = "step"
    text: str = ""
    rules: tuple[Rule, ...] = ()
    logs: tuple[tuple[int, str], ...] = ()
    moved: bool = True


class Session:
    """Executions of one program, the real one and predicted ones.

    Args:
        real: the recorded execution, if there is one.
        program: the program, with the CALL of its entry; left out where `real` is given.
        predictor: who predicts; None: nobody does.
    """

    def __init__(
        self, real: Trace | None = None, program: Trace | None = None, predictor: Predictor | None = None
    ) -> None:
        start = real or program
        if start is None or not start.frames:
            raise CwmTraceError("there is no frame to begin with: the trace is empty")
        self.program = replace(start, frames=(), guess=Guess())
        self.predictor = predictor
        self.stops = Stops()
        self.cancel = threading.Event()
        self.jumps = False
        """Whether `next` and `return` leap in a prediction, in the place of walking through calls."""
        self.on_predicted: Callable[[], object] = lambda: None
        """Is called after every frame that is predicted in a move."""
        self.output = real.run.output if real is not None else None
        self.tracks: dict[str, Track] = {}
        self._numbers = 0
        self._samples = 0
        self._truth = real
        self._given = start.beginning
        real_track = None
        if real is not None:
            real_track = self._add("real", Timeline(self.program, real.frames, real.outcome))
            real_track.timeline.reach(0)
        if predictor is not None:
            self._add("predicted", self._begin(predictor, self._given), truth=real_track)
        if not self.tracks:
            raise CwmTraceError("there is nothing to step through: give a trace or a model")
        self.active = [self.tracks[name] for name in ("real", "predicted") if name in self.tracks]

    # --- tracks ---

    def find(self, name: str) -> Track:
        """The track of this name.

        Raises:
            CwmTraceError: there is none.
        """
        if name not in self.tracks:
            raise CwmTraceError(f"there is no {name!r} here: there are {', '.join(self.tracks)}")
        return self.tracks[name]

    @property
    def current(self) -> Track:
        """The track that questions are about: the first of those that move."""
        return self.active[0]

    @property
    def predicted(self) -> Track:
        """The prediction that questions about predictions are about.

        Raises:
            CwmTraceError: there is none.
        """
        for track in [*self.active, *self.tracks.values()]:
            if track.is_predicted:
                return track
        raise CwmTraceError("nothing is predicted in this session: start it with a model")

    def _add(
        self,
        name: str,
        timeline: Timeline,
        truth: Track | None = None,
        *,
        edits: tuple[Edit, ...] = (),
        origin: str = "",
        position: int = 0,
    ) -> Track:
        self._numbers += 1
        track = Track(self._numbers, name, timeline, truth, edits, origin, position)
        self.tracks[name] = track
        return track

    def _begin(self, predictor: Predictor, known: Sequence[Frame], sample: int = 0) -> PredictedTimeline:
        return PredictedTimeline(
            predictor, self.program, known, truth=self._truth, sample=sample, cancel=self.cancel
        )

    # --- moves ---

    def step(self, track: Track) -> Arrival:
        """To the next frame."""
        return self._forward(track, travel.next_frame)

    def next(self, track: Track) -> Arrival:
        """To the next frame of this level."""
        leap = "step_over" if track.frame.event is not Event.RETURN else ""
        return self._forward(track, travel.next_over, leap=leap)

    def finish(self, track: Track) -> Arrival:
        """To the RETURN of this level."""
        leap = "step_return" if track.frame.event is not Event.RETURN else ""
        return self._forward(track, travel.next_return, leap=leap)

    def until(self, track: Track, line: int | None = None) -> Arrival:
        """To a line of this activation that is not above `line`, or below the present one."""
        wanted = track.frame.line + 1 if line is None else line
        return self._forward(track, lambda timeline, start: travel.next_line_from(timeline, start, wanted))

    def jump(self, track: Track, to: int | str) -> Arrival:
        """To the next time that a line is executed: of this number, or with this source text."""
        file = track.frame.file

        def goal(timeline: Timeline, start: int) -> int | None:
            if isinstance(to, int):
                return travel.next_at_line(timeline, start, file, to)
            return travel.next_with_source(timeline, start, to)

        return self._forward(track, goal)

    def run(self, track: Track, count: int) -> Arrival:
        """As many steps."""
        goal = track.position + count
        return self._forward(track, lambda timeline, _: goal if goal < len(timeline) else None)

    def go_on(self, track: Track) -> Arrival:
        """To the next stop, or the end."""
        return self._forward(track, lambda _timeline, _start: None)

    def back(self, track: Track) -> Arrival:
        """To the frame before."""
        return self._backward(track, travel.previous_frame)

    def back_over(self, track: Track) -> Arrival:
        """To the frame before of this level."""
        return self._backward(track, travel.previous_over)

    def back_to_call(self, track: Track) -> Arrival:
        """To the CALL of this level."""
        return self._backward(track, travel.previous_call)

    def back_on(self, track: Track) -> Arrival:
        """To the stop before, or the start."""
        return self._backward(track, lambda _timeline, _start: None)

    def go_to(self, track: Track, index: int) -> Arrival:
        """To a frame, whatever stops lie between.

        Raises:
            CwmTraceError: there is no such frame.
        """
        if index < 0 or not track.timeline.reach(index):
            last = len(track.timeline) - 1
            raise CwmTraceError(f"there is no frame {index} in {track.name}: it has 0 to {last}")
        return self._arrive(track, index, "goto")

    def to_end(self, track: Track) -> Arrival:
        """To the last frame."""
        while track.timeline.grow():
            pass
        return self._arrive(track, len(track.timeline) - 1, "goto")

    def _forward(self, track: Track, goal: Goal, leap: str = "") -> Arrival:
        timeline, start = track.timeline, track.position
        seen = start
        try:
            while True:
                at = goal(timeline, start)
                known = len(timeline) - 1 if at is None else at
                stop = self.stops.first(timeline, seen, known)
                if stop is not None:
                    return self._stop(track, stop)
                if at is not None:
                    return self._arrive(track, at, "step")
                seen = known
                if not self._grow(timeline, leap):
                    return self._arrive(track, len(timeline) - 1, "end")
        except InterruptedPredictionError as interrupted:
            return replace(self._arrive(track, len(timeline) - 1, "pause"), text=str(interrupted))

    def _grow(self, timeline: Timeline, leap: str) -> bool:
        if not isinstance(timeline, PredictedTimeline):
            return timeline.grow()
        self.on_predicted()
        return timeline.leap(leap) if leap and self.jumps else timeline.grow()

    def _backward(self, track: Track, goal: Goal) -> Arrival:
        timeline, start = track.timeline, track.position
        at = goal(timeline, start)
        stop = self.stops.last(timeline, start, 0 if at is None else at)
        if stop is not None and stop[0] != at:
            return self._stop(track, stop)
        if at is not None:
            return self._arrive(track, at, "step")
        return self._arrive(track, 0, "start")

    def _stop(self, track: Track, stop: tuple[int, list[Rule]]) -> Arrival:
        index, rules = stop
        text = "; ".join(str(rule) for rule in rules)
        arrival = replace(
            self._arrive(track, index, rules[0].place.reason), text=f"stop {text}", rules=tuple(rules)
        )
        for rule in rules:
            if rule.once:
                self.stops.remove(rule.number)
        return arrival

    def _arrive(self, track: Track, index: int, reason: str) -> Arrival:
        before = track.position
        first, last = (before + 1, index) if index >= before else (index, before - 1)
        logs = self.stops.logs(track.timeline, first, last) if reason != "goto" else []
        if index < before:
            logs.reverse()
        track.move(index)
        text = {"end": self.ending(track), "start": "the first frame"}.get(reason, "")
        return Arrival(track, index, reason, text, logs=tuple(logs), moved=index != before)

    def ending(self, track: Track) -> str:
        """How an execution ended, for people."""
        what = "prediction" if track.is_predicted else "execution"
        return f"the {what} ends here: {track.timeline.outcome.value}"

    # --- what if ---

    def write(self, track: Track, name: str, text: str, index: int | None = None) -> Track:
        """Fork a prediction where a variable has another value.

        Args:
            track: whose frames come before; it stays as it is.
            name: of the variable.
            text: its new value, a literal.
            index: of the frame; left out: where the track stands.

        Raises:
            CwmTraceError: it is no literal, no name, or the frame shows no variables.
        """
        value = show_value(read_literal(text))
        if not name.isidentifier():
            raise CwmTraceError(f"{name!r} is no variable: a what-if writes one by its name")
        index = track.position if index is None else index
        frame = track.timeline.frames[index]
        if frame.event not in (Event.CALL, Event.LINE):
            raise CwmTraceError(
                f"frame {index} is a {frame.event.value}, which shows no variables: write at a CALL or LINE"
            )
        edited = replace(frame, changed={**frame.changed, name: Slot(value)}, raw=None)
        frames = [*track.timeline.frames[:index], edited]
        return self._fork(track, frames, index, edits=(Edit(index, name, value),))

    def accept(self, track: Track, frame: Frame) -> Track:
        """Fork a prediction that goes on with `frame`, one of the alternatives after where a track stands."""
        frames = [*track.timeline.frames[: track.position + 1], frame]
        return self._fork(track, frames, track.position + 1, truth=track.truth)

    def ground(self, track: Track) -> Track:
        """Fork a prediction that goes on from the true frames up to where a track stands.

        Raises:
            CwmTraceError: the truth is not known, or has no such frame.
        """
        truth = track if not track.is_predicted else track.truth
        if truth is None:
            raise CwmTraceError(
                f"the truth of {track.name} is not known: record the program to go on from it"
            )
        at = aligned(track.timeline, truth.timeline, track.position)
        if at is None:
            raise CwmTraceError(f"the real execution has no frame {track.position}: it ended before")
        return self._fork(track, truth.timeline.frames[: at + 1], at, truth=truth)

    def sample(self, track: Track) -> Track:
        """Fork a prediction that draws anew from where a track stands.

        Raises:
            CwmTraceError: this predictor draws nothing.
        """
        predictor = self._predictor_of(track)
        if not predictor.decoding.temperature:
            raise CwmTraceError(f"{predictor.name} draws nothing: start with --temperature above 0")
        self._samples += 1
        frames = track.timeline.frames[: track.position + 1]
        return self._fork(track, frames, track.position, truth=track.truth, sample=self._samples)

    def predict_with(self, predictor: Predictor) -> Track:
        """A prediction of another predictor, from the start."""
        self.predictor = predictor
        truth = self.tracks.get("real")
        name = "predicted" if "predicted" not in self.tracks else self._free_name(predictor.name)
        return self._add(name, self._begin(predictor, self._given), truth=truth)

    def add_truth(self, fork: Track, trace: Trace) -> Track:
        """The real execution of a what-if, once it has been run again; the fork is compared with it."""
        timeline = Timeline(replace(trace, frames=()), trace.frames, trace.outcome)
        timeline.reach(min(fork.position, len(trace.frames) - 1))
        position = min(fork.position, len(timeline) - 1)
        truth = self._add(
            f"{fork.name}-truth", timeline, edits=fork.edits, origin=fork.name, position=position
        )
        fork.truth = truth
        return truth

    def _fork(
        self,
        track: Track,
        frames: Sequence[Frame],
        position: int,
        *,
        truth: Track | None = None,
        edits: tuple[Edit, ...] = (),
        sample: int = 0,
    ) -> Track:
        timeline = self._begin(self._predictor_of(track), frames, sample)
        before = tuple(edit for edit in track.edits if edit.index <= position)
        name = self._free_name("fork")
        return self._add(name, timeline, truth, edits=(*before, *edits), origin=track.name, position=position)

    def _predictor_of(self, track: Track) -> Predictor:
        if isinstance(track.timeline, PredictedTimeline):
            return track.timeline.predictor
        if self.predictor is None:
            raise CwmTraceError("nobody predicts in this session: name a model, such as 'model copy'")
        return self.predictor

    def _free_name(self, stem: str) -> str:
        number = 1
        while f"{stem}{number}" in self.tracks:
            number += 1
        return f"{stem}{number}"

    # --- comparison ---

    def divergence(self, track: Track) -> int | None:
        """The first frame at which a prediction leaves the truth, among the frames known of it."""
        return None if track.truth is None else first_difference(track.timeline, track.truth.timeline)

    def divergence_of(self, timeline: Timeline) -> int | None:
        """The same of the track with this timeline."""
        for track in self.tracks.values():
            if track.timeline is timeline:
                return self.divergence(track)
        return None
