"""Beginning and ending: initialize, launch, attach, restart, disconnect."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

from cwm_trace.debug.console import Console
from cwm_trace.debug.dap.adapter import Adapter, Body, request
from cwm_trace.debug.dap.arguments import Arguments
from cwm_trace.debug.dap.requests.moving import tell_stops
from cwm_trace.debug.opening import open_console
from cwm_trace.debug.running import Opening
from cwm_trace.debug.session import Arrival
from cwm_trace.debug.stops import OnDivergence
from cwm_trace.errors import CwmTraceError

_FILTERS: list[dict[str, Any]] = [
    {"filter": "raised", "label": "Raised exceptions", "default": False},
    {"filter": "uncaught", "label": "Uncaught exceptions", "default": True},
    {"filter": "divergence", "label": "The prediction leaves the truth", "default": True},
    {
        "filter": "surprise",
        "label": "Unlikely frames",
        "default": False,
        "supportsCondition": True,
        "conditionDescription": "Bound of -log p, in nats; 5 unless another is given",
    },
]

_CAPABILITIES: dict[str, Any] = {
    **dict.fromkeys(
        [
            "supportsConfigurationDoneRequest",
            "supportsFunctionBreakpoints",
            "supportsConditionalBreakpoints",
            "supportsHitConditionalBreakpoints",
            "supportsEvaluateForHovers",
            "supportsStepBack",
            "supportsSetVariable",
            "supportsSetExpression",
            "supportsRestartFrame",
            "supportsRestartRequest",
            "supportsGotoTargetsRequest",
            "supportsStepInTargetsRequest",
            "supportsCompletionsRequest",
            "supportsExceptionInfoRequest",
            "supportsExceptionFilterOptions",
            "supportsLogPoints",
            "supportsDataBreakpoints",
            "supportsBreakpointLocationsRequest",
            "supportsLoadedSourcesRequest",
            "supportsDelayedStackTraceLoading",
            "supportsTerminateRequest",
            "supportsCancelRequest",
            "supportsValueFormattingOptions",
        ],
        True,
    ),
    "exceptionBreakpointFilters": _FILTERS,
}


@request("initialize")
def initialize(adapter: Adapter, arguments: Arguments) -> Body:
    """What this debugger can do."""
    adapter.lines_start_at = 1 if arguments.flag("linesStartAt1", True) else 0
    adapter.shows_progress = arguments.flag("supportsProgressReporting")
    return _CAPABILITIES


@request("launch")
def launch(adapter: Adapter, arguments: Arguments) -> Body:
    """Record a program, and predict it."""
    return _begin(adapter, arguments, _opening_of(arguments))


@request("attach")
def attach(adapter: Adapter, arguments: Arguments) -> Body:
    """Take a trace file."""
    opening = _opening_of(arguments)
    if not opening.trace:
        raise CwmTraceError('attach needs "trace", the path of a trace file')
    return _begin(adapter, arguments, opening)


def _opening_of(arguments: Arguments) -> Opening:
    """What a client wants to debug.

    Raises:
        CwmTraceError: an argument is not what it must be.
    """
    shown = arguments.text("show", "both")
    if shown not in ("both", "real", "predicted"):
        raise CwmTraceError(f'"show" is {shown!r:.40}: give both, real or predicted')
    folder = arguments.text("cwd", "")
    program, trace = arguments.text("program", ""), arguments.text("trace", "")
    return Opening(
        file=os.path.join(folder, program) if program else "",
        call=arguments.text("call", ""),
        arguments=arguments.texts("args"),
        trace=os.path.join(folder, trace) if trace else "",
        model=arguments.text("model", ""),
        temperature=arguments.number("temperature", 0.0),
        seed=arguments.integer("seed", 0),
        real=shown != "predicted",
        predicted=shown != "real",
        sandbox=arguments.flag("sandbox", True),
        timeout=arguments.number("timeout", 10.0) if arguments.has("timeout") else None,
        max_frames=arguments.integer("maxFrames") if arguments.has("maxFrames") else None,
    )


def _begin(adapter: Adapter, arguments: Arguments, opening: Opening) -> Body:
    if adapter.console is not None:
        raise CwmTraceError("something is debugged already: disconnect first, or restart")
    adapter.focus = arguments.text("focus", "")
    adapter.by_lines = arguments.text("granularity", "line") != "event"
    adapter.opening = opening
    adapter.console = open_console(opening)
    _focus(adapter.console, adapter.focus)
    adapter.later(lambda: _greet(adapter))
    return None


def _greet(adapter: Adapter) -> None:
    adapter.event("initialized")
    output = adapter.debuggee.session.output
    if output:
        adapter.event("output", {"category": "stdout", "output": output})


def _focus(console: Console, focus: str) -> None:
    """Let one thread move at a time; an editor says which."""
    console.say(f"mode {focus or console.session.current.name}")
    console.said.clear()


@request("configurationDone")
def configuration_done(adapter: Adapter, arguments: Arguments) -> Body:  # noqa: ARG001
    """The stops are set: stop at the first frame."""
    adapter.debuggee  # noqa: B018  (there must be one)
    if not adapter.is_configured:
        adapter.is_configured = True
        adapter.later(lambda: _stop_at_entry(adapter))
    return None


def _stop_at_entry(adapter: Adapter) -> None:
    track = adapter.debuggee.session.current
    tell_stops(adapter, [Arrival(track, track.position, "entry", moved=False)])


@request("restart")
def restart(adapter: Adapter, arguments: Arguments) -> Body:
    """Begin again; a model that draws draws anew."""
    old = adapter.debuggee
    given = arguments.part("arguments")
    opening = _opening_of(given) if given.has("program") or given.has("trace") else adapter.opening
    if opening.temperature:
        opening = replace(opening, seed=opening.seed + 1)
    console = open_console(opening)
    console.session.stops = old.session.stops
    for rule in console.session.stops.rules.values():
        if isinstance(rule.place, OnDivergence):
            rule.place = OnDivergence(console.session.divergence_of)
    _focus(console, adapter.focus)
    adapter.console, adapter.opening = console, opening
    adapter.references.clear()
    adapter.arrivals.clear()
    adapter.later(lambda: _stop_at_entry(adapter))
    return None


@request("disconnect")
def disconnect(adapter: Adapter, arguments: Arguments) -> Body:  # noqa: ARG001
    """The client goes."""
    adapter.is_over = True
    return None


@request("terminate")
def terminate(adapter: Adapter, arguments: Arguments) -> Body:  # noqa: ARG001
    """The session ends; the client will disconnect."""
    adapter.console = None
    adapter.later(lambda: adapter.event("terminated"))
    return None


@request("cancel")
def cancel(adapter: Adapter, arguments: Arguments) -> Body:  # noqa: ARG001
    """What was going on has ended by the time this is read in turn; the server interrupts at once."""
    if adapter.console is not None:
        adapter.console.session.cancel.clear()
    return None
