"""A unit of work: some items in, their rows out, the same whoever makes it and whenever."""

from __future__ import annotations

import itertools
import json
import linecache
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pydantic_core

from cwm_trace.datasets.families import make_item
from cwm_trace.datasets.item import SPLITS, Item, Knob
from cwm_trace.datasets.rows import Row, make_row
from cwm_trace.datasets.shards import compress
from cwm_trace.datasets.similarity import Benchmark, dump_sketch, key_of, rename_words, sketch, words_of
from cwm_trace.datasets.twins import make_twin
from cwm_trace.errors import CwmTraceError
from cwm_trace.records import FrameFields, Limits, Outcome, Program, Trace
from cwm_trace.tracer.sandbox import trace_fields_isolated
from cwm_trace.tracer.session import Fields, Options, record_program
from cwm_trace.tracer.supervision import Bounds
from cwm_trace.tracer.target import load_text

KEPT = (Outcome.RETURNED, Outcome.RAISED, Outcome.EXITED)
"""Outcomes of traces that are whole."""


@dataclass(frozen=True)
class Unit:
    """What one unit makes: items of a generator by number, or items or rows that are given.

    Args:
        number: of the unit; decides the order of the dataset.
        generator: name of a family or preset; empty: `items` or `rows` are given.
        split: of generated items, or of all; None: as the item says, or by the hash of its program.
        start: first item of the generator.
        stop: behind its last item.
        seed: of the generator.
        knobs: of the family.
        twins: kinds of rewrites of each item.
        items: made elsewhere.
        rows: recorded elsewhere.
        sandbox: record in a child process of its own.
        limits: of one trace; its timeout too.
    """

    number: int
    generator: str = ""
    split: str | None = None
    start: int = 0
    stop: int = 0
    seed: int = 0
    knobs: tuple[tuple[str, Knob], ...] = ()
    twins: tuple[str, ...] = ()
    items: tuple[Item, ...] = ()
    rows: tuple[Row, ...] = ()
    sandbox: bool = False
    limits: Limits = Limits()


@dataclass(frozen=True)
class MadeUnit:
    """A unit's rows.

    Args:
        number: of the unit.
        data: rows as compressed JSON Lines.
        keys: JSON: for each row what decides about duplicates and splits, and the failures by reason.
        tried: items.
        frames: of all rows.
        size: bytes of the rows before compression.
    """

    number: int
    data: bytes
    keys: bytes
    tried: int
    frames: int
    size: int


def make_unit(unit: Unit, benchmark: Benchmark | None = None) -> MadeUnit:
    """Make, record and describe the items of a unit."""
    failures: Counter[str] = Counter()
    lines: list[bytes] = []
    keys: list[dict[str, Any]] = []
    tried = frames = 0
    for item, row in _recorded(unit, failures, benchmark):
        tried += 1
        if row is None:
            continue
        try:
            line = pydantic_core.to_json(row)
        except pydantic_core.PydanticSerializationError:  # a lone surrogate in the program itself
            failures["not-unicode"] += 1
            continue
        lines.append(line + b"\n")
        frames += len(row["frames"])
        keys.append(_keys(item, row, unit.split))
    about = {
        "rows": keys,
        "failures": dict(sorted(failures.items())),
        "tried": tried,
        "frames": frames,
        "size": sum(map(len, lines)),
    }
    return MadeUnit(
        unit.number, compress(lines), json.dumps(about).encode(), tried, frames, sum(map(len, lines))
    )


def _recorded(
    unit: Unit, failures: Counter[str], benchmark: Benchmark | None
) -> Iterator[tuple[Item, Row | None]]:
    for row in unit.rows:
        item = Item(row["id"], row["files"][0]["text"], row["call"], row["family"], twin_of=row["twin_of"])
        contaminated = benchmark is not None and benchmark.has_copy_in(item.source)
        failures.update(["contaminated"] if contaminated else [])
        yield item, None if contaminated else row
    for item in _items(unit):
        if benchmark is not None and benchmark.has_copy_in(item.source):
            failures["contaminated"] += 1
            yield item, None
            continue
        trace, frames, reason = _record(item, unit)
        if reason:
            failures[reason] += 1
            yield item, None
        else:
            yield item, make_row(item, trace, frames)


def _items(unit: Unit) -> Iterator[Item]:
    for item in itertools.chain(_generated(unit), unit.items):
        yield item
        for kind in unit.twins:
            twin = make_twin(item, kind) if item.call else None
            if twin is not None:
                yield twin


def _generated(unit: Unit) -> Iterator[Item]:
    split = unit.split or SPLITS[0]
    for index in range(unit.start, unit.stop):
        yield make_item(unit.generator, index, seed=unit.seed, split=split, knobs=dict(unit.knobs))


def _record(item: Item, unit: Unit) -> tuple[Trace, list[FrameFields], str]:
    """The trace and its frames, and why it is left out; empty if it is not."""
    try:
        if unit.sandbox:
            bounds = Bounds(unit.limits.timeout or 10.0)
            trace, frames, reason = trace_fields_isolated(item.source, item.call, unit.limits, bounds)
        else:
            trace, frames = record_item(item, unit.limits)
            reason = trace.outcome.value
    except CwmTraceError:
        return Trace(Program()), [], "does-not-compile"
    if trace.outcome not in KEPT or reason not in ("returned", "raised", "exited"):
        return trace, frames, reason
    if item.expected is not None and item.expected != _value(frames):
        return trace, frames, "wrong-output"
    return trace, frames, ""


def record_item(item: Item, limits: Limits) -> tuple[Trace, list[FrameFields]]:
    """Record a trusted item in this process; the trace has no frames, they come as plain data."""
    program = load_text(item.source, item.call)
    sink = Fields()
    record_program(program, sink, Options(limits=limits, capture_output=True))
    linecache.cache.pop(program.code.co_filename, None)
    return sink.trace, sink.frames


def _value(frames: Sequence[FrameFields]) -> str | None:
    for frame in reversed(frames):
        if frame["depth"] == 0 and frame["event"] == "return":
            return frame["value"]["text"] if "value" in frame else None
    return None


def _keys(item: Item, row: Row, split: str | None) -> dict[str, Any]:
    words = words_of(item.source)
    renamed = key_of(rename_words(words))
    entry = [
        item.call or row["entry"],
        row["frames"][0]["changed"] if row["frames"] and not item.call else [],
    ]
    return {
        "id": item.id,
        "twin_of": item.twin_of,
        "split": split or (item.split if item.split != "train" else None),
        "program": renamed,
        "exact": key_of([renamed, json.dumps(entry)]),
        "text": key_of([item.source, json.dumps(entry)]),
        "sketch": b64encode(dump_sketch(sketch(words))).decode(),
    }
