"""A unit of work: some items in, their rows out, the same whoever makes it and whenever."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from cwm_trace.datasets.families import make_item
from cwm_trace.datasets.item import SPLITS, Item, Knob
from cwm_trace.datasets.item_recording import KEPT, record_lines, stand_ins
from cwm_trace.datasets.keys import KEYS, keys_of
from cwm_trace.datasets.rows import write_row
from cwm_trace.datasets.shards import UNIT_LEVEL, compress
from cwm_trace.datasets.similarity import Benchmark
from cwm_trace.datasets.twins import make_twin
from cwm_trace.errors import CwmTraceError
from cwm_trace.records import Limits, Program, Trace
from cwm_trace.tracer.sandbox import trace_lines_isolated
from cwm_trace.tracer.supervision import Bounds


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
        rows: recorded elsewhere, their lines.
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
    rows: tuple[str, ...] = ()
    sandbox: bool = False
    limits: Limits = Limits()


@dataclass(frozen=True)
class MadeUnit:
    """A unit's rows, as they go into files.

    Args:
        number: of the unit.
        data: rows as compressed JSON Lines.
        keys: of each row, the bytes of `KEYS`.
        failures: items without a row, by reason.
        tried: items.
        frames: of all rows.
    """

    number: int
    data: bytes
    keys: bytes
    failures: Mapping[str, int]
    tried: int
    frames: int


def make_unit(unit: Unit, benchmark: Benchmark | None = None) -> MadeUnit:
    """Make, record and describe the items of a unit."""
    failures: Counter[str] = Counter()
    lines: list[bytes] = []
    keys: list[tuple[Any, ...]] = []
    tried = frames = 0
    with stand_ins():
        for made in _recorded(unit, failures, benchmark):
            tried += 1
            if made is None:
                continue
            if not _is_unicode(made.line):  # a lone surrogate in the program itself
                failures["not-unicode"] += 1
                continue
            lines.append(made.line + b"\n")
            frames += made.frames
            keys.append(keys_of(made.item, unit.split, made.entry, made.arguments))
    return MadeUnit(
        unit.number,
        compress(lines, UNIT_LEVEL),
        np.array(keys, KEYS).tobytes(),
        dict(sorted(failures.items())),
        tried,
        frames,
    )


def _is_unicode(line: bytes) -> bool:
    try:
        return line.isascii() or bool(line.decode())
    except UnicodeDecodeError:
        return False


class _Made(NamedTuple):
    """A row, and what its keys are made of."""

    item: Item
    line: bytes
    frames: int
    entry: str
    arguments: Any


def _recorded(unit: Unit, failures: Counter[str], benchmark: Benchmark | None) -> Iterator[_Made | None]:
    for line in unit.rows:
        row = json.loads(line)
        item = Item(row["id"], row["files"][0]["text"], row["call"], row["family"], twin_of=row["twin_of"])
        if benchmark is not None and benchmark.has_copy_in(item.source):
            failures["contaminated"] += 1
            yield None
            continue
        frames = row["frames"]
        data = line.encode("utf-8", "surrogatepass")
        yield _Made(item, data, len(frames), row["entry"], frames[0]["changed"] if frames else [])
    for item in _items(unit):
        if benchmark is not None and benchmark.has_copy_in(item.source):
            failures["contaminated"] += 1
            yield None
            continue
        trace, lines, reason = _record(item, unit)
        if reason:
            failures[reason] += 1
            yield None
            continue
        try:
            line = write_row(item, trace, lines)
        except ValueError:  # a hostile program has written into the channel of its sandbox
            failures["damaged"] += 1
            yield None
            continue
        first = {} if item.call or not lines else json.loads(lines[: lines.index(b"\n")]).get("changed", {})
        yield _Made(item, line, lines.count(b"\n"), trace.entry, first)


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


def _record(item: Item, unit: Unit) -> tuple[Trace, bytes, str]:
    """The trace and the lines of its frames, and why it is left out; empty if it is not."""
    try:
        if unit.sandbox:
            bounds = Bounds(unit.limits.timeout or 10.0)
            trace, lines, reason = trace_lines_isolated(item.source, item.call, unit.limits, bounds)
        else:
            trace, lines = record_lines(item, unit.limits)
            reason = trace.outcome.value
    except CwmTraceError:
        return Trace(Program()), b"", "does-not-compile"
    if trace.outcome not in KEPT or reason not in ("returned", "raised", "exited"):
        return trace, lines, reason
    if item.expected is not None and item.expected != _value(lines):
        return trace, lines, "wrong-output"
    return trace, lines, ""


def _value(lines: bytes) -> str | None:
    for frame in map(json.loads, reversed(lines.split(b"\n")[:-1])):
        if frame["depth"] == 0 and frame["event"] == "return":
            return frame["value"]["text"] if "value" in frame else None
    return None
