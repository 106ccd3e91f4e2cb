"""Verbs that look, and change nothing."""

from __future__ import annotations

import math
from bisect import bisect_right
from typing import Any

from cwm_trace.debug.conversation import VERBS, Conversation, Reply, find_verb, verb
from cwm_trace.debug.difference import aligned, different_variables
from cwm_trace.debug.listing import list_file, name_of
from cwm_trace.debug.literals import evaluate, show_value
from cwm_trace.debug.phrases import content_text, difference_text, frame_data, notes, place_text, slots_data
from cwm_trace.debug.predicted import PredictedTimeline
from cwm_trace.debug.stops import surprise
from cwm_trace.debug.track import Track
from cwm_trace.debug.verbs.words import read_number, refuse_argument
from cwm_trace.errors import CwmTraceError
from cwm_trace.records import Slot
from cwm_trace.rendering.wording import printable, short_text

_LOOK = "look"
SHOWN = 100
"""Lines of an answer at the most."""


@verb(
    "p EXPR",
    "The value of an expression over the variables here; nothing is run.",
    "print",
    "pp",
    group=_LOOK,
)
def p(console: Conversation, argument: str) -> Reply:
    """`p`."""
    if not argument:
        raise CwmTraceError("p needs an expression: say p x + 1")
    values: dict[str, str] = {}
    errors: dict[str, str] = {}
    for track in console.session.active:
        _evaluate(track, argument, values, errors)
    if len(console.session.active) == 1 or not values:
        for sentence in errors.values():
            raise CwmTraceError(sentence)
        (value,) = values.values()
        return Reply(printable(value), {"value": value})
    shown = {track.name: values.get(track.name) for track in console.session.active}
    width = max(map(len, shown))
    lines = [
        f"{name:<{width}}  {f'({errors[name]})' if value is None else printable(value)}"
        for name, value in shown.items()
    ]
    return Reply("\n".join(lines), {"values": values, "errors": errors})


def _evaluate(track: Track, text: str, values: dict[str, str], errors: dict[str, str]) -> None:
    """Note the value of an expression in a track, or why it has none."""
    try:
        values[track.name] = show_value(evaluate(text, track.state()))
    except CwmTraceError as error:
        errors[track.name] = str(error)


@verb("locals", "Every variable here.", "l-", group=_LOOK)
def locals_(console: Conversation, argument: str) -> Reply:
    """`locals`."""
    refuse_argument(argument, "locals")
    lines: list[str] = []
    data: dict[str, Any] = {}
    for track in console.session.active:
        state = track.state()
        data[track.name] = slots_data(state)
        lines += [f"{track.name}:"] if len(console.session.active) > 1 else []
        lines += [f"  {printable(name)} = {short_text(slot.text)}" for name, slot in state.items()]
    return Reply("\n".join(lines) or "nothing is bound here", {"locals": data})


@verb("where", "The calls that are going on, the running one last.", "w", "bt", group=_LOOK)
def where(console: Conversation, argument: str) -> Reply:
    """`where`."""
    refuse_argument(argument, "where")
    track = console.session.current
    stack = list(reversed(track.timeline.stack(track.position)))
    lines = []
    for at, index in enumerate(stack):
        mark = ">" if index == track.looked_at else " "
        source = printable(track.timeline.frames[index].source.strip())
        if len(stack) <= SHOWN or at < SHOWN // 2 or at >= len(stack) - SHOWN // 2:
            lines.append(f"{mark} {place_text(track.timeline, index)}: {source}")
        elif at == SHOWN // 2:
            lines.append(f"  … {len(stack) - SHOWN} more calls")
    return Reply("\n".join(lines), {"stack": [frame_data(track, index) for index in stack[-SHOWN:]]})


