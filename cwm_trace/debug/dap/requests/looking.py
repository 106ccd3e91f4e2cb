"""What the client shows: threads, stacks, scopes, values, sources."""

from __future__ import annotations

import math
from typing import Any

from cwm_trace.debug.dap.adapter import Adapter, Body, request
from cwm_trace.debug.dap.arguments import Arguments
from cwm_trace.debug.dap.references import MAX_CHILDREN, Children, FrameReference, Scope, shorten
from cwm_trace.debug.dap.requests.moving import tell_stops
from cwm_trace.debug.dap.source_files import source_of, source_of_file
from cwm_trace.debug.difference import aligned, different_variables
from cwm_trace.debug.listing import name_of
from cwm_trace.debug.literals import evaluate as evaluate_expression
from cwm_trace.debug.literals import show_value
from cwm_trace.debug.phrases import difference_text
from cwm_trace.debug.session import Arrival
from cwm_trace.debug.stops import exception_name, surprise
from cwm_trace.debug.verbs import find_verb
from cwm_trace.errors import CwmTraceError
from cwm_trace.records import Event, Slot

MAX_FRAMES = 1_000
"""Stack frames that are sent at a time."""


@request("threads")
def threads(adapter: Adapter, arguments: Arguments) -> Body:  # noqa: ARG001
    """Every track."""
    tracks = adapter.console.session.tracks.values() if adapter.console is not None else ()
    named = [
        {"id": track.number, "name": f"{track.name}{f' ({track.edit})' if track.edit else ''}"}
        for track in tracks
    ]
    return {"threads": named}


@request("stackTrace")
def stack_trace(adapter: Adapter, arguments: Arguments) -> Body:
    """The calls that are going on in a track, some at a time."""
    track = adapter.track(arguments.integer("threadId"))
    start = max(arguments.integer("startFrame", 0), 0)
    levels = arguments.integer("levels", 0)
    count = min(levels if levels > 0 else MAX_FRAMES, MAX_FRAMES)
    stack = track.timeline.stack(track.position)
    frames = []
    for index in stack[start : start + count]:
        frame = track.timeline.frames[index]
        found: dict[str, Any] = {
            "id": adapter.references.of_frame(track, index),
            "name": name_of(track.timeline, index),
            "line": max(frame.line, 1) - 1 + adapter.lines_start_at,
            "column": 1,
        }
        source = source_of(adapter.debuggee.session, frame)
        if source is not None:
            found["source"] = source
        if track.is_predicted:
            found["presentationHint"] = "subtle"
        frames.append(found)
    return {"stackFrames": frames, "totalFrames": len(stack)}


@request("scopes")
def scopes(adapter: Adapter, arguments: Arguments) -> Body:
    """The variables of a stack frame, and at the top what else is known of it."""
    frame = adapter.references.frame(arguments.integer("frameId"))
    return {"scopes": [_scope(adapter, name, scope) for name, scope in _scopes_of(frame)]}


def _scope(adapter: Adapter, name: str, scope: Scope) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": name,
        "variablesReference": adapter.references.of_values(scope),
        "namedVariables": len(scope.values),
        "expensive": False,
    }
    hint = {"Locals": "locals", "Return value": "returnValue"}.get(name)
    return found if hint is None else {**found, "presentationHint": hint}


def _scopes_of(frame: FrameReference) -> list[tuple[str, Scope]]:
    """The scopes of a stack frame."""
    track, index = frame.track, frame.index
    timeline = track.timeline
    found = [("Locals", Scope(tuple(timeline.state(index).items()), frame))]
    if index != track.position:
        return found
    returned = _returned(frame)
    if returned is not None:
        found.append(("Return value", Scope((returned,))))
    if track.truth is not None:
        real = track.truth.timeline
        at = aligned(timeline, real, index)
        found.append(("Real", Scope(tuple(real.state(at).items()) if at is not None else ())))
        pairs = different_variables(timeline, real, index).items()
        rows = [(name, _difference(true, said)) for name, (true, said) in pairs]
        found.append(("Differences", Scope(tuple(rows))))
    logprobs = timeline.frames[index].logprobs
    if logprobs:
        parts = {part: math.exp(sum(values)) for part, values in logprobs.items()}
        parts["all"] = math.exp(-surprise(timeline.frames[index]))
        found.append(
            ("Confidence", Scope(tuple((part, Slot(f"{p:.4g}", "float")) for part, p in parts.items())))
        )
    return found


def _returned(frame: FrameReference) -> tuple[str, Slot] | None:
    """What is returned here, or has just been."""
    frames = frame.track.timeline.frames
    here = frames[frame.index]
    for index in (frame.index, frame.index - 1):
        other = frames[index]
        is_callee = index == frame.index or other.depth == here.depth + 1
        if index >= 0 and other.event is Event.RETURN and other.value is not None and is_callee:
            return f"(return) {name_of(frame.track.timeline, index)}", other.value
    return None


