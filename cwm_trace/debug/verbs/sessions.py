"""Verbs for the session itself: scripts, files, the end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from cwm_trace.debug.console import Console, Reply, verb
from cwm_trace.debug.predicting import PredictedTimeline
from cwm_trace.debug.verbs.arguments import refuse_argument
from cwm_trace.errors import CwmTraceError
from cwm_trace.records import Trace

SESSION = "session"


@verb("script FILE", "Say every line of a file.", "source", "load", group=SESSION)
def script(console: Console, argument: str) -> Reply:
    """`script`."""
    _require_files(console)
    if not argument:
        raise CwmTraceError("name a file: say script steps.txt")
    return console.run_lines(read_script(argument))


def read_script(path: str) -> list[str]:
    """The lines of a script.

    Raises:
        CwmTraceError: it cannot be read.
    """
    try:
        return Path(path).read_text("utf-8").splitlines()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise CwmTraceError(f"cannot read {path}: {reason}") from error


@verb("save FILE", "Write every line said so far to a file, for script FILE.", group=SESSION)
def save(console: Console, argument: str) -> Reply:
    """`save`."""
    _require_files(console)
    if not argument:
        raise CwmTraceError("name a file: say save steps.txt")
    try:
        Path(argument).write_text("".join(f"{line}\n" for line in console.said), "utf-8")
    except OSError as error:
        raise CwmTraceError(f"cannot write {argument}: {error.strerror or error}") from error
    return Reply(f"{len(console.said)} lines in {argument}")


@verb("export jsonl FILE", "Write the execution that is looked at as a trace file.", group=SESSION)
def export(console: Console, argument: str) -> Reply:
    """`export`."""
    from cwm_trace.storage import write_trace

    _require_files(console)
    kind, _, path = argument.partition(" ")
    if kind != "jsonl" or not path.strip():
        raise CwmTraceError("say export jsonl FILE")
    trace = whole_trace(console)
    try:
        write_trace(trace, path.strip())
    except OSError as error:
        raise CwmTraceError(f"cannot write {path.strip()}: {error.strerror or error}") from error
    return Reply(f"{len(trace.frames)} frames of {console.session.current.name} in {path.strip()}")


def _require_files(console: Console) -> None:
    if not console.touches_files:
        raise CwmTraceError("verbs may not touch files in this session")


def whole_trace(console: Console) -> Trace:
    """The execution that is looked at: a recording whole, a prediction as far as it is known."""
    timeline = console.session.current.timeline
    if isinstance(timeline, PredictedTimeline):
        return timeline.trace()
    while timeline.grow():
        pass
    return replace(timeline.program, frames=tuple(timeline.frames), outcome=timeline.outcome)


@verb("quit", "End the session.", "q", "exit", "EOF", group=SESSION)
def quit_(console: Console, argument: str) -> Reply:  # noqa: ARG001
    """`quit`."""
    refuse_argument(argument, "quit")
    return Reply(ends=True)
