"""A row of a dataset: an item and its trace, as plain data with one explicit schema.

JSON Lines and Parquet hold the same rows. Variables are a list of structures, `list<struct<name, value,
…>>`: as a dictionary every name that occurs anywhere would become a column, and Hugging Face's `datasets`
refuses Arrow's maps.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cwm_trace.datasets.item import Item, Knob
from cwm_trace.plain import SourceLines, frames_from_fields
from cwm_trace.records import FrameFields, Outcome, Program, Run, SlotFields, SourceFile, Trace
from cwm_trace.wire.context import MAIN

if TYPE_CHECKING:
    import pyarrow

Row = dict[str, Any]


def make_row(item: Item, trace: Trace, frames: list[FrameFields]) -> Row:
    """A row; `frames` are those of `trace`, which has none of its own."""
    return {
        "id": item.id,
        "program": program_hash(item),
        "family": item.family,
        "knobs": [{"name": name, "value": json.dumps(value)} for name, value in item.knobs.items()],
        "twin_of": item.twin_of,
        "call": item.call,
        "files": [{"name": file.name, "text": file.text} for file in trace.files],
        "entry": trace.entry,
        "entry_line": trace.entry_line,
        "python": trace.run.python,
        "profile": trace.profile,
        "outcome": trace.outcome.value,
        "exit_code": trace.run.exit_code,
        "output": trace.run.output,
        "skipped": trace.run.skipped,
        "frames": [_frame_row(frame) for frame in frames],
    }


def trace_of(row: Mapping[str, Any]) -> Trace:
    """The trace of a row."""
    files = tuple(SourceFile(file["name"], file["text"]) for file in row["files"])
    return Trace(
        Program(files, row["entry"], row["entry_line"]),
        frames_from_fields(map(_frame_fields, row["frames"]), SourceLines(files)),
        Outcome(row["outcome"]),
        row["profile"],
        run=Run(row["python"], exit_code=row["exit_code"], output=row["output"], skipped=row["skipped"]),
    )


def item_of(row: Mapping[str, Any], split: str = "train") -> Item:
    """The item of a row; what it was expected to give was checked when the row was made."""
    text: str = row["files"][0]["text"]
    if row["call"]:
        text = text.removesuffix(f"{MAIN}\n    return {row['call'].strip()}\n")
    knobs: dict[str, Knob] = {knob["name"]: json.loads(knob["value"]) for knob in row["knobs"]}
    return Item(row["id"], text, row["call"], row["family"], knobs, split, twin_of=row["twin_of"])


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
    changed = fields.get("changed")
    value = fields.get("value")
    return {
        "event": fields["event"],
        "line": fields["line"],
        "activation": fields["activation"],
        "depth": fields["depth"],
        "thread": fields.get("thread", 0),
        "file": fields.get("file", 0),
        "changed": [
            {"name": name, **(_UNBOUND if slot is None else _slot_row(slot))}
            for name, slot in changed.items()
        ]
        if changed
        else [],
        "value": None if value is None else _slot_row(value),
        "message": fields.get("message"),
    }


def _slot_row(slot: SlotFields) -> Row:
    return {
        "value": slot["text"],
        "type": slot.get("type", ""),
        "size": slot.get("size"),
        "clipped": slot.get("clipped", 0),
    }


_UNBOUND: Row = {"value": None, "type": None, "size": None, "clipped": None}
"""A variable that is no longer bound."""


def _frame_fields(row: Mapping[str, Any]) -> FrameFields:
    fields: FrameFields = {
        "event": row["event"],
        "line": row["line"],
        "activation": row["activation"],
        "depth": row["depth"],
    }
    if row["thread"]:
        fields["thread"] = row["thread"]
    if row["file"]:
        fields["file"] = row["file"]
    if row["changed"]:
        fields["changed"] = {
            slot["name"]: None if slot["value"] is None else _slot_fields(slot) for slot in row["changed"]
        }
    if row["value"] is not None:
        fields["value"] = _slot_fields(row["value"])
    if row["message"] is not None:
        fields["message"] = row["message"]
    return fields


def _slot_fields(row: Mapping[str, Any]) -> SlotFields:
    fields: SlotFields = {"text": row["value"], "type": row["type"]}
    if row["size"] is not None:
        fields["size"] = row["size"]
    if row["clipped"]:
        fields["clipped"] = row["clipped"]
    return fields
