"""Scores as plain data, for logs, and back."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from cwm_trace.eval.comparison.metrics import Rate, Retrieval
from cwm_trace.eval.comparison.score import ProgramScore
from cwm_trace.records import Cost

_RATES = {"branches", "states", "stale", "spurious", "matched", "matched_states"}
_RATE_MAPS = {"by_type", "by_size", "by_position", "by_depth", "by_lookback", "local_steps", "reval"}
_RETRIEVALS = {"frames", "events", "next_lines", "changed_slots", "matched_slots"}


def score_fields(score: ProgramScore) -> dict[str, Any]:
    """A score as JSON-able data: rates and retrievals are lists of their counts."""
    fields: dict[str, Any] = {}
    for field in dataclasses.fields(score):
        value = getattr(score, field.name)
        if isinstance(value, Mapping):
            value = {key: _plain(item) for key, item in value.items()}
        elif isinstance(value, Cost):
            value = dataclasses.asdict(value)
        fields[field.name] = _plain(value)
    return fields


def score_from_fields(fields: Mapping[str, Any]) -> ProgramScore:
    """The inverse of `score_fields`."""
    found: dict[str, Any] = dict(fields)
    for name, value in fields.items():
        if name in _RATES:
            found[name] = Rate(*value)
        elif name in _RETRIEVALS:
            found[name] = Retrieval(*value)
        elif name in _RATE_MAPS:
            found[name] = {key: Rate(*counts) for key, counts in value.items()}
        elif name == "exceptions":
            found[name] = {key: Retrieval(*counts) for key, counts in value.items()}
        elif name == "confidence":
            found[name] = {key: tuple((p, bool(right)) for p, right in pairs) for key, pairs in value.items()}
        elif name == "cost" and value is not None:
            found[name] = Cost(**value)
    return ProgramScore(**found)


def _plain(value: Any) -> Any:
    if isinstance(value, Rate | Retrieval):
        return list(dataclasses.astuple(value))
    if isinstance(value, tuple):
        return [[probability, int(right)] for probability, right in value]
    return value
