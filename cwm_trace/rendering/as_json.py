"""Traces and comparisons as JSON."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

from cwm_trace.records import Trace
from cwm_trace.states import resolve_states

if TYPE_CHECKING:
    from cwm_trace.eval.comparison import Comparison
    from cwm_trace.eval.comparison.metrics import Rate, Retrieval


def trace_json(trace: Trace, first: int = 0, last: int | None = None) -> str:
    """Frames `first` to `last` with their whole states, one object."""
    states = resolve_states(trace.frames)
    frames: list[dict[str, Any]] = []
    for index in range(len(trace.frames))[first:last]:
        frame, state = trace.frames[index], states[index]
        fields: dict[str, Any] = {
            "index": index,
            "event": frame.event.value,
            "line": frame.line,
            "source": frame.source,
            "activation": frame.activation,
            "depth": frame.depth,
        }
        if state is not None:
            fields["state"] = {name: slot.text for name, slot in state.items()}
            fields["changed"] = list(frame.changed)
        if frame.value is not None:
            fields["value"] = frame.value.text
        frames.append(fields)
    return json.dumps(
        {
            "entry": trace.entry,
            "outcome": trace.outcome.value,
            "value": trace.value and trace.value.text,
            "mode": trace.guess.mode or None,
            "given": trace.guess.given,
            "warnings": list(trace.warnings),
            "problems": [dataclasses.asdict(problem) for problem in trace.guess.problems],
            "frames": frames,
        }
    )


def comparison_json(comparison: Comparison) -> str:
    """The numbers of a comparison, and where it diverges first."""
    divergence = comparison.first_divergence
    return json.dumps(
        {
            "mode": comparison.predicted.guess.mode or None,
            "equality": comparison.equality.value,
            "frame_exact": _rate(comparison.frame_exact),
            "surplus_frames": comparison.surplus,
            "state_exact": _rate(comparison.state_exact),
            "changed_slots": _retrieval(comparison.changed_slots),
            "output": comparison.output,
            "first_divergence": divergence and dataclasses.asdict(divergence),
        }
    )


def _rate(rate: Rate) -> dict[str, Any]:
    return {"value": rate.value, "hits": rate.hits, "total": rate.total}


def _retrieval(found: Retrieval) -> dict[str, Any]:
    return {
        "f1": found.f1,
        "precision": found.precision,
        "recall": found.recall,
        **dataclasses.asdict(found),
    }
