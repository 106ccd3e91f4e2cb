"""Blocks give back every state; `read_state` here reads them as the page does."""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cwm_trace.eval.comparison import compare
from cwm_trace.records import UNCHANGED, Event, Frame, Guess, Outcome, Program, Slot, SourceFile, Trace
from cwm_trace.states import resolve_states
from cwm_trace.viewer import columns
from tests.effort import examples
from tests.traces import traces


def unpack(text: str) -> Any:
    return json.loads(zlib.decompress(base64.b64decode(text)))


def read_state(packed: columns.Packed, size: int, at: int) -> dict[str, str]:
    """The names bound at a frame, and their texts."""
    block = unpack(packed.blocks[at // size])
    activation = packed.index["activations"][at]
    values: dict[str, str | None] = {}
    start = at - at % size
    changes = [block["key"].get(str(activation), [])]
    changes += [
        block["rows"][other - start][0]
        for other in range(start, at + 1)
        if packed.index["activations"][other] == activation
    ]
    for flat in changes:
        for name, slot in zip(flat[::2], flat[1::2], strict=True):
            values[block["names"][name]] = None if slot < 0 else block["slots"][slot][0]
    return {name: text for name, text in values.items() if text is not None}


@given(traces(), st.integers(1, 7))
@examples(0.5)
def test_blocks_give_back_every_state(trace: Trace, size: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns, "BLOCK", size)
        packed = columns.pack_trace(trace)
        for at, state in enumerate(resolve_states(trace.frames)):
            if state is not None:
                shown = {n: "?" if slot.text == UNCHANGED else slot.text for n, slot in state.items()}
                assert list(read_state(packed, size, at).items()) == list(shown.items())


def frame(line: int, **values: str) -> Frame:
    return Frame(Event.LINE, line, f"x = {line}", changed={n: Slot(t) for n, t in values.items()})


REAL = Trace(
    Program((SourceFile("p.py", "x = 1\nx = 2\nx = 3"),), "<module>"),
    (frame(1), frame(2, x="1"), frame(3, x="2")),
    Outcome.RETURNED,
)


def test_verdicts_say_what_is_wrong_where() -> None:
    guess = replace(
        REAL, frames=(frame(1), frame(2, x="7"), frame(3, x="2"), frame(3)), guess=Guess(mode="free", given=1)
    )
    packed = columns.pack_guess(compare(REAL, guess), REAL)
    assert packed.index["verdict"] == "gx=" + columns.SURPLUS
    assert packed.index["first"] == 1
    block = unpack(packed.blocks[0])
    assert {at: [block["names"][n] for n in names] for at, names in block["wrong"].items()} == {"1": ["x"]}
    short = replace(guess, frames=guess.frames[:2])
    assert columns.pack_guess(compare(REAL, short), REAL).index["verdict"][2] == columns.MISSING


def test_modes_that_skip_frames_say_where_theirs_stand() -> None:
    real = replace(REAL, frames=(*REAL.frames, Frame(Event.RETURN, 3, "x = 3", value=Slot("None"))))
    guess = replace(real, guess=Guess(mode="output", given=1))
    index = columns.pack_guess(compare(real, guess), real).index
    assert len(index["at"]) == len(index["verdict"]) < len(real.frames)
    assert index["at"][-1] == 3


def test_surprise_is_in_nats() -> None:
    guessed = replace(frame(2, x="1"), logprobs={"event": (-0.5,), "locals": (-1.0, -0.25)})
    guess = replace(REAL, frames=(frame(1), guessed, frame(3, x="2")), guess=Guess(mode="free", given=1))
    packed = columns.pack_guess(compare(REAL, guess), REAL)
    assert packed.index["surprise"] == [None, 1.75, None]
    assert unpack(packed.blocks[0])["rows"][1][4] == {"event": 0.5, "locals": 1.25}
