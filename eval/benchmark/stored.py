"""Predictions as plain data, as the benchmark's log and its cache of responses keep them, and back."""

from __future__ import annotations

import json
from typing import Any

from typing_extensions import TypedDict

from cwm_trace.json_lines import dump_line
from cwm_trace.plain import (
    SourceLines,
    checker,
    frame_fields,
    frames_from_fields,
    trace_fields,
    trace_from_fields,
)
from cwm_trace.records import Cost, Decoding, FrameFields, Outcome, Problem, Trace


class Stored(TypedDict):
    """What was predicted after the given frames."""

    frames: list[FrameFields]
    given: int
    outcome: Outcome
    mode: str
    problems: tuple[Problem, ...]
    decoding: Decoding | None
    cost: Cost | None


def store_prediction(predicted: Trace) -> Stored:
    """The part of a prediction that its program and its given frames do not have."""
    sources, known = SourceLines(predicted.files), trace_fields(predicted)
    frames = [frame_fields(frame, sources) for frame in predicted.frames[predicted.guess.given :]]
    return {**{name: known[name] for name in Stored.__annotations__ if name in known}, "frames": frames}  # type: ignore[typeddict-item]


def restore_prediction(stored: Stored, start: Trace) -> Trace:
    """The inverse of `store_prediction`.

    Args:
        stored: the plain data.
        start: a trace of the same program that begins with the given frames, such as the real one.
    """
    frames = frames_from_fields(stored["frames"], SourceLines(start.files))
    about = {**trace_fields(Trace(start.program, profile=start.profile, capture=start.capture)), **stored}
    return trace_from_fields(about, (*start.frames[: stored["given"]], *frames))


def dump_prediction(predicted: Trace) -> Any:
    """A prediction as JSON can hold it."""
    return json.loads(dump_line(store_prediction(predicted)))


def load_prediction(data: Any, start: Trace) -> Trace:
    """The inverse of `dump_prediction`.

    Raises:
        ValueError: the data is none.
    """
    return restore_prediction(checker(Stored).validate_python(data), start)
