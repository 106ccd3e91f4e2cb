"""Verbs for predictions: what if, what else, and on from the truth."""

from __future__ import annotations

from cwm_trace.debug.conversation import Conversation, Reply, verb
from cwm_trace.debug.phrases import slots_data
from cwm_trace.debug.predicted import PredictedTimeline
from cwm_trace.debug.session import Arrival
from cwm_trace.debug.track import Track
from cwm_trace.debug.verbs.words import read_number, refuse_argument
from cwm_trace.errors import CwmTraceError
from cwm_trace.rendering.wording import printable

MODEL = "model"
_ALTERNATIVES = 5


@verb(
    "set NAME = VALUE",
    "What if a variable had this value here, a literal: a fork of the prediction.",
    group=MODEL,
)
def set_(console: Conversation, argument: str) -> Reply:
    """`set`."""
    name, equals, text = (part.strip() for part in argument.partition("="))
    if not equals or not text:
        raise CwmTraceError("set needs a name and a value: say set x = 3")
    session = console.session
    fork = session.write(session.current, name, text)
    said = ""
    if console.replay is not None and console.replays_unasked:
        try:
            said = find_truth(console, fork)
        except CwmTraceError as error:
            said = f"   it has no truth: {error}"
    session.active = [fork, *([fork.truth] if fork.truth is not None else [])]
    reply = _enter(console, fork)
    reply.text += f"\n{said}" if said else ""
    reply.data["truth"] = fork.truth.name if fork.truth is not None else None
    return reply


@verb(
    "truth",
    "Run the program again in the sandbox, with what `set` wrote, for what would really happen.",
    group=MODEL,
)
def truth(console: Conversation, argument: str) -> Reply:
    """`truth`."""
    refuse_argument(argument, "truth")
    fork = console.session.predicted
    text = find_truth(console, fork)
    return Reply(text, {"truth": fork.truth.name if fork.truth is not None else None})


def find_truth(console: Conversation, fork: Track) -> str:
    """Give a what-if its truth; what to say of it.

    Raises:
        CwmTraceError: it is no what-if, the program cannot be run, or does not do the same before it.
    """
    if not fork.edits:
        raise CwmTraceError(f"{fork.name} is no what-if: 'set x = 1' makes one")
    if console.replay is None:
        raise CwmTraceError("the program of this session cannot be run again: only its trace is here")
    real = console.session.add_truth(fork, console.replay(fork))
    return f"   its truth is {real.name}: the program ran again in the sandbox with {fork.edit}"


@verb("alternatives [K]", "What else could come next, by event: at most K frames.", "alt", group=MODEL)
def alternatives(console: Conversation, argument: str) -> Reply:
    """`alternatives`."""
    count = read_number(argument, "number", "alternatives 3") if argument else _ALTERNATIVES
    track = console.session.predicted
    timeline = track.timeline
    assert isinstance(timeline, PredictedTimeline)
    found = timeline.alternatives(track.position, count)
    console.offered = [(track, track.position, frame) for frame in found]
    lines, data = [], []
    for number, frame in enumerate(found, 1):
        shown = "  ".join(f"{name}={slot and slot.text}" for name, slot in frame.changed.items())
        value = f"→ {frame.value.text}" if frame.value is not None else shown
        source = printable(frame.source.strip())
        lines.append(
            f"{number}: {frame.event.value} line {frame.line}: {source}  {printable(value)[:80]}".rstrip()
        )
        data.append({"event": frame.event.value, "line": frame.line, "changed": slots_data(frame.changed)})
    return Reply("\n".join(lines) or "nothing else: the prediction ends here", {"alternatives": data})


