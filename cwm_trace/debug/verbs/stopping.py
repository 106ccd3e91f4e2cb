"""Verbs for stops."""

from __future__ import annotations

import os
import re
from dataclasses import replace

from cwm_trace.debug.conversation import Conversation, Reply, verb
from cwm_trace.debug.listing import list_file, name_of
from cwm_trace.debug.session import Session
from cwm_trace.debug.stops import (
    AtFunction,
    AtLine,
    OnDivergence,
    OnException,
    OnSurprise,
    OnWrite,
    Place,
    Rule,
    line_place,
)
from cwm_trace.debug.verbs.words import is_number, read_number
from cwm_trace.errors import CwmTraceError

_STOPS = "stops"


@verb(
    "break [FILE:]LINE|FUNCTION[, COND]|--divergence|--surprise P",
    "Stop at a line, at calls of a function, where the prediction leaves the truth, or at frames less likely"
    " than e^-P; without an argument, list the stops.",
    "b",
    group=_STOPS,
)
def break_(console: Conversation, argument: str) -> Reply:
    """`break`."""
    return _break(console, argument, once=False)


@verb("tbreak [FILE:]LINE|FUNCTION[, COND]", "The same, once.", group=_STOPS)
def tbreak(console: Conversation, argument: str) -> Reply:
    """`tbreak`."""
    return _break(console, argument, once=True)


def _break(console: Conversation, argument: str, *, once: bool) -> Reply:
    session = console.session
    if not argument:
        return _list(session)
    place, _, condition = argument.partition(",")
    where = place.strip()
    found: Place
    if where == "--divergence":
        found = OnDivergence(session.divergence_of)
    elif where.startswith("--surprise"):
        found = OnSurprise(_bound(where.removeprefix("--surprise").strip(" =")))
    else:
        found = _find_place(session, where)
    rule = session.stops.add(found, condition.strip(), once=once)
    return _added(rule)


def _added(rule: Rule) -> Reply:
    return Reply(f"stop {rule}", {"stop": rule.number, "at": str(rule.place)})


def _bound(text: str) -> float:
    if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,9})?", text):
        raise CwmTraceError(f"{text!r} is no bound: say break --surprise 2.5, in nats")
    return float(text)


def _find_place(session: Session, where: str) -> AtLine | AtFunction:
    """A line or a function by what is typed: `12`, `p.py:12`, `name`.

    A function is one of the file in which one stands, else of the first file that has one of this name.

    Raises:
        CwmTraceError: there is no code there.
    """
    files = session.program.files
    file = session.current.frame.file
    name, colon, rest = where.rpartition(":")
    if colon:
        file = _find_file(session, name)
        where = rest.strip()
    if file >= len(files):
        raise CwmTraceError("the source of this frame is not known: name a file, as p.py:12")
    if is_number(where):
        return line_place(session.program, file, int(where))
    if not colon and not list_file(files[file]).has_function(where):
        file = next((at for at, other in enumerate(files) if list_file(other).has_function(where)), file)
    return AtFunction(where, file, list_file(files[file]).function(where))


def _find_file(session: Session, name: str) -> int:
    """The index of a file by its name or path, or the last part of it.

    Raises:
        CwmTraceError: the program has no such file.
    """
    files = session.program.files
    for same in (os.path.abspath, os.path.basename):
        for index, file in enumerate(files):
            if same(file.name) == same(name):
                return index
    raise CwmTraceError(f"the trace has no file {name}: it has {', '.join(file.name for file in files)}")


@verb("watch NAME[, COND]", "Stop where a variable of this function changes.", group=_STOPS)
def watch(console: Conversation, argument: str) -> Reply:
    """`watch`."""
    name, _, condition = (part.strip() for part in argument.partition(","))
    if not name.isidentifier():
        raise CwmTraceError(f"{name!r} is no variable: say watch x")
    track = console.session.current
    function = name_of(track.timeline, track.looked_at)
    rule = console.session.stops.add(OnWrite(name, "" if function == "?" else function), condition)
    return _added(rule)


@verb("logpoint LINE, TEXT", "Say TEXT, with {expressions}, whenever a line runs; do not stop.", group=_STOPS)
def logpoint(console: Conversation, argument: str) -> Reply:
    """`logpoint`."""
    where, comma, text = argument.partition(",")
    if not comma or not text.strip():
        raise CwmTraceError("a logpoint needs a line and a text: say logpoint 12, total is {total}")
    rule = console.session.stops.add(_find_place(console.session, where.strip()), log=text.strip())
    return _added(rule)


@verb(
    "catch [EXCEPTION|uncaught]",
    "Stop where an exception is raised: any, of a type, or never caught.",
    group=_STOPS,
)
def catch(console: Conversation, argument: str) -> Reply:
    """`catch`."""
    if argument and not argument.isidentifier():
        raise CwmTraceError(f"{argument!r} names no exception: say catch ValueError")
    place = OnException(uncaught=True) if argument == "uncaught" else OnException(argument)
    rule = console.session.stops.add(place)
    return _added(rule)


@verb("ignore STOP N", "Pass a stop the first N times, counted from the start.", group=_STOPS)
def ignore(console: Conversation, argument: str) -> Reply:
    """`ignore`."""
    number, _, count = argument.partition(" ")
    rule = console.session.stops.find(read_number(number, "stop", "ignore 1 5"))
    passed = read_number(count.strip(), "count", "ignore 1 5")
    rule.hits = f">{passed}" if passed else ""
    return Reply(f"stop {rule}")


@verb("condition STOP [COND]", "Give a stop a condition, or none.", group=_STOPS)
def condition(console: Conversation, argument: str) -> Reply:
    """`condition`."""
    number, _, text = argument.partition(" ")
    old = console.session.stops.find(read_number(number, "stop", "condition 1 x > 2"))
    rule = replace(old, condition=text.strip())
    console.session.stops.rules[rule.number] = rule
    return Reply(f"stop {rule}")


@verb("enable STOP", "Put a stop in force again.", group=_STOPS)
def enable(console: Conversation, argument: str) -> Reply:
    """`enable`."""
    return _enable(console, argument, enabled=True)


@verb("disable STOP", "Take a stop out of force.", group=_STOPS)
def disable(console: Conversation, argument: str) -> Reply:
    """`disable`."""
    return _enable(console, argument, enabled=False)


def _enable(console: Conversation, argument: str, *, enabled: bool) -> Reply:
    rule = console.session.stops.find(
        read_number(argument, "stop", f"{'enable' if enabled else 'disable'} 1")
    )
    rule.enabled = enabled
    return Reply(f"stop {rule}")


@verb("clear [STOP]", "Take a stop away; without a number, all of them.", "cl", "delete", group=_STOPS)
def clear(console: Conversation, argument: str) -> Reply:
    """`clear`."""
    stops = console.session.stops
    if argument:
        return Reply(f"no more stop {stops.remove(read_number(argument, 'stop', 'clear 1'))}")
    stops.rules.clear()
    return Reply("no more stops")


def _list(session: Session) -> Reply:
    rules = session.stops.rules.values()
    data = [{"stop": rule.number, "at": str(rule.place), "enabled": rule.enabled} for rule in rules]
    return Reply("\n".join(map(str, rules)) or "no stop is set", {"stops": data})
