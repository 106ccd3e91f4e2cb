from __future__ import annotations

import contextlib
import gzip
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from cwm_trace.errors import CwmTraceError
from cwm_trace.plain import SourceLines, frame_fields
from cwm_trace.records import (
    Capture,
    Event,
    Frame,
    FrameFields,
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
from cwm_trace.storage import TraceWriter, read_trace, write_trace
from cwm_trace.versions import TRACE_VERSION
from tests.effort import examples
from tests.traces import plain_text, traces

SUFFIXES = ["", ".gz", ".zst"]
SMALL = Trace(
    Program((SourceFile("p.py", "def é():\n    return 1\n"),), "é", 1, arguments=("-x", "")),
    (
        Frame(Event.CALL, 1, "def é():", changed={"a": Slot("'é'", "str", 1), "b": Slot("2", clipped=1)}),
        Frame(Event.LINE, 2, "    return 1", changed={"a": None}),
        Frame(Event.RETURN, 2, "    return 1", value=Slot("1", "int", 1)),
    ),
    Outcome.RETURNED,
    profile="kth",
    capture=Capture(2, ("password", "<pattern>")),
    warnings=("careful",),
    run=Run(
        python="3.11.7",
        limits=Limits(max_frames=9, timeout=1.5),
        exit_code=3,
        output="out\n",
        skipped=2,
        recorder="c",
    ),
    guess=Guess(problems=(Problem("tokens", 1, 4, "bad"),), mode="free", given=1),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "t.jsonl"


def lines_of(trace: Trace, path: Path) -> list[dict[str, Any]]:
    write_trace(trace, path)
    return [json.loads(line) for line in path.read_text().splitlines()]


def refused(path: Path) -> str:
    """The one sentence with which a file is refused."""
    with pytest.raises(CwmTraceError) as raised:
        read_trace(path)
    text = str(raised.value)
    assert "\n" not in text
    assert path.name in text
    return text


@pytest.mark.parametrize("suffix", SUFFIXES)
@examples(0.3, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(trace=traces(), output=st.none() | plain_text())
def test_a_trace_is_read_as_it_was_written(
    tmp_path: Path, suffix: str, trace: Trace, output: str | None
) -> None:
    trace = replace(trace, run=replace(trace.run, output=output))
    target = tmp_path / f"t.jsonl{suffix}"
    write_trace(trace, target)
    assert read_trace(target) == trace


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_field_is_kept(tmp_path: Path, suffix: str) -> None:
    target = tmp_path / f"t.jsonl{suffix}"
    write_trace(SMALL, target)
    assert read_trace(target) == SMALL


def test_a_file_cut_anywhere_loads_up_to_its_last_whole_line(path: Path) -> None:
    write_trace(SMALL, path)
    data = path.read_bytes()
    ends = [index + 1 for index, byte in enumerate(data) if byte == 0x0A]
    for cut in range(len(data) + 1):
        path.write_bytes(data[:cut])
        whole = sum(end <= cut for end in ends)
        if whole == 0:
            assert "header" in refused(path)
            continue
        trace = read_trace(path)
        assert trace.frames == SMALL.frames[: whole - 1]
        assert trace.files == SMALL.files
        assert trace.outcome is (Outcome.RETURNED if cut == len(data) else Outcome.INCOMPLETE)


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_a_compressed_file_cut_anywhere_loads_or_is_refused(tmp_path: Path, suffix: str) -> None:
    target = tmp_path / f"t.jsonl{suffix}"
    write_trace(SMALL, target)
    data = target.read_bytes()
    for cut in range(len(data)):
        target.write_bytes(data[:cut])
        try:
            trace = read_trace(target)
        except CwmTraceError:
            refused(target)
        else:
            assert trace.frames == SMALL.frames[: len(trace.frames)]


@pytest.mark.parametrize("suffix", SUFFIXES)
@examples(0.6, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_byte_is_an_error_or_harmless(tmp_path: Path, suffix: str, data: st.DataObject) -> None:
    target = tmp_path / f"t.jsonl{suffix}"
    write_trace(SMALL, target)
    content = bytearray(target.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    target.write_bytes(content)
    with contextlib.suppress(CwmTraceError):
        read_trace(target)


def test_a_writer_keeps_what_it_wrote_when_nobody_closes_it(path: Path) -> None:
    writer = TraceWriter(path)
    writer.header(SMALL)
    writer.frame(frame_fields(SMALL.frames[0], SourceLines(SMALL.files)))
    trace = read_trace(path)
    assert (trace.frames, trace.outcome) == (SMALL.frames[:1], Outcome.INCOMPLETE)
    writer.close()


def test_files_may_come_later(path: Path) -> None:
    frame = Frame(Event.CALL, 1, "def g():", 1, 1, file=1)
    later = SourceFile("g.py", "def g():\n")
    with TraceWriter(path) as writer:
        writer.header(SMALL)
        writer.file(later)
        writer.frame(frame_fields(frame, SourceLines((*SMALL.files, later))))
    assert "source" not in json.loads(path.read_text().splitlines()[-1])
    trace = read_trace(path)
    assert trace.files == (*SMALL.files, later)
    assert trace.frames == (frame,)


def test_lone_surrogates_are_written_as_escapes(path: Path) -> None:
    """A file name, an argument or a source given as text may have them; UTF-8 does not."""
    text = "'\ud800'"
    frame = Frame(Event.RETURN, 1, text, value=Slot(text), changed={"\udfff": Slot(text)})
    trace = replace(
        SMALL,
        frames=(frame,),
        program=replace(SMALL.program, files=(SourceFile("\udcff.py", text),)),
        run=replace(SMALL.run, output="\udc80"),
    )
    write_trace(trace, path)
    found = read_trace(path)
    assert found.files == (SourceFile("\\udcff.py", "'\\ud800'"),)
    assert found.frames[0].value == Slot("'\\ud800'")
    assert found.frames[0].changed == {"\\udfff": Slot("'\\ud800'")}
    assert (found.run.output, found.program.arguments, found.run.limits) == (
        "\\udc80",
        SMALL.program.arguments,
        SMALL.run.limits,
    )


MIDDLE = [
    b"not json\n",
    b"\n",
    b"[]\n",
    b"null\n",
    b'"text"\n',
    b"{}\n",
    b'{"kind": "frame"}\n',
    b'{"kind": "footer"}\n',
    b'{"event": "jump", "line": 1, "activation": 0, "depth": 0}\n',
    b'{"event": "line", "line": -1, "activation": 0, "depth": 0}\n',
    b'{"event": "line", "line": 1, "activation": -1, "depth": 0}\n',
    b'{"event": "line", "line": 1, "activation": 0, "depth": -1}\n',
    b'{"event": "line", "line": 1, "activation": 0, "depth": 0, "file": -1}\n',
    b'{"event": "line", "line": NaN, "activation": 0, "depth": 0}\n',
    b'{"event": "line", "line": ' + b"1" * 9999 + b', "activation": 0, "depth": 0}\n',
    b'{"event": "line", "line": 1, "activation": 0, "depth": 0, "changed": {"a": "1"}}\n',
    b'{"event": "line", "line": 1, "activation": 0, "depth": 0, "raw": ["one"]}\n',
    b'{"event": "line", "line": 1, "activation": 0, "depth": 0, "source": "\xff"}\n',
    b'{"a": ' + b"[" * 100_000 + b"\n",
]


@pytest.mark.parametrize("middle", MIDDLE, ids=range(len(MIDDLE)))
def test_a_damaged_line_is_named(path: Path, middle: bytes) -> None:
    write_trace(SMALL, path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], middle, *lines[2:]]))
    assert "damaged: line 3" in refused(path)


def test_a_frame_of_no_file_is_noticed(path: Path) -> None:
    write_trace(SMALL, path)
    lines = path.read_bytes().splitlines(keepends=True)
    lines[2] = lines[2].replace(b'"depth":0', b'"depth":0,"file":7')
    path.write_bytes(b"".join(lines))
    assert "frame 1 is of file 7, and it has 1" in refused(path)


def test_a_lost_frame_is_noticed(path: Path) -> None:
    write_trace(SMALL, path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:2] + lines[3:]))
    assert "2 frames and its footer says 3" in refused(path)


