from __future__ import annotations

import json

import pytest
from hypothesis import given

from cwm_trace.plain import SourceLines, frame_fields, frame_from_fields
from cwm_trace.records import Event, Frame, Slot, SourceFile, Trace
from tests.effort import examples
from tests.traces import traces

FILES = (SourceFile("a.py", "x = 1\r\ny\x0c = 2\n"), SourceFile("b.py", ""))


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
