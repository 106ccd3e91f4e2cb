"""Stops: at lines, functions, changes of variables, and exceptions."""

from __future__ import annotations

import json
from typing import Any

from cwm_trace.debug.dap.adapter import Adapter, Body, request
from cwm_trace.debug.dap.arguments import Arguments
from cwm_trace.debug.dap.references import Scope
from cwm_trace.debug.dap.source_files import file_of_source
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
    line_place,
)
from cwm_trace.errors import CwmTraceError

_SURPRISE = 5.0
"""Nats, unless the client gives another bound."""


@request("setBreakpoints")
def set_breakpoints(adapter: Adapter, arguments: Arguments) -> Body:
    """The stops at lines of a source, in the place of those before."""
    session = adapter.debuggee.session
    wanted = arguments.each("breakpoints")
    try:
        file = file_of_source(session, arguments.part("source"))
    except CwmTraceError as error:
        return {"breakpoints": [{"verified": False, "message": str(error)} for _ in wanted]}
    for rule in list(session.stops.rules.values()):
        if isinstance(rule.place, AtLine) and rule.place.file == file:
            session.stops.remove(rule.number)
    first = adapter.lines_start_at
    return {"breakpoints": [_set(session, each, _line(each, first), file, first) for each in wanted]}


def _line(wanted: Arguments, first: int) -> int:
    return wanted.integer("line") + 1 - first


def _set(session: Session, wanted: Arguments, line: int, file: int, first: int) -> dict[str, Any]:
    try:
        place = line_place(session.program, file, line)
    except CwmTraceError as error:
        return {"verified": False, "message": str(error)}
    answer = _add(session, place, wanted)
    return {**answer, "line": place.line - 1 + first} if answer["verified"] else answer


def _add(session: Session, place: Place, wanted: Arguments) -> dict[str, Any]:
    """A new rule; what cannot be understood is said with it."""
    try:
        texts = (wanted.text(name, "") for name in ("condition", "hitCondition", "logMessage"))
        rule = session.stops.add(place, *texts)
    except CwmTraceError as error:
        return {"verified": False, "message": str(error)}
    return {"verified": True, "id": rule.number}


@request("breakpointLocations")
def breakpoint_locations(adapter: Adapter, arguments: Arguments) -> Body:
    """Lines with code."""
    session = adapter.debuggee.session
    file = file_of_source(session, arguments.part("source"))
    first = arguments.integer("line")
    last = arguments.integer("endLine", first)
    base = adapter.lines_start_at - 1
    lines = [line + base for line in list_file(session.program.files[file]).code]
    return {"breakpoints": [{"line": line} for line in lines if first <= line <= last]}


@request("setFunctionBreakpoints")
def set_function_breakpoints(adapter: Adapter, arguments: Arguments) -> Body:
    """The stops at calls of functions, in the place of those before."""
    session = adapter.debuggee.session
    _forget(session, adapter.functions)
    answers = [_set_function(session, wanted) for wanted in arguments.each("breakpoints")]
    adapter.functions = [answer["id"] for answer in answers if "id" in answer]
    return {"breakpoints": answers}


def _set_function(session: Session, wanted: Arguments) -> dict[str, Any]:
    name = wanted.text("name")
    message = f"the program has no function {name[:60]}"
    for index, file in enumerate(session.program.files):
        try:
            line = list_file(file).function(name)
        except CwmTraceError as error:
            message = str(error)
            continue
        return _add(session, AtFunction(name, index, line), wanted)
    return {"verified": False, "message": message}


@request("dataBreakpointInfo")
def data_breakpoint_info(adapter: Adapter, arguments: Arguments) -> Body:
    """Whether changes of a variable can be stopped at."""
    name = arguments.text("name")
    track, index = adapter.debuggee.session.current, None
    if arguments.has("variablesReference"):
        scope = adapter.references.values(arguments.integer("variablesReference"))
        if not isinstance(scope, Scope) or scope.frame is None:
            return {
                "dataId": None,
                "description": f"{name[:60]} is no variable of its own: only whole ones are watched",
            }
        track, index = scope.frame.track, scope.frame.index
    elif arguments.has("frameId"):
        frame = adapter.references.frame(arguments.integer("frameId"))
        track, index = frame.track, frame.index
    if not name.isidentifier():
        return {"dataId": None, "description": f"{name[:60]!r} is no variable"}
    function = name_of(track.timeline, track.position if index is None else index)
    function = "" if function == "?" else function
    where = f" in {function}" if function else ""
    return {"dataId": json.dumps([name, function]), "description": f"{name}{where}", "accessTypes": ["write"]}


@request("setDataBreakpoints")
def set_data_breakpoints(adapter: Adapter, arguments: Arguments) -> Body:
    """The stops at changes of variables, in the place of those before."""
    session = adapter.debuggee.session
    _forget(session, adapter.watches)
    answers = [_set_watch(session, wanted) for wanted in arguments.each("breakpoints")]
    adapter.watches = [answer["id"] for answer in answers if "id" in answer]
    return {"breakpoints": answers}


def _set_watch(session: Session, wanted: Arguments) -> dict[str, Any]:
    try:
        name, function = json.loads(wanted.text("dataId"))
    except (ValueError, TypeError, RecursionError):
        name = function = None
    if not isinstance(name, str) or not isinstance(function, str):
        return {"verified": False, "message": "this is no variable that dataBreakpointInfo named"}
    if wanted.text("accessType", "write") != "write":
        return {"verified": False, "message": "only writes are recorded, no reads"}
    return _add(session, OnWrite(name, function), wanted)


@request("setExceptionBreakpoints")
def set_exception_breakpoints(adapter: Adapter, arguments: Arguments) -> Body:
    """The stops at exceptions, divergence and unlikely frames, in the place of those before."""
    session = adapter.debuggee.session
    _forget(session, adapter.filters)
    adapter.filters = []
    wanted = [(name, "") for name in arguments.texts("filters")]
    wanted += [
        (each.text("filterId"), each.text("condition", "")) for each in arguments.each("filterOptions")
    ]
    answers = []
    for name, condition in wanted:
        try:
            rule = session.stops.add(_filter(session, name, condition))
        except CwmTraceError as error:
            answers.append({"verified": False, "message": str(error)})
            continue
        adapter.filters.append(rule.number)
        answers.append({"verified": True, "id": rule.number})
    return {"breakpoints": answers}


def _filter(session: Session, name: str, condition: str) -> Place:
    match name:
        case "raised":
            return OnException()
        case "uncaught":
            return OnException(uncaught=True)
        case "divergence":
            return OnDivergence(session.divergence_of)
        case "surprise":
            try:
                return OnSurprise(float(condition or _SURPRISE))
            except ValueError:
                raise CwmTraceError(f"{condition[:40]!r} is no bound: give a number of nats") from None
    raise CwmTraceError(f"there is no exception filter {name[:40]!r}")


def _forget(session: Session, numbers: list[int]) -> None:
    for number in numbers:
        session.stops.rules.pop(number, None)
