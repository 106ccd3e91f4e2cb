"""What if: writing a variable forks the prediction into a thread of its own."""

from __future__ import annotations

from cwm_trace.debug.dap.adapter import Adapter, Body, request
from cwm_trace.debug.dap.arguments import Arguments
from cwm_trace.debug.dap.references import FrameReference, Scope
from cwm_trace.debug.dap.requests.moving import tell_stops
from cwm_trace.debug.session import Arrival
from cwm_trace.debug.track import Track
from cwm_trace.debug.verbs.predicting import find_truth
from cwm_trace.errors import CwmTraceError


@request("setVariable")
def set_variable(adapter: Adapter, arguments: Arguments) -> Body:
    """Write a variable of a stack frame."""
    scope = adapter.references.values(arguments.integer("variablesReference"))
    if not isinstance(scope, Scope) or scope.frame is None:
        raise CwmTraceError("only a whole variable can be written, not a part of one: write all of it")
    return _write(adapter, scope.frame, arguments.text("name"), arguments.text("value"))


@request("setExpression")
def set_expression(adapter: Adapter, arguments: Arguments) -> Body:
    """Write a variable by its name."""
    if arguments.has("frameId"):
        frame = adapter.references.frame(arguments.integer("frameId"))
    else:
        track = adapter.debuggee.session.current
        frame = FrameReference(track, track.position)
    return _write(adapter, frame, arguments.text("expression").strip(), arguments.text("value"))


def _write(adapter: Adapter, frame: FrameReference, name: str, text: str) -> Body:
    console = adapter.debuggee
    if frame.index != frame.track.position:
        raise CwmTraceError(
            "only variables of the running function can be written: go to the frame itself first"
        )
    fork = console.session.write(frame.track, name, text)
    adapter.later(lambda: _announce(adapter, fork))
    return {"value": fork.state()[name].text, "variablesReference": 0}


def _announce(adapter: Adapter, fork: Track) -> None:
    console = adapter.debuggee
    adapter.event("thread", {"reason": "started", "threadId": fork.number})
    if console.replay is not None and console.replays_unasked:
        try:
            find_truth(console, fork)
        except CwmTraceError as error:
            adapter.event("output", {"category": "console", "output": f"{fork.name} has no truth: {error}\n"})
        else:
            assert fork.truth is not None
            adapter.event("thread", {"reason": "started", "threadId": fork.truth.number})
    adapter.event("invalidated", {"areas": ["threads", "stacks", "variables"]})
    tell_stops(adapter, [Arrival(fork, fork.position, "goto", f"what if {fork.edit}")])
