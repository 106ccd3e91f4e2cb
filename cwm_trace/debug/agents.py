"""The debugger for agents: a few tools, compact text, limits. `serve` makes them a server of the MCP SDK."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any

from cwm_trace.debug.console import Console
from cwm_trace.debug.opening import open_console
from cwm_trace.debug.phrases import content_text, difference_text, place_text
from cwm_trace.debug.prompt import first_reply
from cwm_trace.debug.running import Opening
from cwm_trace.debug.track import Track
from cwm_trace.errors import CwmTraceError
from cwm_trace.extras import require
from cwm_trace.rendering.wording import printable

MAX_CHARS = 6_000
"""Of an answer: what is longer is cut, and says so."""
_MAX_LINES = 50
"""Verbs of one call, and frames of one listing."""
_FIRST_MODEL = "flow-copy"
"""Who predicts where nothing is said: no weights are needed for it."""

_INSTRUCTIONS = """\
Step through what a Python program really does, and what a model believes that it does.
Call open_program first: it runs the program in a sandbox and stops at the first frame.
A frame is a call, a line before it runs, a return, or an exception.
Then say verbs: step, next, return, continue, back, rnext, rcontinue, goto N, break 12, watch x, p expr,
locals, where, history x, lastchange x, mode real, mode predicted, mode both, help."""


class Agent:
    """One agent's session, and its tools."""

    def __init__(self) -> None:
        self._console: Console | None = None
        self._lock = threading.Lock()

    @property
    def tools(self) -> list[Callable[..., str]]:
        """Every tool; its name, arguments and docstring are what an agent sees."""
        return [self.open_program, self.say, self.list_frames, self.what_if, self.where_they_part]

    def open_program(
        self, source: str = "", file: str = "", call: str = "", trace: str = "", model: str = _FIRST_MODEL
    ) -> str:
        """Record a Python program in a sandbox, predict it, and stop at the first frame.

        Args:
            source: text of the program; or
            file: path of a script; or
            trace: path of a trace file: nothing is run.
            call: a call to record in the place of the whole program, such as f(3).
            model: who predicts: mini, a checkpoint folder, a server's URL; flow-copy needs no weights.
        """
        if bool(source) + bool(file) + bool(trace) != 1:
            raise CwmTraceError("give exactly one of source, file and trace")
        opening = Opening(file=file, source=source, call=call, trace=trace, model=model)
        with self._lock:
            console = open_console(opening)
            console.touches_files = False
            self._console = console
            tracks = console.session.tracks.values()
            known = [
                f"{track.name}: {track.timeline.outcome.value}" for track in tracks if track.timeline.ended
            ]
            return _cut("\n".join([first_reply(console).text, *known]))

    def say(self, verbs: list[str]) -> str:
        """Say verbs of the debugger in turn, such as ["break 12", "continue", "p x"]; help lists them.

        The first that cannot be done ends the list.
        """
        if len(verbs) > _MAX_LINES:
            raise CwmTraceError(f"these are {len(verbs)} verbs: at most {_MAX_LINES} at a time")
        with self._lock:
            said: list[str] = []
            for line in verbs:
                if not _say(self.console, line, said):
                    break
            return _cut("\n".join(said))

    def list_frames(self, track: str = "real", first: int = 0, count: int = 20) -> str:
        """Frames of an execution, a line each: number, place, event, what changed.

        Args:
            track: real, predicted, or a fork.
            first: number of the first one.
            count: how many, 50 at the most.
        """
        with self._lock:
            found = self.console.session.find(track)
            if first < 0 or not found.timeline.reach(first):
                raise CwmTraceError(f"there is no frame {first} in {track}: it has {len(found.timeline)}")
            found.timeline.reach(first + min(count, _MAX_LINES) - 1)
            last = min(first + min(max(count, 1), _MAX_LINES), len(found.timeline))
            lines = [_frame_line(found, index) for index in range(first, last)]
            if found.timeline.ended and last == len(found.timeline):
                lines.append(self.console.session.ending(found))
            return _cut("\n".join(lines))

    def what_if(self, name: str, value: str, frame: int = -1, track: str = "real") -> str:
        """Ask what would happen if a variable had another value: what the model says, and what is true.

        The prediction is forked; its truth comes from running the program again with the value written.

        Args:
            name: of the variable.
            value: its new value, a Python literal.
            frame: number of a call or a line; -1: where the track stands.
            track: whose frames come before.
        """
        with self._lock:
            console = self.console
            console.session.active = [console.session.find(track)]
            said: list[str] = []
            if frame >= 0 and not _say(console, f"goto {frame}", said):
                return _cut("\n".join(said))
            _say(console, f"set {name} = {value}", said)
            return _cut("\n".join(said))

    def where_they_part(self, track: str = "predicted") -> str:
        """Follow a prediction to its end and say where it leaves the truth first.

        Args:
            track: predicted, or a fork.
        """
        with self._lock:
            session = self.console.session
            found = session.find(track)
            if found.truth is None:
                raise CwmTraceError(f"the truth of {track} is not known: nothing to compare it with")
            while session.divergence(found) is None and found.timeline.grow():
                pass
            at = session.divergence(found)
            if at is None:
                return f"{track} is as the truth in all of its {len(found.timeline)} frames"
            lines = [_frame_line(found, index) for index in range(max(0, at - 3), at + 1)]
            return _cut("\n".join([*lines, f"frame {at} is not so in truth: {difference_text(found, at)}"]))

    @property
    def console(self) -> Console:
        """The session.

        Raises:
            CwmTraceError: no program was opened.
        """
        if self._console is None:
            raise CwmTraceError("no program is open: call open_program first")
        return self._console


def _say(console: Console, line: str, said: list[str]) -> bool:
    """Say a line, and note the line and its answer; False: it could not be done."""
    said.append(f"> {printable(line)[:200]}")
    try:
        reply = console.say(line)
    except CwmTraceError as error:
        said.append(f"*** {error}")
        return False
    said.append(reply.text)
    return not reply.ends


def _frame_line(track: Track, index: int) -> str:
    timeline = track.timeline
    frame = timeline.frames[index]
    source = printable(frame.source.strip())
    content = content_text(timeline, index)
    return f"{index} {place_text(timeline, index)} {frame.event.value}: {source}" + (
        f"  | {content}" if content else ""
    )


def _cut(text: str) -> str:
    if len(text) <= MAX_CHARS:
        return text
    return f"{text[:MAX_CHARS]}\n… {len(text) - MAX_CHARS} more characters: ask for less"


def make_server() -> Any:
    """The tools as a server of the MCP SDK.

    Raises:
        CwmTraceError: the SDK is not installed.
    """
    require("mcp", "cwm-trace mcp", "mcp")
    from mcp.server.mcpserver import MCPServer
    from mcp.server.mcpserver.exceptions import ToolError

    def guarded(tool: Callable[..., str]) -> Callable[..., str]:
        @functools.wraps(tool)
        def call(*arguments: Any, **named: Any) -> str:
            try:
                return tool(*arguments, **named)
            except CwmTraceError as error:
                raise ToolError(str(error)) from error

        return call

    server = MCPServer("cwm-trace", instructions=_INSTRUCTIONS)
    for tool in Agent().tools:
        server.tool(structured_output=False)(guarded(tool))
    return server
