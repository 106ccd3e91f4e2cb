"""What is written into mapped memory is in the file; for killed processes see `tracer/test_log.py`."""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from types import FrameType, SimpleNamespace
from typing import Any

import pytest

from cwm_trace import Program, Trace, json_lines, mapped_lines, read_trace, storage
from cwm_trace.mapped_lines import MappedLines
from cwm_trace.records import FrameFields
from cwm_trace.storage import TraceWriter
from cwm_trace.tracer.interrupts import came_at_a_start


def test_lines_beyond_a_window_are_there(tmp_path: Path) -> None:
    """As many, and as long ones, as no window holds; a flush in between changes nothing."""
    path = tmp_path / "t"
    lines = [bytes([97 + number % 26]) * (1 + number * 37 % 5000) + b"\n" for number in range(400)]
    lines.insert(200, b"long" * 100_000 + b"\n")
    with open(path, "w+b", buffering=0) as file:
        mapped = MappedLines(descriptor=file.fileno())
        for number, line in enumerate(lines):
            mapped.write(line)
            if number == 100:
                mapped.flush()
                assert path.read_bytes() == b"".join(lines[:101])
        assert path.read_bytes().rstrip(b"\0") == b"".join(lines)
        mapped.flush()
    assert path.read_bytes() == b"".join(lines)


_OURS = frozenset(module.__name__ for module in (json_lines, mapped_lines, storage))
_CALL_AT_ONCE = frozenset(["write", "frame", "_hand_on", "_put_line", "_add"])


class SentError(Exception):
    pass


def interrupted(write: Callable[[Any], None], line: object, after: int) -> SentError | None:
    """Write a line, and meet an exception from outside after so many steps; None: there are fewer."""
    steps = 0

    def step(frame: FrameType, event: str, _: object) -> Any:
        nonlocal steps
        if frame.f_globals["__name__"] not in _OURS:
            return None
        if event == "line" and frame.f_code.co_name in _CALL_AT_ONCE:
            return step  # at a start, and behind calls, is where one may come: see below
        steps += 1
        if steps > after:
            sys.settrace(None)
            raise SentError
        return step

    sys.settrace(step)
    try:
        write(line)
    except SentError as error:
        return error
    finally:
        sys.settrace(None)
    return None


def without_step(error: BaseException) -> BaseException:
    """An exception without the frame of the trace function that raised it, as one from outside has none."""
    traces = []
    trace = error.__traceback__
    while trace is not None:
        traces.append(trace)
        trace = trace.tb_next
    if traces[-1].tb_frame.f_code.co_name == "step":
        traces[-2].tb_next = None
    return error


def test_an_exception_from_outside_leaves_whole_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that comes at the start of a function leaves nothing of the line, any other one all of it.

    Others come behind a call: here at the next line, or where the function that was called returns.
    """
    monkeypatch.setattr(mapped_lines, "came_at_a_start", lambda error: came_at_a_start(without_step(error)))
    first, line, last = b"1" * 65_530 + b"\n", b"2" * 70_000 + b"\n", b"3" * 70_000 + b"\n"
    for after in count():
        path = tmp_path / "t"
        with open(path, "w+b", buffering=0) as file:
            mapped = MappedLines(descriptor=file.fileno())
            mapped.write(first)
            error = interrupted(mapped.write, line, after)
            mapped.write(last)
            mapped.flush()
        if error is None:
            break
        left = b"" if came_at_a_start(without_step(error)) else line
        assert path.read_bytes() == first + left + last
    assert after > 20


@pytest.mark.parametrize("size", [10, 100_000])
def test_an_exception_from_outside_leaves_whole_frames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """The same of `TraceWriter.frame`: whoever hands a frame on can tell whether to do so again."""
    for module in mapped_lines, storage:
        monkeypatch.setattr(module, "came_at_a_start", lambda error: came_at_a_start(without_step(error)))

    def frame(line: int) -> FrameFields:
        changed = {"x": {"text": "1" * size, "type": "int"}}
        return {"event": "line", "line": line, "activation": 0, "depth": 0, "changed": changed}  # type: ignore[typeddict-item]

    for after in count():
        path = tmp_path / "t.jsonl"
        with TraceWriter(path) as writer:
            writer.map_lines()
            writer.header(Trace(Program()))
            error = interrupted(writer.frame, frame(1), after)
            writer.frame(frame(2))
        if error is None:
            break
        lines = [2] if came_at_a_start(without_step(error)) else [1, 2]
        assert [frame.line for frame in read_trace(path).frames] == lines
    assert after > 10


def test_where_memory_ends_a_line_is_left_out_whole(tmp_path: Path) -> None:
    path = tmp_path / "t"
    first, line, last = b"1" * 65_530 + b"\n", b"2" * 70_000 + b"\n", b"3" * 70_000 + b"\n"
    with open(path, "w+b", buffering=0) as file:
        mapped = MappedLines(descriptor=file.fileno())
        mapped.write(first)
        real = mapped._calls
        mapped._calls = SimpleNamespace(**vars(real))
        mapped._calls.mmap, mapped._calls.errno = lambda *_: real.failed, lambda: errno.ENOMEM
        with pytest.raises(MemoryError):
            mapped.write(line)
        mapped._calls = real
        mapped.write(last)
        mapped.flush()
    assert path.read_bytes() == first + last
