"""A row of a dataset: an item and its trace, as a line of JSON with one explicit schema.

JSON Lines and Parquet hold the same rows. The line is made of those that a trace file has of the frames, and
is not read again on its way into a file. Variables are a list of structures, `list<struct<name, value,
…>>`: as a dictionary every name that occurs anywhere would become a column, and Hugging Face's `datasets`
refuses Arrow's maps.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from cwm_trace.datasets.item import Item, Knob
from cwm_trace.plain import SourceLines, frames_from_fields, trace_fields, trace_from_fields
from cwm_trace.records import FrameFields, Outcome, SlotFields, SourceFile, Trace
from cwm_trace.tracer import extension

if TYPE_CHECKING:
    import pyarrow

Row = dict[str, Any]


def write_row(item: Item, trace: Trace, frames: bytes) -> bytes:
    """The line of a row in UTF-8, without its ending; it has lone surrogates as `frames` has them.

    Args:
        item: what was recorded.
        trace: its trace, which has no frames of its own.
        frames: the lines that a trace file has of them, each with its ending.

    Raises:
        ValueError: these are no lines of a recording.
    """
    about = trace_fields(trace)
    head = _encode({
        "id": item.id,
        "program": _program_hash(item),
        "family": item.family,
        "knobs": [{"name": name, "value": _write_knob(value)} for name, value in item.knobs.items()],
        "twin_of": item.twin_of,
        "call": item.call,
        "files": [{"name": file.name, "text": file.text} for file in trace.files],
        **{name: about[name] for name in _ABOUT},
        "outcome": trace.outcome.value,
    })  # fmt: skip
    columns = extension.columns_of_lines(frames) if extension.IS_BUILT else _columns_of_lines(frames)
    return b'%s,"frames":[%s]}' % (head[:-1].encode("utf-8", "surrogatepass"), columns)


def trace_of(row: Mapping[str, Any]) -> Trace:
    """The trace of a row."""
    files = tuple(SourceFile(**file) for file in row["files"])
    about = {**row, "files": files, "outcome": Outcome(row["outcome"])}
    return trace_from_fields(about, frames_from_fields(map(_frame_fields, row["frames"]), SourceLines(files)))


@functools.lru_cache(1024, typed=True)
def _write_knob(value: Knob) -> str:
    return json.dumps(value)


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

_STRING = r'"[^"\\\x00-\x1f]*(?:\\[^\x00-\x1f][^"\\\x00-\x1f]*)*"'
_VALUE = rf'\{{"text":({_STRING})(?:,"type":({_STRING}))?(?:,"size":(\d+))?(?:,"clipped":(\d+))?\}}'
_SLOT = rf"({_STRING}):(?:null|{_VALUE})"
_SLOTS = re.sub(r"\((?!\?)", "(?:", rf"{_SLOT}(?:,{_SLOT})*")
_match_frame = re.compile(
    r'(\{"event":"[a-z]+","line":\d+,"activation":\d+,"depth":\d+)(?:,"thread":(\d+))?(?:,"file":(\d+))?'
    rf'(?:,"changed":\{{({_SLOTS})\}})?(?:,"value":({_VALUE}))?(?:,"message":({_STRING}))?\}}',
    re.ASCII,
).fullmatch
_find_slots = re.compile(_SLOT, re.ASCII).finditer


def _columns_of_lines(lines: bytes) -> bytes:
    """Frames with every column, separated by commas, made of the lines that a trace file has of them.

    Where the compiled recorder was built, its function of this name does the same.

    Raises:
        ValueError: these are no lines of a recording.
    """
    text = lines.decode("utf-8", "surrogatepass")
    if text and not text.endswith("\n"):
        raise ValueError(f"no frame of a recording: {text[-200:]}")
    return ",".join(map(_write_frame, text.split("\n")[:-1])).encode("utf-8", "surrogatepass")


def _write_frame(line: str) -> str:
    frame = _match_frame(line)
    if frame is None:
        raise ValueError(f"no frame of a recording: {line[:200]}")
    about, thread, file, changed, value, *slot, message = frame.groups()
    slots = [
        f'{{"name":{found[1]},{_write_slot(*found.groups()[1:])}' for found in _find_slots(changed or "")
    ]
    return (
        f'{about},"thread":{thread or 0},"file":{file or 0},"changed":[{",".join(slots)}],'
        f'"value":{"{" + _write_slot(*slot) if value else "null"},"message":{message or "null"}}}'
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
