"""Verbs that move: forward, back, and to a frame."""

from __future__ import annotations

from collections.abc import Callable

from cwm_trace.debug.conversation import Conversation, Reply, verb
from cwm_trace.debug.phrases import arrival_data, arrival_text
from cwm_trace.debug.session import Arrival, Session
from cwm_trace.debug.track import Track
from cwm_trace.debug.verbs.words import is_number, read_number, refuse_argument
from cwm_trace.errors import CwmTraceError

FORWARD, BACK = "forward", "back"


def _plain(
    go: Callable[[Session, Track], Arrival], usage: str, about: str, *aliases: str, group: str
) -> None:
    """Make a verb of a move that takes no argument."""

    def act(console: Conversation, argument: str) -> Reply:
        refuse_argument(argument, usage)
        return console.move(go)

    verb(usage, about, *aliases, group=group)(act)


def _undo(_: Session, track: Track) -> Arrival:
    was_moved = track.undo()
    return Arrival(track, track.position, "goto", "" if was_moved else "there is no move to undo")


_plain(Session.step, "step", "To the next frame, into calls.", "s", group=FORWARD)
_plain(
    Session.next, "next", "To the next frame of this level, over every call of the line.", "n", group=FORWARD
)
_plain(
    Session.finish,
    "return",
    "To the return of this function; from there, to its caller.",
    "r",
    "out",
    "finish",
    group=FORWARD,
)


@verb(
    "until [LINE]",
    "To a line of this function at LINE or below; without it, below this one.",
    "unt",
    group=FORWARD,
)
def until(console: Conversation, argument: str) -> Reply:
    """`until`."""
    line = read_number(argument, "line", "until 12") if argument else None
    return console.move(lambda session, track: session.until(track, line))


_plain(Session.go_on, "continue", "To the next stop, or the end.", "c", "cont", group=FORWARD)


@verb("jump LINE|SOURCE", "To the next time that this line runs, by number or text.", "j", group=FORWARD)
def jump(console: Conversation, argument: str) -> Reply:
    """`jump`."""
    if not argument:
        raise CwmTraceError("jump needs a line: say jump 12, or jump return total")
    to: int | str = int(argument) if is_number(argument) else argument
    return console.move(lambda session, track: session.jump(track, to))


@verb("run N", "Take N steps.", group=FORWARD)
def run(console: Conversation, argument: str) -> Reply:
    """`run`."""
    count = read_number(argument, "number of steps", "run 10")
    return console.move(lambda session, track: session.run(track, count))


_plain(Session.back, "back", "To the frame before.", "b-", "rstep", group=BACK)
_plain(
    Session.back_over,
    "rnext",
    "To the frame before of this level, over every call between.",
    "rn",
    group=BACK,
)
_plain(
    Session.back_to_call,
    "rreturn",
    "Back to the call of this function; from there, to its caller.",
    "rr",
    group=BACK,
)
_plain(Session.back_on, "rcontinue", "Back to the stop before, or the start.", "rc", group=BACK)


@verb("goto FRAME", "To a frame by its number.", "g", group=BACK)
def goto(console: Conversation, argument: str) -> Reply:
    """`goto`."""
    index = read_number(argument, "frame", "goto 12")
    return console.move(lambda session, track: session.go_to(track, index))


_plain(lambda session, track: session.go_to(track, 0), "first", "To the first frame.", group=BACK)
_plain(Session.to_end, "last", "To the last frame.", group=BACK)
_plain(_undo, "undo", "Back to where the last move began.", "u-", group=BACK)


@verb("up [N]", "Look at the caller.", "u", group="look")
def up(console: Conversation, argument: str) -> Reply:
    """`up`."""
    return _select(console, read_number(argument or "1", "number of callers", "up 2"))


@verb("down [N]", "Look at what is called.", "d", group="look")
def down(console: Conversation, argument: str) -> Reply:
    """`down`."""
    return _select(console, -read_number(argument or "1", "number of calls", "down 2"))


def _select(console: Conversation, by: int) -> Reply:
    track = console.session.current
    highest = len(track.timeline.stack(track.position)) - 1
    wanted = track.selected + by
    if not 0 <= wanted <= highest:
        raise CwmTraceError("there is no caller above" if by > 0 else "nothing is called from here")
    track.selected = wanted
    looked = Arrival(track, track.looked_at, "goto")
    return Reply(arrival_text(looked), {"selected": arrival_data(looked)})