def _difference(true: Slot | None, said: Slot | None) -> Slot:
    texts = ["not bound" if slot is None else shorten(slot.text, 200) for slot in (true, said)]
    return Slot(f"really {texts[0]}, predicted {texts[1]}", clipped=1)


@request("variables")
def variables(adapter: Adapter, arguments: Arguments) -> Body:
    """The values behind a reference, some at a time; parts are read off the text, nothing is run."""
    values = adapter.references.values(arguments.integer("variablesReference"))
    start = max(arguments.integer("start", 0), 0)
    count = arguments.integer("count", 0)
    count = min(count if count > 0 else MAX_CHILDREN, MAX_CHILDREN)
    if isinstance(values, Children):
        return {"variables": adapter.references.children(values, start, count)}
    names = values.values[start : start + count]
    can_write = values.frame is not None
    return {
        "variables": [
            adapter.references.variable(name, slot, name if can_write else "") for name, slot in names
        ]
    }


@request("evaluate")
def evaluate(adapter: Adapter, arguments: Arguments) -> Body:
    """An expression over the variables of a stack frame; in the console every verb as well."""
    console = adapter.debuggee
    text = arguments.text("expression").strip()
    frame = adapter.references.frame(arguments.integer("frameId")) if arguments.has("frameId") else None
    track = console.session.current if frame is None else frame.track
    if arguments.text("context", "repl") == "repl" and _is_verb(text):
        if track not in console.session.active:
            console.session.active = [track]
        tracks = set(console.session.tracks)
        reply = console.say(text)
        console.session.cancel.clear()
        for name in console.session.tracks:
            if name not in tracks:
                started = {"reason": "started", "threadId": console.session.tracks[name].number}
                adapter.event("thread", started)
        if reply.arrivals:
            adapter.later(lambda: _tell_moves(adapter, reply.arrivals))
        if reply.ends:
            adapter.later(lambda: adapter.event("terminated"))
        return {"result": reply.text, "variablesReference": 0}
    state = track.state() if frame is None else track.timeline.state(frame.index)
    value = show_value(evaluate_expression(text, state))
    shown = adapter.references.variable("", Slot(value))
    return {"result": shown["value"], "variablesReference": shown["variablesReference"]}


def _tell_moves(adapter: Adapter, arrivals: list[Arrival]) -> None:
    """Tell of moves that the client did not ask for by a request of their own."""
    for arrival in arrivals:
        adapter.event("continued", {"threadId": arrival.track.number, "allThreadsContinued": False})
    tell_stops(adapter, arrivals)


def _is_verb(text: str) -> bool:
    try:
        find_verb(text.partition(" ")[0])
    except CwmTraceError:
        return False
    return True


@request("completions")
def completions(adapter: Adapter, arguments: Arguments) -> Body:
    """Verbs, and names of variables behind one."""
    text = arguments.text("text")
    column = max(arguments.integer("column") - 1, 0)
    word = text[:column].rpartition(" ")[2]
    found = adapter.debuggee.complete(text[:column])[:100]
    return {"targets": [{"label": name, "start": column - len(word), "length": len(word)} for name in found]}


@request("exceptionInfo")
def exception_info(adapter: Adapter, arguments: Arguments) -> Body:
    """Why a track stopped at an exception, or where the prediction left the truth or surprised."""
    track = adapter.track(arguments.integer("threadId"))
    arrival = adapter.arrivals.get(track.number)
    frame = track.frame
    if arrival is not None and arrival.reason == "divergence" and track.truth is not None:
        return {
            "exceptionId": "divergence",
            "description": f"the prediction leaves the truth: {difference_text(track, track.position)}",
            "breakMode": "always",
        }
    if arrival is not None and arrival.reason == "surprise":
        text = f"-log p is {surprise(frame):.3g} nats"
        return {"exceptionId": "surprise", "description": text, "breakMode": "always"}
    if frame.event is not Event.EXCEPTION:
        raise CwmTraceError(f"{track.name} does not stand at an exception")
    name = exception_name(frame) or "exception"
    details = {"typeName": name, "message": frame.message or ""}
    description = frame.value.text if frame.value is not None else name
    return {"exceptionId": name, "description": description, "breakMode": "always", "details": details}


@request("source")
def source(adapter: Adapter, arguments: Arguments) -> Body:
    """The text of a source that is no file."""
    reference = arguments.integer("sourceReference", 0) or arguments.part("source").integer(
        "sourceReference", 0
    )
    files = adapter.debuggee.session.program.files
    if not 1 <= reference <= len(files):
        raise CwmTraceError(f"there is no source {reference}")
    return {"content": files[reference - 1].text, "mimeType": "text/x-python"}


@request("loadedSources")
def loaded_sources(adapter: Adapter, arguments: Arguments) -> Body:  # noqa: ARG001
    """Every file of the program."""
    session = adapter.debuggee.session
    return {"sources": [source_of_file(session, index) for index in range(len(session.program.files))]}
