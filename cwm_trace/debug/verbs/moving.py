"""Verbs that move: forward, back, and to a frame."""

from __future__ import annotations

from cwm_trace.debug.console import Console, Reply, verb
from cwm_trace.debug.session import Arrival, Session
from cwm_trace.debug.track import Track
from cwm_trace.debug.verbs.arguments import read_number, refuse_argument
from cwm_trace.debug.wording import arrival_data, arrival_text
from cwm_trace.errors import CwmTraceError

FORWARD, BACK = "forward", "back"


@verb("step", "To the next frame, into calls.", "s", group=FORWARD)
def step(console: Console, argument: str) -> Reply:
    """`step`."""
    refuse_argument(argument, "step")
    return console.move(Session.step)


@verb("next", "To the next frame of this level, over every call of the line.", "n", group=FORWARD)
def next_(console: Console, argument: str) -> Reply:
    """`next`."""
    refuse_argument(argument, "next")
    return console.move(Session.next)


@verb(
    "return",
    "To the return of this function; from there, to its caller.",
    "r",
    "out",
    "finish",
    group=FORWARD,
)
def return_(console: Console, argument: str) -> Reply:
    """`return`."""
    refuse_argument(argument, "return")
    return console.move(Session.finish)


@verb(
    "until [LINE]",
    "To a line of this function at LINE or below; without it, below this one.",
    "unt",
    group=FORWARD,
)
def until(console: Console, argument: str) -> Reply:
    """`until`."""
    line = read_number(argument, "line", "until 12") if argument else None
    return console.move(lambda session, track: session.until(track, line))


@verb("continue", "To the next stop, or the end.", "c", "cont", group=FORWARD)
def continue_(console: Console, argument: str) -> Reply:
    """`continue`."""
    refuse_argument(argument, "continue")
    return console.move(Session.go_on)


@verb("jump LINE|SOURCE", "To the next time that this line runs, by number or text.", "j", group=FORWARD)
def jump(console: Console, argument: str) -> Reply:
    """`jump`."""
    if not argument:
        raise CwmTraceError("jump needs a line: say jump 12, or jump return total")
    to: int | str = int(argument) if argument.isdigit() and len(argument) < 9 else argument
    return console.move(lambda session, track: session.jump(track, to))


@verb("run N", "N steps.", group=FORWARD)
def run(console: Console, argument: str) -> Reply:
    """`run`."""
    count = read_number(argument, "number of steps", "run 10")
    return console.move(lambda session, track: session.run(track, count))


@verb("back", "To the frame before.", "b-", "rstep", group=BACK)
def back(console: Console, argument: str) -> Reply:
    """`back`."""
    refuse_argument(argument, "back")
    return console.move(Session.back)


@verb("rnext", "To the frame before of this level, over every call between.", "rn", group=BACK)
def rnext(console: Console, argument: str) -> Reply:
    """`rnext`."""
    refuse_argument(argument, "rnext")
    return console.move(Session.back_over)


@verb("rreturn", "Back to the call of this function; from there, to its caller.", "rr", group=BACK)
def rreturn(console: Console, argument: str) -> Reply:
    """`rreturn`."""
    refuse_argument(argument, "rreturn")
    return console.move(Session.back_to_call)


@verb("rcontinue", "Back to the stop before, or the start.", "rc", group=BACK)
def rcontinue(console: Console, argument: str) -> Reply:
    """`rcontinue`."""
    refuse_argument(argument, "rcontinue")
    return console.move(Session.back_on)


@verb("goto FRAME", "To a frame by its number.", "g", group=BACK)
def goto(console: Console, argument: str) -> Reply:
    """`goto`."""
    index = read_number(argument, "frame", "goto 12")
    return console.move(lambda session, track: session.go_to(track, index))


@verb("first", "To the first frame.", group=BACK)
def first(console: Console, argument: str) -> Reply:
    """`first`."""
    refuse_argument(argument, "first")
    return console.move(lambda session, track: session.go_to(track, 0))


@verb("last", "To the last frame.", group=BACK)
def last(console: Console, argument: str) -> Reply:
    """`last`."""
    refuse_argument(argument, "last")
    return console.move(Session.to_end)


@verb("undo", "Back to where the last move began.", "u-", group=BACK)
def undo(console: Console, argument: str) -> Reply:
    """`undo`."""
    refuse_argument(argument, "undo")

    def go(_: Session, track: Track) -> Arrival:
        was_moved = track.undo()
        return Arrival(track, track.position, "goto", "" if was_moved else "there is no move to undo")

    return console.move(go)


@verb("up [N]", "Look at the caller.", "u", group="look")
def up(console: Console, argument: str) -> Reply:
    """`up`."""
    return _select(console, read_number(argument or "1", "number of callers", "up 2"))


@verb("down [N]", "Look at what is called.", "d", group="look")
def down(console: Console, argument: str) -> Reply:
    """`down`."""
    return _select(console, -read_number(argument or "1", "number of calls", "down 2"))


def _select(console: Console, by: int) -> Reply:
    track = console.session.current
    highest = len(track.timeline.stack(track.position)) - 1
    wanted = track.selected + by
    if not 0 <= wanted <= highest:
        raise CwmTraceError("there is no caller above" if by > 0 else "nothing is called from here")
    track.selected = wanted
    looked = Arrival(track, track.looked_at, "goto")
    return Reply(arrival_text(looked), {"selected": arrival_data(looked)})
