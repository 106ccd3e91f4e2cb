from __future__ import annotations

import json
import pickle

import pytest
from hypothesis import given

from cwm_trace.plain import SourceLines, frame_fields, frame_from_fields, trace_fields, trace_from_fields
from cwm_trace.records import (
    Capture,
    Cost,
    Decoding,
    Event,
    Frame,
    Guess,
    Limits,
    Outcome,
    Problem,
    Program,
    Run,
    Slot,
    SourceFile,
    Trace,
)
from tests.effort import examples
from tests.traces import traces

FILES = (SourceFile("a.py", "x = 1\r\ny\x0c = 2\n"), SourceFile("b.py", ""))


EVERYTHING = Trace(
    Program(FILES, "f", 1, ("-v",)),
    (Frame(Event.CALL, 1, "x = 1\r"),),
    Outcome.EXITED,
    "kth",
    Capture(2, ("default",)),
    ("careful",),
    Run("3.11.7", Limits(max_frames=9), 3, "out", 2, ("threads",), "c"),
    Guess("free", 1, Decoding("copy"), (Problem("tokens", 0, 4, "bad"),), Cost(new_tokens=5)),
)


def test_flat_fields_give_the_trace_back() -> None:
    flat = trace_fields(EVERYTHING)
    assert trace_from_fields({**flat, "frames": 7, "kind": "header"}, EVERYTHING.frames) == EVERYTHING
    records = (EVERYTHING.program, EVERYTHING.run, EVERYTHING.guess)
    kept = [name for record in records for name in record.__dataclass_fields__]
    assert sorted(flat) == sorted(
        [*kept, "outcome", "profile", "capture", "warnings"]
    )  # no name is used twice
    assert trace_from_fields({}) == Trace(Program())
    for name, value in flat.items():  # and each of them changes the trace
        assert trace_from_fields({name: value}) != Trace(Program()), name


@examples(0.5)
@given(traces())
def test_plain_data_gives_the_frame_back(trace: Trace) -> None:
    sources = SourceLines(trace.files)
    for frame in trace.frames:
        fields = json.loads(json.dumps(frame_fields(frame, sources)))
        assert frame_from_fields(fields, sources) == frame
        assert "source" not in fields  # it is the line of the file


def test_what_has_its_default_is_left_out() -> None:
    frame = Frame(Event.LINE, 1, "x = 1\r", changed={"a": None, "b": Slot("1")})
    assert frame_fields(frame, SourceLines(FILES)) == {
        "event": "line",
        "line": 1,
        "activation": 0,
        "depth": 0,
        "changed": {"a": None, "b": {"text": "1"}},
    }


def test_every_field_is_kept() -> None:
    frame = Frame(
        Event.EXCEPTION,
        7,
        "not in the file",
        activation=3,
        depth=2,
        thread=1,
        file=1,
        value=Slot("E()", "m.E", size=2, clipped=5),
        message="",
        raw=("a", "b"),
    )
    sources = SourceLines(FILES)
    assert frame_from_fields(frame_fields(frame, sources), sources) == frame


@pytest.mark.parametrize(
    ("file", "line", "text"),
    [
        (0, 1, "x = 1\r"),
        (0, 2, "y\x0c = 2"),
        (0, 3, ""),
        (0, 4, ""),
        (0, 0, ""),
        (0, -1, ""),
        (1, 1, ""),
        (2, 1, ""),
        (-1, 1, ""),
        (0, 10**30, ""),
    ],
)
def test_lines_are_found_by_number_and_are_empty_elsewhere(file: int, line: int, text: str) -> None:
    assert SourceLines(FILES).at(file, line) == text


def test_files_may_be_added() -> None:
    files = [SourceFile("a.py", "a\n")]
    sources = SourceLines(files)
    assert sources.at(1, 1) == ""
    files.append(SourceFile("b.py", "b\n"))
    assert sources.at(1, 1) == "b"


def test_frames_are_made_once_and_when_they_are_asked_for() -> None:
    made: list[str] = []

    def make() -> tuple[Frame, ...]:
        made.append("made")
        return EVERYTHING.frames

    later = EVERYTHING.with_frames_later(make)
    assert later.outcome is Outcome.EXITED
    assert made == []
    assert later == EVERYTHING
    assert type(later.frames) is tuple
    assert pickle.loads(pickle.dumps(EVERYTHING.with_frames_later(make))) == EVERYTHING
    assert made == ["made", "made"]
