"""Predictions as plain data, as the benchmark's log and its cache of responses keep them, and back."""

from __future__ import annotations

from dataclasses import replace

import pydantic
from typing_extensions import TypedDict

from cwm_trace.plain import SourceLines, frame_fields, frames_from_fields
from cwm_trace.records import Cost, Decoding, FrameFields, Guess, Outcome, Problem, Run, Trace
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
    sources, guess = SourceLines(predicted.files), predicted.guess
    return {
        "frames": [frame_fields(frame, sources) for frame in predicted.frames[guess.given :]],
        "given": guess.given,
        "outcome": predicted.outcome,
        "mode": guess.mode,
        "problems": list(guess.problems),
        "decoding": guess.decoding,
        "cost": guess.cost,
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
        warnings=(),
        run=Run(),
        guess=Guess(
            stored["mode"],
            stored["given"],
            stored["decoding"],
            tuple(stored["problems"]),
            stored["cost"],
        ),
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
