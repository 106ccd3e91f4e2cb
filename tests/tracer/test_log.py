"""Trace files of both recorders: whole whenever their process ends."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from cwm_trace import Outcome, Trace, read_trace
from cwm_trace.storage import TraceWriter
from cwm_trace.tracer.program import load_code
from cwm_trace.tracer.session import record_program
from tests.effort import HANGS
from tests.tracer.both import NEEDS_C, RECORDERS, ROOT, by, use

EACH = pytest.mark.parametrize("recorder", RECORDERS)


@EACH
def test_a_file_has_no_zeros_once_it_is_closed(tmp_path: Path, recorder: str) -> None:
    path = tmp_path / "t.jsonl"
    with use(recorder), TraceWriter(path) as writer:
        record_program(load_code("x = 1\n"), writer)
        assert path.stat().st_size > 10_000  # reserved
    data = path.read_bytes()
    assert b"\0" not in data
    assert data.endswith(b"}\n")
    assert json.loads(data.splitlines()[0])["recorder"] == recorder


def killed(tmp_path: Path, after: float, recorder: str) -> tuple[int, Trace | None]:
    """Kill a program that counts; the last count that it said before, and its trace."""
    path, counter = tmp_path / "t.jsonl", tmp_path / "count"
    program = f"""
    import mmap, os
    file = os.open({str(counter)!r}, os.O_RDWR | os.O_CREAT)
    os.ftruncate(file, 8)
    said = mmap.mmap(file, 8)
    def count(n):
        while True:
            n += 1
            said[0:8] = n.to_bytes(8, "little")
    count(0)
    """
    command = [sys.executable, "-m", "cwm_trace", "run", "--recorder", recorder, "-o", str(path)]
    process = subprocess.Popen([*command, "-c", textwrap.dedent(program)], cwd=ROOT)
    deadline = time.monotonic() + HANGS
    while not counter.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(after)
    process.send_signal(signal.SIGKILL)
    process.wait(HANGS)
    said = int.from_bytes(counter.read_bytes(), "little")
    counter.unlink()
    return said, read_trace(path) if path.exists() else None


def assert_whole(said: int, trace: Trace | None) -> None:
    assert trace is not None
    assert trace.outcome is Outcome.INCOMPLETE
    counts = [int(slot.text) for frame in trace.frames if (slot := frame.changed.get("n")) is not None]
    assert said <= counts[-1] <= said + 1  # the line that says it comes after the event that shows it
    assert counts == list(range(len(counts)))


@EACH
def test_a_killed_program_leaves_every_frame(tmp_path: Path, recorder: str) -> None:
    assert_whole(*killed(tmp_path, 0.2, recorder))


@EACH
@pytest.mark.slow
def test_a_program_killed_at_a_hundred_moments_leaves_every_frame(tmp_path: Path, recorder: str) -> None:
    moments = random.Random(1)
    for _ in range(100):
        assert_whole(*killed(tmp_path, moments.random(), recorder))


@EACH
def test_a_full_disk_ends_the_recording_only(tmp_path: Path, recorder: str) -> None:
    code = f"""
import resource
from cwm_trace.storage import TraceWriter
from cwm_trace.tracer.program import load_code
from cwm_trace.tracer.session import record_program
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
writer = TraceWriter({str(tmp_path / "t.jsonl")!r})
ending = record_program(load_code("for i in range(10000):\\n    x = i\\nprint(x)\\n"), writer)
writer.close()
print(type(ending.failure).__name__, ending.trace.run.recorder, ending.frames)
"""
    with use(recorder):
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=HANGS, check=True, cwd=ROOT
        )
    output, failure = done.stdout.splitlines()
    kind, ran, frames = failure.split()
    assert (output, kind, ran) == ("9999", "OSError", recorder)
    assert len(read_trace(tmp_path / "t.jsonl").frames) == int(frames) > 500


@NEEDS_C
@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_a_compressed_file_has_all_of_it(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"t.jsonl{suffix}"
    with use("c"), TraceWriter(path) as writer:
        record_program(load_code("for i in range(2000):\n    x = i\n"), writer)
    assert read_trace(path).frames == by("python", "for i in range(2000):\n    x = i\n").frames


@EACH
def test_a_forked_child_leaves_the_file_alone(tmp_path: Path, recorder: str) -> None:
    path = tmp_path / "t.jsonl"
    program = """
import os
x = 1
child = os.fork()
if child == 0:
    y = 2
    os._exit(0)
os.waitpid(child, 0)
z = 3
w = z
"""
    with use(recorder), TraceWriter(path) as writer:
        record_program(load_code(program), writer)
    trace = read_trace(path)
    names = {name for frame in trace.frames for name in frame.changed}
    assert {"x", "z"} <= names
    assert "y" not in names
