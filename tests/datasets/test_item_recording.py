"""Items are recorded the same by either recorder and in any folder, and their lines become rows unread."""

from __future__ import annotations

import dataclasses
import functools
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cwm_trace import Outcome, trace_execution
from cwm_trace.datasets.families import make_items
from cwm_trace.datasets.item import Item
from cwm_trace.datasets.item_recording import KEPT, record_item, record_lines, stand_ins
from cwm_trace.datasets.rows import trace_of, write_row
from cwm_trace.records import Limits, Program, Trace
from cwm_trace.tracer import extension
from cwm_trace.tracer.recorders import VARIABLE
from cwm_trace.tracer.target import load_text
from tests.tracer.both import NEEDS_C, RECORDERS

STRANGE = r"""
from concurrent.futures import ThreadPoolExecutor

class Odd:
    def __repr__(self):
        return "a \"quote\", \u2028 and }{"

def f(text, odd):
    value = [text, odd]
    size = len(value)
    del size
    with ThreadPoolExecutor(1) as pool:
        pool.submit(len, value).result()
    try:
        raise ValueError("no, \"value\":{\"text\":")
    except ValueError:
        globals()['a"b'] = 1
    return value
"""
ITEMS = [
    *make_items("general-v1", 40),
    *make_items("scripts-v1", 10),
    Item("odd", STRANGE, "f('\"', Odd())", "odd"),
]


def lines_of(item: Item) -> tuple[Trace, bytes]:
    return record_lines(item, load_text(item.source, item.call), Limits())


@pytest.mark.parametrize("recorder", RECORDERS)
def test_rows_are_the_traces(recorder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of lines that are never read as JSON on their way, the row gives the trace back."""
    monkeypatch.setenv(VARIABLE, recorder)
    with stand_ins():
        recorded = [lines_of(item) for item in ITEMS]
    for item, (trace, lines) in zip(ITEMS, recorded, strict=True):
        row = json.loads(write_row(item, trace, lines))
        plain = trace_execution(item.source, call=item.call or None, capture_output=True)
        assert trace_of(row).frames == plain.frames
        assert record_item(item, Limits()).frames == plain.frames


@NEEDS_C
def test_both_recorders_give_the_same_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = []
    for recorder in ("python", "c"):
        monkeypatch.setenv(VARIABLE, recorder)
        rows.append([write_row(item, *lines_of(item)) for item in ITEMS])
    assert rows[0] == rows[1]


def row_of(lines: bytes, *, is_compiled: bool) -> bytes:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(extension, "IS_BUILT", is_compiled)
        return write_row(ITEMS[0], Trace(Program()), lines)


HEAD = b'{"event":"line","line":1,"activation":0,"depth":0'


@pytest.mark.parametrize("is_compiled", [False, pytest.param(True, marks=NEEDS_C)])
@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"{}\n",
        HEAD + b"}",
        HEAD + b"}\n\n",
        HEAD + b',"source":"x"}\n',
        HEAD + b',"changed":{}}\n',
        HEAD + b',"changed":{"a":null,}}\n',
        HEAD + b',"changed":{"a":{"text":"a\tb"}}}\n',
        HEAD + b',"value":{"type":"int"}}\n',
        HEAD + b',"message":"a\\"}\n',
        HEAD + ',"thread":\u0663}\n'.encode(),  # a digit, in another script
    ],
)
def test_what_is_no_frame_of_a_recording_is_refused(line: bytes, is_compiled: bool) -> None:
    with pytest.raises(ValueError, match="no frame of a recording"):
        row_of(line, is_compiled=is_compiled)


@functools.cache
def recorded_lines() -> bytes:
    return b"".join(lines_of(item)[1] for item in (ITEMS[0], ITEMS[-1]))


@NEEDS_C
@given(st.floats(0, 1), st.integers(0, 3), st.sampled_from([*'"\\{,7\n\x01', ""]))
def test_lines_are_read_the_same_by_either(place: float, size: int, text: str) -> None:
    """Whatever becomes of a line, both make the same of it, or refuse it."""
    whole = recorded_lines()
    start = int(place * len(whole))
    lines = whole[:start] + text.encode() + whole[start + size :]
    lines = lines[lines.rfind(b"\n", 0, start) + 1 : lines.find(b"\n", start + 1) + 1]
    try:
        expected = row_of(lines, is_compiled=False)
    except ValueError:
        with pytest.raises(ValueError, match="no frame of a recording"):
            row_of(lines, is_compiled=True)
    else:
        assert row_of(lines, is_compiled=True) == expected


def test_a_generated_program_sees_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same recipe gives the same bytes wherever it is built."""
    (tmp_path / "string.py").write_text("raise SystemExit('not this one')\n")
    monkeypatch.chdir(tmp_path)
    item = Item(
        "generated", "import string\n\n\ndef f():\n    return string.digits\n", "f()", "own", max_lines=9
    )
    assert record_item(item, Limits()).outcome is Outcome.RETURNED
    assert record_item(dataclasses.replace(item, max_lines=None), Limits()).outcome is Outcome.EXITED


def test_a_loop_that_does_not_end_holds_nobody_up() -> None:
    source = "def f(xs):\n    while xs:\n        xs = list(xs)\n"
    item = Item("generated", source, "f([1])", "own", max_lines=9)
    trace = record_item(item, Limits(max_frames=20, timeout=0.2))
    assert trace.outcome not in KEPT
    assert len(trace.frames) == 20
