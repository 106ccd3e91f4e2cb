"""A row of a dataset: an item and its trace, as plain data with one explicit schema.

JSON Lines and Parquet hold the same rows. Variables are a list of structures, `list<struct<name, value,
…>>`: as a dictionary every name that occurs anywhere would become a column, and Hugging Face's `datasets`
refuses Arrow's maps.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from cwm_trace.datasets.item import Item
from cwm_trace.plain import SourceLines, frames_from_fields, trace_fields, trace_from_fields
from cwm_trace.records import FrameFields, Outcome, SlotFields, SourceFile, Trace

if TYPE_CHECKING:
    import pyarrow

Row = dict[str, Any]


def make_row(item: Item, trace: Trace, frames: list[FrameFields]) -> Row:
    """A row; `frames` are those of `trace`, which has none of its own."""
    about = trace_fields(trace)
    return {
        "id": item.id,
        "program": program_hash(item),
        "family": item.family,
        "knobs": [{"name": name, "value": json.dumps(value)} for name, value in item.knobs.items()],
        "twin_of": item.twin_of,
        "call": item.call,
        "files": [{"name": file.name, "text": file.text} for file in trace.files],
        **{name: about[name] for name in _ABOUT},
        "outcome": trace.outcome.value,
        "frames": [_frame_row(frame) for frame in frames],
    }


def trace_of(row: Mapping[str, Any]) -> Trace:
    """The trace of a row."""
    files = tuple(SourceFile(**file) for file in row["files"])
    about = {**row, "files": files, "outcome": Outcome(row["outcome"])}
    return trace_from_fields(about, frames_from_fields(map(_frame_fields, row["frames"]), SourceLines(files)))


def program_hash(item: Item) -> str:
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


def _frame_row(fields: FrameFields) -> Row:
    changed = fields.get("changed", {})
    value = fields.get("value")
    return {
        **_FRAME,
        **{name: each for name, each in fields.items() if name in _FRAME},
        "changed": [{"name": name, **_slot_row(slot)} for name, slot in changed.items()],
        "value": None if value is None else _slot_row(value),
    }


def _slot_row(slot: SlotFields | None) -> Row:
    if slot is None:
        return _UNBOUND
    text, kind, clipped = slot["text"], slot.get("type", ""), slot.get("clipped", 0)
    return {"value": text, "type": kind, "size": slot.get("size"), "clipped": clipped}


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
_UNBOUND: Row = {"value": None, "type": None, "size": None, "clipped": None}
"""A variable that is no longer bound."""