def test_two_traces_in_one_file_are_refused(path: Path) -> None:
    write_trace(SMALL, path)
    data = path.read_bytes()
    path.write_bytes(data + data)
    assert "footer" in refused(path)
    path.write_bytes(data.splitlines(keepends=True)[0] + data)
    assert "second header" in refused(path)


def test_a_newer_schema_is_refused(path: Path) -> None:
    header, *_ = lines_of(SMALL, path)
    header["schema_version"] = TRACE_VERSION + 1
    header["new"] = True
    path.write_text(json.dumps(header) + "\n")
    assert f"schema version {TRACE_VERSION + 1}" in refused(path)


def test_a_frame_may_have_keys_that_are_not_known(path: Path) -> None:
    lines = lines_of(SMALL, path)
    lines[1]["new"] = 1
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert read_trace(path) == SMALL


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("missing.jsonl", lambda path: None),
        ("missing.jsonl.zst", lambda path: None),
        ("folder.jsonl", Path.mkdir),
        ("folder.gz", Path.mkdir),
        ("folder.zst", Path.mkdir),
        ("empty.jsonl", Path.touch),
        ("empty.gz", Path.touch),
        ("empty.zst", Path.touch),
        ("other.jsonl", lambda path: path.write_text('{"event": "line"}\n')),
        ("frame.jsonl", lambda path: path.write_text('{"event":"line","line":1,"activation":0,"depth":0}\n')),
        ("binary.jsonl", lambda path: path.write_bytes(bytes(range(256)) * 9)),
        ("text.gz", lambda path: path.write_text("not gzip\n")),
        ("text.zst", lambda path: path.write_text("not zstd\n")),
        ("header.jsonl", lambda path: path.write_text('{"kind": "header", "schema_version": 1}\n')),
        ("nested.jsonl", lambda path: path.write_bytes(b"[" * 100_000 + b"\n")),
        ("program.gz", lambda path: path.write_bytes(gzip.compress(b"print(1)\n"))),
    ],
)
def test_what_is_no_trace_is_refused(tmp_path: Path, name: str, make: Callable[[Path], object]) -> None:
    make(tmp_path / name)
    refused(tmp_path / name)


def test_what_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "no" / "t.jsonl", tmp_path / "no" / "t.gz", tmp_path / "no" / "t.zst"):
        with pytest.raises(CwmTraceError, match="cannot write"):
            write_trace(SMALL, path)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_full_disk_is_one_sentence(tmp_path: Path, suffix: str) -> None:
    target = tmp_path / f"t{suffix}"
    target.symlink_to("/dev/full")
    with pytest.raises(CwmTraceError, match="No space left"):
        write_trace(SMALL, target)


def test_what_a_thread_writes_after_the_footer_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    trace = Trace(Program((SourceFile("a.py", "x = 1\n"),), "<module>"))
    fields: FrameFields = {"event": "line", "line": 1, "activation": 0, "depth": 0}
    with TraceWriter(path) as writer:
        writer.header(trace)
        writer.frame(fields)
        writer.footer(trace)
        writer.frame(fields)
    assert len(read_trace(path).frames) == 1
