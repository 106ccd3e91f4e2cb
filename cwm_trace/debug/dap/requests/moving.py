"""Moves: each answers first, then goes, then tells that it has stopped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cwm_trace.debug.dap.adapter import Adapter, Body, request
from cwm_trace.debug.dap.arguments import Arguments
from cwm_trace.debug.dap.source_files import file_of_source
from cwm_trace.debug.listing import name_of
from cwm_trace.debug.phrases import notes
from cwm_trace.debug.session import Arrival, Session
from cwm_trace.debug.timeline import Timeline, last_in
from cwm_trace.debug.track import Track
from cwm_trace.debug.travel import next_at_line
from cwm_trace.errors import CwmTraceError
from cwm_trace.records import Event

Move = Callable[[Session, Track], Arrival]

_REASONS = {"divergence": "exception", "surprise": "exception", "end": "pause", "start": "pause"}
"""Words of ours that the protocol has others for."""


def tell_stops(adapter: Adapter, arrivals: list[Arrival]) -> None:
    """Tell the client of moves; numbers of frames and values hold no longer."""
    adapter.references.clear()
    for arrival in arrivals:
        track = arrival.track
        adapter.arrivals[track.number] = arrival
        for index, text in arrival.logs:
            output = {"category": "console", "output": f"{text}\n", "line": track.timeline.frames[index].line}
            adapter.event("output", output)
        body: dict[str, Any] = {
            "reason": _REASONS.get(arrival.reason, arrival.reason),
            "description": describe(arrival),
            "threadId": track.number,
            "allThreadsStopped": True,
        }
        if arrival.text:
            body["text"] = arrival.text
        if arrival.rules:
            body["hitBreakpointIds"] = [rule.number for rule in arrival.rules]
        adapter.event("stopped", body)


def describe(arrival: Arrival) -> str:
    """The mode and the place, as an editor shows them."""
    track = arrival.track
    parts = [f"{track.name}, frame {arrival.index}: {arrival.text or arrival.reason}"]
    return " · ".join([*parts, *notes(track, arrival.index)])


def _move(adapter: Adapter, arguments: Arguments, move: Move) -> None:
    track = adapter.track(arguments.integer("threadId"))
    adapter.later(lambda: tell_stops(adapter, [go(adapter, track, move)]))


def go(adapter: Adapter, track: Track, move: Move) -> Arrival:
    """Move, and show a client that wants it how many frames are predicted meanwhile."""
    session = adapter.debuggee.session
    progress = Progress(adapter, track.name)
    session.on_predicted = progress.count
    try:
        return move(session, track)
    except CwmTraceError as error:  # whoever predicts cannot go on: the client still waits for a stop
        adapter.event("output", {"category": "stderr", "output": f"{error}\n"})
        return Arrival(track, track.position, "pause", str(error), moved=False)
    finally:
        session.on_predicted = lambda: None
        session.cancel.clear()
        progress.end()


class Progress:
    """Tells a client how many frames have been predicted, once they are many."""

    FIRST, EVERY = 8, 16

    def __init__(self, adapter: Adapter, name: str) -> None:
        self._adapter = adapter
        self._name = name
        self._frames = 0

    def count(self) -> None:
        """One more."""
        self._frames += 1
        if not self._adapter.shows_progress or self._frames < self.FIRST:
            return
        message = f"{self._frames} frames"
        if self._frames == self.FIRST:
            start = {"progressId": "prediction", "title": f"predicting ({self._name})", "cancellable": True}
            self._adapter.event("progressStart", {**start, "message": message})
        elif self._frames % self.EVERY == 0:
            self._adapter.event("progressUpdate", {"progressId": "prediction", "message": message})

    def end(self) -> None:
        """The move is over."""
        if self._adapter.shows_progress and self._frames >= self.FIRST:
            self._adapter.event("progressEnd", {"progressId": "prediction"})


def by_lines(adapter: Adapter, move: Move, then: Move | None = None) -> Move:
    """Moves until the frame is a LINE, unless the client wants every frame; `then` is all but the first."""

    def moved(session: Session, track: Track) -> Arrival:
        start = track.position
        undone = list(track.undone)
        arrival = move(session, track)
        logs = arrival.logs
        while adapter.by_lines and arrival.moved and arrival.reason == "step":
            if track.frame.event in (Event.LINE, Event.EXCEPTION):
                break
            arrival = (then or move)(session, track)
            logs += arrival.logs
        if track.position != start:
            track.undone[:] = [*undone, start]  # one move, whatever it went through
        return Arrival(track, track.position, arrival.reason, arrival.text, arrival.rules, logs)

    return moved


@request("next")
def next_(adapter: Adapter, arguments: Arguments) -> Body:
    """Over."""
    _move(adapter, arguments, by_lines(adapter, Session.next))
    return None


@request("stepIn")
def step_in(adapter: Adapter, arguments: Arguments) -> Body:
    """Into: what is called next, or a target that was asked for."""
    if arguments.has("targetId"):
        target = arguments.integer("targetId")
        track = adapter.track(arguments.integer("threadId"))
        if target not in [index for index, _ in _calls_of(track)]:
            raise CwmTraceError(f"nothing is called from here at frame {target}: ask for the targets again")
        _move(adapter, arguments, lambda session, track: session.go_to(track, target))
    else:
        _move(adapter, arguments, by_lines(adapter, Session.step))
    return None


@request("stepOut")
def step_out(adapter: Adapter, arguments: Arguments) -> Body:
    """To the caller."""
    _move(adapter, arguments, by_lines(adapter, Session.finish, Session.next))
    return None


@request("stepBack")
def step_back(adapter: Adapter, arguments: Arguments) -> Body:
    """Back over."""
    _move(adapter, arguments, by_lines(adapter, Session.back_over))
    return None


@request("continue")
def continue_(adapter: Adapter, arguments: Arguments) -> Body:
    """To the next stop."""
    _move(adapter, arguments, Session.go_on)
    return {"allThreadsContinued": False}


@request("reverseContinue")
def reverse_continue(adapter: Adapter, arguments: Arguments) -> Body:
    """Back to the stop before."""
    _move(adapter, arguments, Session.back_on)
    return None


@request("pause")
def pause(adapter: Adapter, arguments: Arguments) -> Body:
    """Nothing goes on by the time this is read in turn; the server interrupts at once."""
    track = adapter.track(arguments.integer("threadId"))
    adapter.debuggee.session.cancel.clear()
    adapter.later(lambda: tell_stops(adapter, [Arrival(track, track.position, "pause", moved=False)]))
    return None


@request("restartFrame")
def restart_frame(adapter: Adapter, arguments: Arguments) -> Body:
    """Back to the CALL of a stack frame."""
    frame = adapter.references.frame(arguments.integer("frameId"))
    called = _call_of(frame.track.timeline, frame.index)
    adapter.later(lambda: tell_stops(adapter, [adapter.debuggee.session.go_to(frame.track, called)]))
    return None


def _call_of(timeline: Timeline, index: int) -> int:
    if timeline.frames[index].event is Event.CALL:
        return index
    found = timeline.previous_of(index, Event.CALL)
    return timeline.frames_of(index)[0] if found is None else found


@request("gotoTargets")
def goto_targets(adapter: Adapter, arguments: Arguments) -> Body:
    """The next time that a line runs, and the time before."""
    session = adapter.debuggee.session
    file = file_of_source(session, arguments.part("source"))
    line = arguments.integer("line") + 1 - adapter.lines_start_at
    adapter.targets = {1: (file, line, True), 2: (file, line, False)}
    labels = {1: "the next time it runs", 2: "the time before"}
    shown = arguments.integer("line")
    return {"targets": [{"id": number, "label": label, "line": shown} for number, label in labels.items()]}


@request("goto")
def goto(adapter: Adapter, arguments: Arguments) -> Body:
    """To a target."""
    target = adapter.targets.get(arguments.integer("targetId"))
    if target is None:
        raise CwmTraceError("there is no such target: ask for the targets again")
    track = adapter.track(arguments.integer("threadId"))
    file, line, is_forward = target
    index = _find_line(track, file, line, forward=is_forward)
    adapter.later(lambda: tell_stops(adapter, [adapter.debuggee.session.go_to(track, index)]))
    return None


def _find_line(track: Track, file: int, line: int, *, forward: bool) -> int:
    timeline = track.timeline
    if not forward:
        before = last_in(timeline.lines.get((file, line), []), track.position)
        if before is None:
            raise CwmTraceError(f"line {line} has not run before frame {track.position}")
        return before
    while (index := next_at_line(timeline, track.position, file, line)) is None:
        if not timeline.grow():
            raise CwmTraceError(f"line {line} does not run after frame {track.position}")
    return index


@request("stepInTargets")
def step_in_targets(adapter: Adapter, arguments: Arguments) -> Body:
    """What the line calls, as far as it is known."""
    frame = adapter.references.frame(arguments.integer("frameId"))
    targets = [{"id": index, "label": name} for index, name in _calls_of(frame.track)]
    return {"targets": targets}


def _calls_of(track: Track) -> list[tuple[int, str]]:
    """The CALLs that the line of a track makes, among the frames that are known: index and name."""
    timeline, here = track.timeline, track.position
    until = timeline.after_in(here)
    end = len(timeline) if until is None else until
    return [
        (index, name_of(timeline, index))
        for index in range(here + 1, min(end, here + 10_000))
        if timeline.callers[index] == here and timeline.frames[index].event is Event.CALL
    ]
