"""What a sandboxed child says to its parent: a JSON line for each thing, written as it happens.

The child cannot be trusted, so the parent checks every line and never unpickles. A program that looks for the
descriptor may forge its own trace, and nothing else.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NoReturn, Protocol

from cwm_trace.plain import checker
from cwm_trace.records import FrameFields, Limits, Outcome, Program, SourceFile, Trace

_MAX_LINE = 64 * 2**20
"""Bytes of one line at the most: a longer one is not the tracer's."""


class DamagedChannelError(Exception):
    """The child wrote what the tracer does not write."""


class Receiver(Protocol):
    """Takes the recording in the parent: a sink of `cwm_trace.tracer.session`, such as a trace file."""

    def header(self, trace: Trace) -> None:
        """What is known before the first frame."""

    def file(self, file: SourceFile) -> None:
        """A source file that the header does not have."""

    def frame(self, fields: FrameFields) -> None:
        """The next frame."""

    def footer(self, trace: Trace) -> None:
        """What is known after the last frame."""


class ChannelSink:
    """The child's end: a sink that ends the process at the limits, where recording alone would only pause.

    Args:
        descriptor: to write to.
        limits: whose `max_frames` and `max_bytes` end the program.
        leave: `os._exit`, before anything could replace it.
    """

    def __init__(self, descriptor: int, limits: Limits, leave: Callable[[int], NoReturn]) -> None:
        self._descriptor = descriptor
        self._frames_left = limits.max_frames
        self._bytes_left = limits.max_bytes
        self._leave = leave
        self._lock = threading.RLock()
        self._header = Trace(Program())

    def say(self, *message: Any) -> None:
        """Write one line that is not a frame."""
        self._write(list(message))

    def header(self, trace: Trace) -> None:
        """What is known before the first frame."""
        self._header = trace
        program, files = trace.program, [(file.name, file.text) for file in trace.files]
        self.say(
            "header", files, program.entry, program.entry_line, list(program.arguments), trace.run.python
        )

    def file(self, file: SourceFile) -> None:
        """A source file that the header does not have."""
        self.say("file", file.name, file.text)

    def frame(self, fields: FrameFields) -> None:
        """The next frame; the last that is allowed is the program's last."""
        self._write(fields)
        if self._frames_left is not None:
            self._frames_left -= 1
            if self._frames_left <= 0:
                self._end(Outcome.FRAME_LIMIT)
        changed = fields.get("changed")
        if self._bytes_left is not None and changed:
            self._bytes_left -= sum(len(slot["text"]) for slot in changed.values() if slot)
            if self._bytes_left <= 0:
                self._end(Outcome.BYTE_LIMIT)

    def footer(self, trace: Trace) -> None:
        """What is known after the last frame."""
        self.say("footer", trace.outcome.value, trace.run.exit_code, trace.run.skipped, list(trace.warnings))

    def flush(self) -> None:
        """Nothing waits here."""

    def abandon(self) -> None:
        """In a forked child of the program: what it still records goes nowhere."""
        self._lock = threading.RLock()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._descriptor)
        os.close(nowhere)

    def _end(self, outcome: Outcome) -> None:
        self.footer(replace(self._header, outcome=outcome))
        self._leave(0)

    def _write(self, message: Any) -> None:
        data = json.dumps(message, separators=(",", ":")).encode() + b"\n"
        with self._lock:
            while data:
                data = data[os.write(self._descriptor, data) :]


class ChannelReader:
    """The parent's end: cuts bytes into lines and hands them on.

    Args:
        receiver: takes the recording.
        template: what the parent knows of the trace: limits, profile, what is not recorded.
        other: takes the lines that are not about the recording.
    """

    def __init__(self, receiver: Receiver, template: Trace, other: Callable[[list[Any]], None]) -> None:
        self._receiver = receiver
        self._other = other
        self._rest = b""
        self.trace = template
        self.frames = 0
        self.has_header = False
        self.has_footer = False

    def feed(self, data: bytes) -> None:
        """Take the next bytes.

        Raises:
            DamagedChannelError: they are not what the tracer writes.
        """
        *lines, self._rest = (self._rest + data if self._rest else data).split(b"\n")
        for line in lines:
            self._take(line)
        if len(self._rest) > _MAX_LINE:
            raise DamagedChannelError(f"a line of more than {_MAX_LINE} bytes")

    def _take(self, line: bytes) -> None:
        try:
            if line.startswith(b"{"):
                fields = checker(FrameFields).validate_json(line)
            else:
                self._hear(json.loads(line))
                return
        except (ValueError, TypeError, IndexError, RecursionError) as error:
            raise DamagedChannelError(f"a line that is not the tracer's: {type(error).__name__}") from error
        limit = self.trace.run.limits.max_frames
        if not self.has_header or self.has_footer or (limit is not None and self.frames >= limit):
            raise DamagedChannelError("a frame where none can be")
        self.frames += 1
        self._receiver.frame(fields)

    def _hear(self, message: Any) -> None:
        match message:
            case ["header", list(files), str(entry), int(line), list(arguments), str(python)] if (
                not self.has_header
            ):
                self.has_header = True
                known = tuple(SourceFile(str(name), str(text)) for name, text in files)
                program = Program(known, entry, line, tuple(map(str, arguments)))
                self.trace = replace(self.trace, program=program, run=replace(self.trace.run, python=python))
                self._receiver.header(self.trace)
            case ["file", str(name), str(text)] if self.has_header:
                self._receiver.file(SourceFile(name, text))
            case ["footer", str(outcome), int() | None as code, int(skipped), list(warnings)] if (
                self.has_header
            ):
                self.has_footer = True
                self.trace = replace(
                    self.trace,
                    outcome=Outcome(outcome),
                    warnings=tuple(map(str, warnings)),
                    run=replace(self.trace.run, exit_code=code, skipped=skipped),
                )
            case [str(), *_]:
                self._other(message)
            case _:
                raise ValueError(message)


def strings(data: object) -> Mapping[str, Any]:
    """A JSON object out of a line of the child.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(data, dict):
        raise ValueError("not an object")
    return data
