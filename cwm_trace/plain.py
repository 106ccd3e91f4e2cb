"""Records as plain data and back."""

from __future__ import annotations

import functools
import gc
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from cwm_trace.records import (
    Event,
    Frame,
    FrameFields,
    Guess,
    Program,
    Run,
    Slot,
    SlotFields,
    SourceFile,
    Trace,
)

_EVENTS = {event.value: event for event in Event}
_PARTS = {"program": Program, "run": Run, "guess": Guess}


def trace_fields(trace: Trace) -> dict[str, Any]:
    """Everything of a trace but its frames, flat: its fields, and those of its program, run and guess."""
    flat = _fields_of(trace)
    del flat["frames"]
    for part in _PARTS:
        flat |= _fields_of(flat.pop(part))
    return flat


def trace_from_fields(fields: Mapping[str, Any], frames: Iterable[Frame] = ()) -> Trace:
    """The inverse of `trace_fields`; what is left out has its default, what no record has is ignored."""
    parts = {name: kind(**_known(kind, fields)) for name, kind in _PARTS.items()}
    return Trace(**{**_known(Trace, fields), **parts, "frames": tuple(frames)})


def _fields_of(record: Any) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__dataclass_fields__}


def _known(kind: Any, fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: fields[name] for name in kind.__dataclass_fields__ if name in fields}


@functools.cache
def checker(kind: Any) -> Any:
    """What checks plain data from outside: pydantic's adapter of a type, which is imported by then only."""
    import pydantic

    return pydantic.TypeAdapter(kind)


def frame_fields(frame: Frame, sources: SourceLines) -> FrameFields:
    """A frame as plain data; `sources` are the files of its trace."""
    fields: FrameFields = {
        "event": frame.event.value,
        "line": frame.line,
        "activation": frame.activation,
        "depth": frame.depth,
    }
    if frame.thread:
        fields["thread"] = frame.thread
    if frame.file:
        fields["file"] = frame.file
    if frame.source != sources.at(frame.file, frame.line):
        fields["source"] = frame.source
    if frame.changed:
        fields["changed"] = {
            name: None if slot is None else _slot_fields(slot) for name, slot in frame.changed.items()
        }
    if frame.value is not None:
        fields["value"] = _slot_fields(frame.value)
    if frame.message is not None:
        fields["message"] = frame.message
    if frame.raw is not None:
        fields["raw"] = frame.raw
    if frame.logprobs is not None:
        fields["logprobs"] = dict(frame.logprobs)
    return fields


def frame_from_fields(fields: FrameFields, sources: SourceLines) -> Frame:
    """The inverse of `frame_fields`."""
    changed = fields.get("changed")
    value = fields.get("value")
    file, line = fields.get("file", 0), fields["line"]
    source = fields.get("source")
    return Frame(
        _EVENTS[fields["event"]],
        line,
        sources.at(file, line) if source is None else source,
        fields["activation"],
        fields["depth"],
        fields.get("thread", 0),
        file,
        {name: None if slot is None else Slot(**slot) for name, slot in changed.items()} if changed else {},
        None if value is None else Slot(**value),
        fields.get("message"),
        fields.get("raw"),
        fields.get("logprobs"),
    )


def frames_from_fields(fields: Iterable[FrameFields], sources: SourceLines) -> tuple[Frame, ...]:
    """Many frames at once.

    Everything made here is kept: the garbage collector would look for cycles in it again and again.
    """
    with resting_collector():
        return tuple(frame_from_fields(item, sources) for item in fields)


def fields_of_lines(data: bytes) -> list[FrameFields]:
    """Frames as plain data, of the JSON lines that the compiled recorder wrote of them."""
    import pydantic_core

    lines = data.splitlines()
    with resting_collector():
        try:
            frames: list[FrameFields] = pydantic_core.from_json(b"[" + b",".join(lines) + b"]")
        except ValueError:  # a lone surrogate, which memory may hold
            frames = [json.loads(line.decode("utf-8", "surrogatepass")) for line in lines]
    return frames


def lines_of_fields(frames: Iterable[FrameFields]) -> bytes:
    """The inverse of `fields_of_lines`: lines with endings, fields in the order of a recording's."""
    ordered = ({name: frame[name] for name in _FIELDS if name in frame} for frame in frames)  # type: ignore[literal-required]
    return "".join(f"{_encode(fields)}\n" for fields in ordered).encode("utf-8", "surrogatepass")


_FIELDS = tuple(FrameFields.__annotations__)


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@contextmanager
def resting_collector() -> Iterator[None]:
    """Make many objects without the garbage collector looking at them meanwhile.

    Looking takes longer than making them.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class SourceLines:
    """Lines of source files by number; files may be added."""

    def __init__(self, files: Sequence[SourceFile]) -> None:
        self._files = files
        self._lines: dict[int, list[str]] = {}

    def at(self, file: int, line: int) -> str:
        """That line without its ending; empty if there is none."""
        lines = self._lines.get(file)
        if lines is None:
            if not 0 <= file < len(self._files):
                return ""
            lines = self._lines[file] = self._files[file].text.split("\n")
        return lines[line - 1] if 0 < line <= len(lines) else ""


def _slot_fields(slot: Slot) -> SlotFields:
    fields: SlotFields = {"text": slot.text}
    if slot.type:
        fields["type"] = slot.type
    if slot.size is not None:
        fields["size"] = slot.size
    if slot.clipped:
        fields["clipped"] = slot.clipped
    return fields
