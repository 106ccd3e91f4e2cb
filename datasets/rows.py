"""A row of a dataset: an item and its trace, as a line of JSON with one explicit schema.

JSON Lines and Parquet hold the same rows. The line is made of those that a trace file has of the frames, and
is not read again on its way into a file. Variables are a list of structures, `list<struct<name, value,
…>>`: as a dictionary every name that occurs anywhere would become a column, and Hugging Face's `datasets`
refuses Arrow's maps.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

from cwm_trace.datasets.item import Item
from cwm_trace.plain import SourceLines, frames_from_fields, trace_fields, trace_from_fields
from cwm_trace.records import FrameFields, Outcome, SlotFields, SourceFile, Trace

if TYPE_CHECKING:
    import pyarrow

Row = dict[str, Any]


def write_row(item: Item, trace: Trace, frames: Iterable[str]) -> str:
    """The line of a row, without its ending; in a program that holds a lone surrogate it does so too.

    Args:
        item: what was recorded.
        trace: its trace, which has no frames of its own.
        frames: the lines that a trace file has of them.
    """
    about = trace_fields(trace)
    head = _encode({
        "id": item.id,
        "program": _program_hash(item),
        "family": item.family,
        "knobs": [{"name": name, "value": json.dumps(value)} for name, value in item.knobs.items()],
        "twin_of": item.twin_of,
        "call": item.call,
        "files": [{"name": file.name, "text": file.text} for file in trace.files],
        **{name: about[name] for name in _ABOUT},
        "outcome": trace.outcome.value,
    })  # fmt: skip
    return f'{head[:-1]},"frames":[{",".join(map(_write_frame, frames))}]}}'


def trace_of(row: Mapping[str, Any]) -> Trace:
    """The trace of a row."""
    files = tuple(SourceFile(**file) for file in row["files"])
    about = {**row, "files": files, "outcome": Outcome(row["outcome"])}
    return trace_from_fields(about, frames_from_fields(map(_frame_fields, row["frames"]), SourceLines(files)))


def _program_hash(item: Item) -> str:
    """Sixteen hex digits of the program's text, the call left out."""
    return hashlib.sha256(item.source.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def arrow_schema() -> pyarrow.Schema:
    """The schema of a row."""
    import pyarrow as pa

    slot = [("value", pa.string()), ("type", pa.string()), ("size", pa.int64()), ("clipped", pa.int64())]
    frame = pa.struct(
        [
            ("event", pa.string()),
            ("line", pa.int32()),
            ("activation", pa.int32()),
            ("depth", pa.int32()),
            ("thread", pa.int32()),
            ("file", pa.int32()),
            ("changed", pa.list_(pa.struct([("name", pa.string()), *slot]))),
            ("value", pa.struct(slot)),
            ("message", pa.string()),
        ]
    )
    return pa.schema(
        [
            ("id", pa.string()),
            ("program", pa.string()),
            ("family", pa.string()),
            ("knobs", pa.list_(pa.struct([("name", pa.string()), ("value", pa.string())]))),
            ("twin_of", pa.string()),
            ("call", pa.string()),
            ("files", pa.list_(pa.struct([("name", pa.string()), ("text", pa.string())]))),
            ("entry", pa.string()),
            ("entry_line", pa.int32()),
            ("python", pa.string()),
            ("profile", pa.string()),
            ("outcome", pa.string()),
            ("exit_code", pa.int32()),
            ("output", pa.string()),
            ("skipped", pa.int32()),
            ("frames", pa.list_(frame)),
        ]
    )


_NO_TYPE = '""'
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

_STRING = r'"[^"\\]*(?:\\.[^"\\]*)*"'
_VALUE = rf'\{{"text":({_STRING})(?:,"type":({_STRING}))?(?:,"size":(\d+))?(?:,"clipped":(\d+))?\}}'
_read_head = re.compile(
    r'(\{"event":"\w+","line":\d+,"activation":\d+,"depth":\d+)(?:,"thread":(\d+))?(?:,"file":(\d+))?'
).match
_read_slot = re.compile(rf"[{{,]({_STRING}):(?:null|{_VALUE})").match
_read_value = re.compile(rf',"value":{_VALUE}').match
_read_message = re.compile(rf',"message":({_STRING})').match


def _write_frame(line: str) -> str:
    """A frame with every column, made of the line that a trace file has of it."""
    head = _read_head(line)
    if head is None:
        raise ValueError(f"no frame of a recording: {line}")
    about, thread, file = head.groups("0")
    at = head.end()
    slots = []
    if line.startswith(',"changed":', at):
        at += len(',"changed":')
        while slot := _read_slot(line, at):
            slots.append(f'{{"name":{slot[1]},{_write_slot(*slot.groups()[1:])}')
            at = slot.end()
        at += 1
    value = message = "null"
    if found := _read_value(line, at):
        value, at = "{" + _write_slot(*found.groups()), found.end()
    if found := _read_message(line, at):
        message, at = found[1], found.end()
    if line[at:] != "}":
        raise ValueError(f"no frame of a recording: {line}")
    return (
        f'{about},"thread":{thread},"file":{file},"changed":[{",".join(slots)}],'
        f'"value":{value},"message":{message}}}'
    )


def _write_slot(text: str | None, kind: str | None, size: str | None, clipped: str | None) -> str:
    """The columns of a slot, and the brace behind them; without a text it is no longer bound."""
    if text is None:
        return '"value":null,"type":null,"size":null,"clipped":null}'
    return f'"value":{text},"type":{kind or _NO_TYPE},"size":{size or "null"},"clipped":{clipped or 0}}}'


def _frame_fields(row: Mapping[str, Any]) -> FrameFields:
    fields = {name: each for name, each in row.items() if each != _FRAME[name] or name in _ALWAYS}
    if row["changed"]:
        fields["changed"] = {slot["name"]: _slot_fields(slot) for slot in row["changed"]}
    if row["value"] is not None:
        fields["value"] = _slot_fields(row["value"])
    return cast(FrameFields, fields)


def _slot_fields(row: Mapping[str, Any]) -> SlotFields | None:
    if row["value"] is None:
        return None
    fields: SlotFields = {"text": row["value"], "type": row["type"]}
    if row["size"] is not None:
        fields["size"] = row["size"]
    if row["clipped"]:
        fields["clipped"] = row["clipped"]
    return fields


_ABOUT = ("entry", "entry_line", "python", "profile", "outcome", "exit_code", "output", "skipped")
"""What a row says of a trace beside its files and frames."""
_FRAME: Row = {
    **dict.fromkeys(("event", "line", "activation", "depth", "thread", "file"), 0),
    "changed": [],
    "value": None,
    "message": None,
}
"""Columns of a frame, with what stands for a field that is left out."""
_ALWAYS = ("event", "line", "activation", "depth")