@verb("accept N", "Go on with an alternative that was listed, in a fork.", group=MODEL)
def accept(console: Conversation, argument: str) -> Reply:
    """`accept`."""
    number = read_number(argument, "alternative", "accept 2")
    if not 1 <= number <= len(console.offered):
        raise CwmTraceError(f"there is no alternative {number}: 'alternatives' lists them")
    track, position, frame = console.offered[number - 1]
    if position != track.position:
        raise CwmTraceError(f"the alternatives were those of frame {position}: list them here again")
    return _enter(console, console.session.accept(track, frame))


@verb("reject", "Leave a fork for what it was forked from.", group=MODEL)
def reject(console: Conversation, argument: str) -> Reply:
    """`reject`."""
    refuse_argument(argument, "reject")
    session = console.session
    fork = session.current
    if not fork.origin:
        raise CwmTraceError(f"{fork.name} is no fork: there is nothing to go back to")
    return _enter(console, session.find(fork.origin))


@verb("sample", "Draw anew from here on, in a fork.", group=MODEL)
def sample(console: Conversation, argument: str) -> Reply:
    """`sample`."""
    refuse_argument(argument, "sample")
    return _enter(console, console.session.sample(console.session.predicted))


@verb("ground", "Go on from the truth: a fork that is given the true frames up to here.", group=MODEL)
def ground(console: Conversation, argument: str) -> Reply:
    """`ground`."""
    refuse_argument(argument, "ground")
    return _enter(console, console.session.ground(console.session.current))


@verb("mode real|predicted|both|FORK", "Which executions move and answer.", group=MODEL)
def mode(console: Conversation, argument: str) -> Reply:
    """`mode`."""
    session = console.session
    if argument == "both":
        session.active = [session.find("real"), session.predicted]
    elif argument:
        session.active = [session.find(argument)]
    names = [track.name for track in session.active]
    return Reply(f"mode {' and '.join(names)}", {"mode": names, "tracks": list(session.tracks)})


@verb("model NAME", "Predict with another model, from the start.", group=MODEL)
def model(console: Conversation, argument: str) -> Reply:
    """`model`."""
    if not argument or console.find_model is None:
        raise CwmTraceError("name a model: say model copy")
    return _enter(console, console.session.predict_with(console.find_model(argument)))


@verb("leap on|off", "Let next and return leap over calls of a prediction, their frames unseen.", group=MODEL)
def leap(console: Conversation, argument: str) -> Reply:
    """`leap`."""
    if argument not in ("on", "off"):
        raise CwmTraceError(f"{argument!r} is neither: say leap on or leap off")
    console.session.jumps = argument == "on"
    return Reply(f"leap {argument}")


@verb("limit N", "Let a prediction have N frames at the most.", group=MODEL)
def limit(console: Conversation, argument: str) -> Reply:
    """`limit`."""
    timeline = console.session.predicted.timeline
    assert isinstance(timeline, PredictedTimeline)
    timeline.limit = read_number(argument, "number of frames", "limit 20000")
    return Reply(f"{console.session.predicted.name} may have {timeline.limit} frames")


@verb("tracks", "Every execution of the session, and where it stands.", group="session")
def tracks(console: Conversation, argument: str) -> Reply:
    """`tracks`."""
    refuse_argument(argument, "tracks")
    session = console.session
    lines, data = [], []
    for track in session.tracks.values():
        mark = ">" if track in session.active else " "
        what = f"  what if {track.edit}" if track.edit is not None else ""
        first = session.divergence(track)
        parts = "" if first is None else f"  leaves the truth at {first}"
        known = f"{len(track.timeline)} frames{'' if track.timeline.ended else ' so far'}"
        lines.append(f"{mark} {track.name}  at {track.position} of {known}{printable(what)}{parts}")
        data.append({"name": track.name, "position": track.position, "frames": len(track.timeline)})
    return Reply("\n".join(lines), {"tracks": data})


def _enter(console: Conversation, track: Track) -> Reply:
    session = console.session
    if track not in session.active:
        session.active = [track]
    reply = console.arrive([Arrival(track, track.position, "goto")])
    reply.data["track"] = track.name
    return reply
