"""Predictions as plain data, as the benchmark's log and its cache of responses keep them, and back."""

from __future__ import annotations

from dataclasses import replace

import pydantic
from typing_extensions import TypedDict

from cwm_trace.plain import SourceLines, frame_fields, frames_from_fields
from cwm_trace.records import Cost, Decoding, FrameFields, Outcome, Problem, Trace
from cwm_trace.storage import dump_line


class Stored(TypedDict):
    """What was predicted after the given frames."""

    frames: list[FrameFields]
    given: int
    outcome: Outcome
    mode: str
    problems: list[Problem]
    decoding: Decoding | None
    cost: Cost | None


_STORED = pydantic.TypeAdapter(Stored)


def store_prediction(predicted: Trace) -> Stored:
    """The part of a prediction that its program and its given frames do not have."""
    sources = SourceLines(predicted.files)
    return {
        "frames": [frame_fields(frame, sources) for frame in predicted.frames[predicted.given :]],
        "given": predicted.given,
        "outcome": predicted.outcome,
        "mode": predicted.mode,
        "problems": list(predicted.problems),
        "decoding": predicted.decoding,
        "cost": predicted.cost,
    }


def restore_prediction(stored: Stored, start: Trace) -> Trace:
    """The inverse of `store_prediction`.

    Args:
        stored: the plain data.
        start: a trace of the same program that begins with the given frames, such as the real one.
    """
    frames = frames_from_fields(stored["frames"], SourceLines(start.files))
    return replace(
        start,
        frames=(*start.frames[: stored["given"]], *frames),
        outcome=stored["outcome"],
        mode=stored["mode"],
        given=stored["given"],
        problems=tuple(stored["problems"]),
        decoding=stored["decoding"],
        cost=stored["cost"],
        python="",
        exit_code=None,
        output=None,
        not_recorded=(),
        warnings=(),
    )


def dump_prediction(predicted: Trace) -> bytes:
    """A prediction as JSON."""
    return dump_line(store_prediction(predicted))


def load_prediction(data: bytes, start: Trace) -> Trace:
    """The inverse of `dump_prediction`.

    Raises:
        ValueError: the data is none.
    """
    return restore_prediction(_STORED.validate_json(data), start)