@verb(
    "list [FIRST[, LAST]]",
    "Lines of the source around here; * has a stop, > is here.",
    "l",
    "ll",
    group=_LOOK,
)
def list_(console: Conversation, argument: str) -> Reply:
    """`list`."""
    track = console.session.current
    frame = track.timeline.frames[track.looked_at]
    files = track.timeline.program.files
    if frame.file >= len(files):
        raise CwmTraceError("the source of this frame is not known")
    listing = list_file(files[frame.file])
    if argument:
        first, _, last = argument.replace(",", " ").partition(" ")
        start = read_number(first, "line", "list 10, 20")
        end = read_number(last.strip(), "line", "list 10, 20") if last.strip() else start + 10
    else:
        start, end = frame.line - 5, frame.line + 5
    stops = {
        getattr(rule.place, "line", 0)
        for rule in console.session.stops.rules.values()
        if getattr(rule.place, "file", None) == frame.file
    }
    lines = []
    for number in range(max(start, 1), min(end, len(listing.lines), max(start, 1) + SHOWN) + 1):
        mark = ("*" if number in stops else " ") + (">" if number == frame.line else " ")
        lines.append(f"{number:4} {mark} {printable(listing.lines[number - 1])}")
    if not lines:
        raise CwmTraceError(
            f"{listing.name} has {len(listing.lines)} lines: there is none from {start} to {end}"
        )
    return Reply("\n".join(lines), {"first": max(start, 1), "lines": len(lines)})


@verb("whatis NAME", "The type and size of a variable.", group=_LOOK)
def whatis(console: Conversation, argument: str) -> Reply:
    """`whatis`."""
    slot = _variable(console.session.current, argument)
    kind = slot.type or "not known: predictions have no types"
    size = "" if slot.size is None else f", size {slot.size}"
    cut = f", {slot.clipped} characters cut off" if slot.clipped else ""
    return Reply(f"{kind}{size}{cut}", {"type": slot.type, "size": slot.size, "clipped": slot.clipped})


def _variable(track: Track, name: str) -> Slot:
    if not name:
        raise CwmTraceError("name a variable: say whatis x")
    state = track.state()
    if name not in state:
        evaluate(name, {key: Slot("0") for key in state})  # says what is wrong, and what is close
        raise CwmTraceError(f"{name!r} is no variable")
    return state[name]


@verb(
    "history NAME",
    "Every value of a variable of this function call, and since which frame.",
    "h-",
    group=_LOOK,
)
def history(console: Conversation, argument: str) -> Reply:
    """`history`."""
    if not argument:
        raise CwmTraceError("name a variable: say history x")
    track = console.session.current
    timeline, index = track.timeline, track.looked_at
    changes = timeline.history(index, argument)
    if not changes:
        raise CwmTraceError(f"no variable {argument!r} has been bound in {name_of(timeline, index)}")
    shown = _middle(changes, bisect_right([at for at, _ in changes], index))
    lines = []
    for at, slot in shown:
        now = "later" if at > index else ""
        value = "(not bound)" if slot is None else short_text(slot.text)
        lines.append(f"{at:6}  line {timeline.frames[at].line:<4} {value}  {now}".rstrip())
    data = [{"frame": at, "value": None if slot is None else slot.text} for at, slot in shown]
    more = f"\n{len(changes)} values in all" if len(changes) > SHOWN else ""
    return Reply("\n".join(lines) + more, {"history": data, "count": len(changes)})


