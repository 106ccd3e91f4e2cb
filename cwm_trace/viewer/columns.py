"""Frames as the page reads them: an index of all, and the values in blocks that it unpacks one by one.

The index holds what the page needs of every frame at once (lines, depths, what is wrong), a list per field.
A block holds what changes in `BLOCK` frames and begins with a key state: the variables so far of every
activation that has a frame in it. So any state costs one block, however long the trace is.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cwm_trace.eval.comparison import Comparison
from cwm_trace.records import UNCHANGED, Event, Frame, Slot, Trace

BLOCK = 1000
"""Frames of a block."""
_EVENT_CODES = {Event.CALL: "c", Event.LINE: "l", Event.RETURN: "r", Event.EXCEPTION: "x", Event.END: "e"}
_GONE = -1
"""In the place of a slot: the name is no longer bound."""
RIGHT, WRONG, GIVEN, _UNSCORED, MISSING, SURPLUS = "=", "x", "g", ".", "-", "+"
"""How a predicted frame does at its place, as the index says it."""


@dataclass(frozen=True, slots=True)
class Packed:
    """One execution, ready for the page.

    Args:
        index: plain data with a list or a string per field.
        blocks: of `BLOCK` frames each, packed.
    """

    index: Mapping[str, Any]
    blocks: tuple[str, ...]


def pack(data: Any) -> str:
    """JSON in ASCII, deflated (zlib's header, RFC 1950), in base64: no text of a program becomes markup."""
    return base64.b64encode(zlib.compress(json.dumps(data, separators=(",", ":")).encode(), 6)).decode()


def pack_trace(trace: Trace) -> Packed:
    """The index and the blocks of a trace."""
    return Packed(_index(trace.frames), tuple(_blocks(trace, None)))


def pack_guess(comparison: Comparison, real: Trace) -> Packed:
    """The same for a prediction, with how it does at every place.

    Args:
        comparison: of the prediction; of some modes it holds only the frames that they speak about.
        real: the whole execution; `at` of the index says beside which of its frames each predicted one is.
    """
    predicted, pairs = comparison.predicted, comparison.pairs
    index = dict(_index(predicted.frames))
    index["verdict"] = "".join(_verdict(comparison, at) for at in range(len(pairs)))
    places = [*comparison.places]
    if len(places) < len(real.frames):
        places += range(len(real.frames), len(real.frames) + len(pairs) - len(places))
        index["at"] = places[: len(pairs)]
    divergence = comparison.first_divergence
    index["first"] = None if divergence is None else divergence.index
    heat = [_surprise(frame) for frame in predicted.frames]
    if any(value is not None for value in heat):
        index["surprise"] = heat
    return Packed(index, tuple(_blocks(predicted, comparison)))


def _index(frames: Sequence[Frame]) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "count": len(frames),
        "events": "".join(_EVENT_CODES[frame.event] for frame in frames),
        "lines": [frame.line for frame in frames],
        "activations": [frame.activation for frame in frames],
        "depths": [frame.depth for frame in frames],
    }
    for name in ("files", "threads"):
        values = [getattr(frame, name[:-1]) for frame in frames]
        if any(values):
            fields[name] = values
    return fields


def _verdict(comparison: Comparison, at: int) -> str:
    pair = comparison.pairs[at]
    if pair.given:
        return GIVEN
    if pair.predicted is None:
        return MISSING
    if not pair.scored:
        return _UNSCORED
    if pair.real is None:
        return SURPLUS
    return RIGHT if pair.exact else WRONG


def _surprise(frame: Frame) -> float | None:
    """Nats that the frame's tokens took together; None where they are not known."""
    if frame.logprobs is None:
        return None
    return round(-sum(sum(values) for values in frame.logprobs.values()), 3)


class _Table:
    """Values numbered in the order of their first use."""

    def __init__(self) -> None:
        self.numbers: dict[Any, int] = {}

    def __call__(self, value: Any) -> int:
        return self.numbers.setdefault(value, len(self.numbers))


def _slot(slot: Slot) -> tuple[str, str, int]:
    return ("?" if slot.text == UNCHANGED else slot.text, slot.type, slot.clipped)


def _blocks(trace: Trace, comparison: Comparison | None) -> Iterator[str]:
    """Blocks of a trace's frames; with a comparison, of so many places as it has pairs."""
    so_far: dict[int, dict[str, Slot | None]] = {}
    lines = [file.text.split("\n") for file in trace.files]
    count = len(trace.frames) if comparison is None else len(comparison.pairs)
    for start in range(0, count, BLOCK):
        names, slots = _Table(), _Table()
        frames = trace.frames[start : start + BLOCK]
        key = {
            activation: _changes(so_far[activation], names, slots)
            for activation in dict.fromkeys(frame.activation for frame in frames)
            if activation in so_far
        }
        rows = [_row(frame, lines, names, slots) for frame in frames]
        for frame in frames:
            if frame.changed or frame.activation not in so_far:
                so_far.setdefault(frame.activation, {}).update(frame.changed)
        block: dict[str, Any] = {"key": key, "rows": rows}
        if comparison is not None:
            block["wrong"] = {
                pair.index - start: sorted(map(names, pair.wrong))
                for pair in comparison.pairs[start : start + BLOCK]
                if pair.wrong and pair.scored
            }
            block["changed"] = {  # against the history that the prediction was handed
                pair.index - start: sorted(map(names, pair.predicted_changes))
                for pair in comparison.pairs[start : start + BLOCK]
                if pair.predicted is not None and {*pair.predicted_changes} != {*pair.predicted.changed}
            }
        yield pack({"names": list(names.numbers), "slots": list(slots.numbers), **block})


def _changes(changed: Mapping[str, Slot | None], names: _Table, slots: _Table) -> list[int]:
    """Names and slots in turn."""
    flat = []
    for name, slot in changed.items():
        flat += [names(name), _GONE if slot is None else slots(_slot(slot))]
    return flat


def _row(frame: Frame, lines: list[list[str]], names: _Table, slots: _Table) -> list[Any]:
    """What changed; then, as far as there is any, the value, the message, the source, nats by field."""
    text = lines[frame.file] if frame.file < len(lines) else []
    known = text[frame.line - 1] if 0 < frame.line <= len(text) else None
    nats: dict[str, float] | None = None
    if frame.logprobs is not None:
        nats = {name: round(-sum(logprobs), 3) for name, logprobs in frame.logprobs.items()}
    row: list[Any] = [
        _changes(frame.changed, names, slots),
        None if frame.value is None else slots(_slot(frame.value)),
        frame.message,
        None if frame.source == known else frame.source,
        nats,
    ]
    while len(row) > 1 and row[-1] is None:
        row.pop()
    return row
