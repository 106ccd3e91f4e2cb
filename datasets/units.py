"""A unit of work: some items in, their rows out, the same whoever makes it and whenever."""

from __future__ import annotations

import gc
import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from cwm_trace.datasets.families import make_item
from cwm_trace.datasets.item import SPLITS, Item, Knob
from cwm_trace.datasets.item_recording import KEPT, SECONDS, record_lines, stand_ins
from cwm_trace.datasets.keys import KEYS, keys_of
from cwm_trace.datasets.rows import write_row
from cwm_trace.datasets.shards import UNIT_LEVEL, compress
from cwm_trace.datasets.similarity import Benchmark
from cwm_trace.datasets.twins import make_twin
from cwm_trace.errors import CwmTraceError
from cwm_trace.plain import resting_collector
from cwm_trace.records import Limits, Program, Trace
from cwm_trace.tracer.sandbox import trace_lines_isolated
from cwm_trace.tracer.supervision import Bounds
from cwm_trace.tracer.target import load_text


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
    rests = bool(unit.generator)  # programs of ours do not look at the garbage collector
    with stand_ins(), resting_collector() if rests else nullcontext():
        items = list(_items(unit))
        made = list(_given(unit, benchmark, failures))
        for start in range(0, len(items), _TOGETHER):
            made += _recorded(items[start : start + _TOGETHER], unit, benchmark, failures)
            if rests:
                gc.collect(1)  # what they left behind, and nothing older
    keys = [keys_of(one.item, unit.split, one.entry, one.arguments) for one in made]
    return MadeUnit(
        unit.number,
        compress([one.line + b"\n" for one in made], UNIT_LEVEL),
        np.array(keys, KEYS).tobytes(),
        dict(sorted((+failures).items())),
        tried=len(unit.rows) + len(items),
        frames=sum(one.frames for one in made),
    )


_TOGETHER = 50
"""Items of which each step is done before the next one is: what it needs stays in the processor's caches."""


class _Made(NamedTuple):
    """A row, and what its keys are made of."""

    item: Item
    line: bytes
    frames: int
    entry: str
    arguments: Any


def _given(unit: Unit, benchmark: Benchmark | None, failures: Counter[str]) -> Iterator[_Made]:
    for text in unit.rows:
        row = json.loads(text)
        item = Item(row["id"], row["files"][0]["text"], row["call"], row["family"], twin_of=row["twin_of"])
        line = text.encode("utf-8", "surrogatepass")
        if benchmark is not None and benchmark.has_copy_in(item.source):
            failures["contaminated"] += 1
        elif not _is_unicode(line):
            failures["not-unicode"] += 1
        else:
            frames = row["frames"]
            yield _Made(item, line, len(frames), row["entry"], frames[0]["changed"] if frames else [])


def _recorded(
    items: Sequence[Item], unit: Unit, benchmark: Benchmark | None, failures: Counter[str]
) -> Iterator[_Made]:
    if benchmark is not None:
        copies = [benchmark.has_copy_in(item.source) for item in items]
        failures["contaminated"] += sum(copies)
        items = [item for item, is_copy in zip(items, copies, strict=True) if not is_copy]
    loaded = [_load(item, unit) for item in items]
    recorded = [_record(item, run) for item, run in zip(items, loaded, strict=True)]
    for item, (trace, lines, reason) in zip(items, recorded, strict=True):
        if reason:
            failures[reason] += 1
            continue
        try:
            line = write_row(item, trace, lines)
        except ValueError:  # a hostile program has written into the channel of its sandbox
            failures["damaged"] += 1
            continue
        if not _is_unicode(line):  # a lone surrogate in the program itself
            failures["not-unicode"] += 1
            continue
        first = {} if item.call or not lines else json.loads(lines[: lines.index(b"\n")]).get("changed", {})
        yield _Made(item, line, lines.count(b"\n"), trace.entry, first)


def _is_unicode(line: bytes) -> bool:
    try:
        return line.isascii() or bool(line.decode())
    except UnicodeDecodeError:
        return False


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


_Run = Callable[[], tuple[Trace, bytes, str]]
"""Gives a trace without its frames, their lines, and how it ended."""


def _load(item: Item, unit: Unit) -> _Run | None:
    """What runs the item; None: it cannot be compiled."""
    if unit.sandbox:
        bounds = Bounds(unit.limits.timeout or SECONDS)
        return partial(trace_lines_isolated, item.source, item.call, unit.limits, bounds)
    try:
        program = load_text(item.source, item.call)
    except CwmTraceError:
        return None

    def run() -> tuple[Trace, bytes, str]:
        trace, lines = record_lines(item, program, unit.limits)
        return trace, lines, trace.outcome.value

    return run


def _record(item: Item, run: _Run | None) -> tuple[Trace, bytes, str]:
    """The trace and the lines of its frames, and why it is left out; empty if it is not."""
    try:
        trace, lines, reason = (Trace(Program()), b"", "does-not-compile") if run is None else run()
    except CwmTraceError:
        return Trace(Program()), b"", "does-not-compile"
    if trace.outcome not in KEPT or reason not in ("returned", "raised", "exited"):
        return trace, b"", reason
    if item.expected is not None and item.expected != _value(lines):
        return trace, b"", "wrong-output"
    return trace, lines, ""


def _value(lines: bytes) -> str | None:
    for frame in map(json.loads, reversed(lines.split(b"\n")[:-1])):
        if frame["depth"] == 0 and frame["event"] == "return":
            return frame["value"]["text"] if "value" in frame else None
    return None