def _middle(changes: list[tuple[int, Slot | None]], now: int) -> list[tuple[int, Slot | None]]:
    first = max(0, min(now - SHOWN // 2, len(changes) - SHOWN))
    return changes[first : first + SHOWN]


@verb("lastchange NAME", "Which line changed a variable last, and when.", "who", group=_LOOK)
def lastchange(console: Conversation, argument: str) -> Reply:
    """`lastchange`."""
    if not argument:
        raise CwmTraceError("name a variable: say lastchange x")
    track = console.session.current
    timeline, index = track.timeline, track.looked_at
    changes = [change for change in timeline.history(index, argument) if change[0] <= index]
    if not changes:
        raise CwmTraceError(
            f"no variable {argument!r} has been bound in {name_of(timeline, index)} until here"
        )
    at, slot = changes[-1]
    writer = timeline.written_by(at)
    value = "unbound" if slot is None else short_text(slot.text)
    if writer < 0 or timeline.frames[at].event.value == "call":
        text = f"{argument} is {value} since the call, frame {at}"
    else:
        source = printable(timeline.frames[writer].source.strip())
        place = place_text(timeline, writer)
        text = f"{argument} is {value} since frame {at}: {place}, frame {writer}: {source}"
    data = {"frame": at, "written_by": writer, "value": None if slot is None else slot.text}
    return Reply(text, {"lastchange": data})


@verb("display [EXPR]", "Show an expression after every move; without one, what is shown.", group=_LOOK)
def display(console: Conversation, argument: str) -> Reply:
    """`display`."""
    if argument and argument not in console.displays:
        console.displays.append(argument)
    return Reply("\n".join(console.displays) or "nothing is displayed", {"displays": console.displays})


@verb("undisplay EXPR", "Do not show it any more.", group=_LOOK)
def undisplay(console: Conversation, argument: str) -> Reply:
    """`undisplay`."""
    if argument not in console.displays:
        raise CwmTraceError(f"{argument!r} is not displayed: 'display' lists what is")
    console.displays.remove(argument)
    return Reply()


@verb("compare", "The prediction beside the truth, here and where they part first.", group=_LOOK)
def compare(console: Conversation, argument: str) -> Reply:
    """`compare`."""
    refuse_argument(argument, "compare")
    session = console.session
    track = session.predicted
    if track.truth is None:
        raise CwmTraceError(f"the truth of {track.name} is not known: nothing to compare it with")
    timeline, index = track.timeline, track.position
    at = aligned(timeline, track.truth.timeline, index)
    lines = []
    if at is not None:
        content = content_text(track.truth.timeline, at)
        lines.append(f"{track.truth.name} {at}  {place_text(track.truth.timeline, at)}  {content}".rstrip())
    lines.append(
        f"{track.name} {index}  {place_text(timeline, index)}  {content_text(timeline, index)}".rstrip()
    )
    lines += [f"   {note}" for note in notes(track, index)]
    first = session.divergence(track)
    ended = "to its end" if timeline.ended else f"in the {len(timeline)} frames known so far"
    if first is None:
        lines.append(f"{track.name} is as the truth {ended}")
    else:
        lines.append(f"{track.name} leaves the truth at frame {first}: {difference_text(track, first)}")
    wrong = different_variables(timeline, track.truth.timeline, index)
    pairs = {name: [real and real.text, said and said.text] for name, (real, said) in wrong.items()}
    return Reply(
        "\n".join(lines), {"divergence": first, "different": pairs, "frame": index, "real_frame": at}
    )


@verb(
    "why", "Why the model believes this frame: how sure it was, by part, and what Python allows.", group=_LOOK
)
def why(console: Conversation, argument: str) -> Reply:
    """`why`."""
    refuse_argument(argument, "why")
    track = console.session.predicted
    timeline = track.timeline
    assert isinstance(timeline, PredictedTimeline)
    index, frame = track.position, track.frame
    name = timeline.predictor.name
    if index < timeline.given:
        return Reply(f"frame {index} was given to {name}, not predicted", {"given": True})
    if not frame.logprobs:
        text = f"{name} says it, and gives no probability"
        return Reply(text, {"probability": None})
    parts = {part: math.exp(sum(values)) for part, values in frame.logprobs.items()}
    listed = ", ".join(f"{part} {value:.3g}" for part, value in parts.items())
    whole = math.exp(-surprise(frame))
    text = f"{name} gives it the probability {whole:.3g} (surprise {surprise(frame):.3g} nats): {listed}"
    return Reply(text, {"probability": whole, "parts": parts})


@verb("help [VERB]", "The verbs, or what one does.", "h", "?", group="session")
def help_(console: Conversation, argument: str) -> Reply:  # noqa: ARG001
    """`help`."""
    if argument:
        found = find_verb(argument)
        return Reply(f"{found.usage}\n  {found.help}", {"usage": found.usage, "help": found.help})
    groups: dict[str, list[str]] = {}
    for known in VERBS.values():
        groups.setdefault(known.group, []).append(known.usage)
    lines = [f"{group:<8} {' · '.join(usages)}" for group, usages in groups.items()]
    return Reply("\n".join([*lines, "help VERB says what one does"]), {"verbs": groups})
