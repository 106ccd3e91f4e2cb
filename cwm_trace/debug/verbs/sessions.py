"""Verbs for the session itself: scripts, files, the end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from cwm_trace.debug.conversation import Conversation, Reply, verb
from cwm_trace.debug.predicted import PredictedTimeline
from cwm_trace.debug.track import Track
from cwm_trace.debug.verbs.words import refuse_argument
from cwm_trace.errors import CwmTraceError
from cwm_trace.files import write_whole
from cwm_trace.records import Trace
from cwm_trace.storage import write_trace
from cwm_trace.viewer import view_page

_SESSION = "session"


@verb("script FILE", "Say every line of a file.", "source", "load", group=_SESSION)
def script(console: Conversation, argument: str) -> Reply:
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


@verb("save FILE", "Write every line said so far to a file, for script FILE.", group=_SESSION)
def save(console: Conversation, argument: str) -> Reply:
    """`save`."""
    _require_files(console)
    if not argument:
        raise CwmTraceError("name a file: say save steps.txt")
    write_whole(argument, "".join(f"{line}\n" for line in console.said))
    return Reply(f"{len(console.said)} lines in {argument}")


@verb(
    "export jsonl|html FILE",
    "Write the execution that is looked at as a trace file, or all of them as a page for the browser.",
    group=_SESSION,
)
def export(console: Conversation, argument: str) -> Reply:
    """`export`."""
    _require_files(console)
    kind, _, path = argument.partition(" ")
    path = path.strip()
    if kind not in ("jsonl", "html") or not path:
        raise CwmTraceError("say export jsonl FILE, or export html FILE")
    if kind == "jsonl":
        write_trace(trace_of(console.session.current), path)
    else:
        write_whole(path, _page(console))
    return Reply(f"wrote {path}")


def _page(console: Conversation) -> str:
    """The real execution with the predictions of it beside it; without one, the prediction alone."""
    tracks = console.session.tracks
    real = tracks.get("real")
    if real is None:
        return view_page(trace_of(console.session.current))
    guesses = [track for track in tracks.values() if track.truth is real]
    names = [track.name for track in guesses]
    return view_page(trace_of(real), [trace_of(track) for track in guesses], labels=names)


def _require_files(console: Conversation) -> None:
    if not console.touches_files:
        raise CwmTraceError("verbs may not touch files in this session")


def trace_of(track: Track) -> Trace:
    """An execution as a trace: a recording whole, a prediction as far as it is known."""
    timeline = track.timeline
    if isinstance(timeline, PredictedTimeline):
        return timeline.trace()
    while timeline.grow():
        pass
    return replace(timeline.program, frames=tuple(timeline.frames), outcome=timeline.outcome)


@verb("quit", "End the session.", "q", "exit", "EOF", group=_SESSION)
def quit_(console: Conversation, argument: str) -> Reply:  # noqa: ARG001
    """`quit`."""
    refuse_argument(argument, "quit")
    return Reply(ends=True)
