"""Trace files of both recorders: whole whenever their process ends."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from cwm_trace import CwmTraceError, Outcome, Trace, read_trace
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
import resource, signal
from cwm_trace.storage import TraceWriter
from cwm_trace.tracer.program import load_code
from cwm_trace.tracer.session import record_program
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # it is not sent
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


@EACH
def test_a_child_that_c_code_forks_leaves_the_file_alone(tmp_path: Path, recorder: str) -> None:
    """What `os.register_at_fork` has is not called there; the child writes when the parent has written."""
    path = tmp_path / "t.jsonl"
    program = """
import ctypes, os
fork = ctypes.PyDLL(None).fork
reading, writing = os.pipe()
child = fork()
if child == 0:
    os.read(reading, 1)
    for of_child in range(100):
        pass
    os._exit(0)
for of_parent in range(100):
    pass
os.write(writing, b"x")
os.waitpid(child, 0)
for of_parent in range(100, 200):
    pass
os.close(reading)
os.close(writing)
"""
    with use(recorder), TraceWriter(path) as writer:
        record_program(load_code(program), writer)
    trace = read_trace(path)
    shown = [int(slot.text) for frame in trace.frames if (slot := frame.changed.get("of_parent")) is not None]
    assert shown == list(range(200))
    assert "of_child" not in {name for frame in trace.frames for name in frame.changed}


@EACH
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_file_of_the_program_that_has_our_descriptor_is_left_alone(
    tmp_path: Path, recorder: str, suffix: str
) -> None:
    """A program may close every descriptor there is, and give any number to a file of its own."""
    path, own = tmp_path / f"t.jsonl{suffix}", tmp_path / "own"
    program = f"""
import os
own = os.open({str(own)!r}, os.O_RDWR | os.O_CREAT)
os.write(own, b"precious")
ours = [int(name) for name in os.listdir("/proc/self/fd") if os.path.exists("/proc/self/fd/" + name)
        and os.path.samefile("/proc/self/fd/" + name, {str(path)!r})]
for number in ours:
    os.dup2(own, number)
child = os.fork()
if child == 0:
    os._exit(0)
os.waitpid(child, 0)
for i in range(3000):
    x = i * 10 ** 50
"""
    with use(recorder), contextlib.suppress(OSError), TraceWriter(path) as writer:
        record_program(load_code(program), writer)
    assert own.read_bytes() == b"precious"
    own_numbers = [int(name) for name in os.listdir("/proc/self/fd") if is_same(f"/proc/self/fd/{name}", own)]
    assert own_numbers  # they are the program's to close
    for number in own_numbers:
        os.close(number)


def is_same(link: str, path: Path) -> bool:
    return os.path.exists(link) and os.path.samefile(link, path)


def test_a_file_that_is_being_written_is_not_cut(tmp_path: Path) -> None:
    """A recording whose file is cut would be ended by SIGBUS, and its program with it."""
    path = tmp_path / "t.jsonl"
    with TraceWriter(path) as writer:
        record_program(load_code("x = 1\n"), writer)
        with pytest.raises(
            CwmTraceError, match=r"cannot write .*t\.jsonl: another recording is being written"
        ):
            TraceWriter(path)
    frames = read_trace(path).frames
    assert frames
    with TraceWriter(path) as writer:
        record_program(load_code("x = 1\n"), writer)
    assert read_trace(path).frames == frames


def test_a_child_that_was_forked_beside_a_recording_does_not_keep_its_file(tmp_path: Path) -> None:
    """As between two calls that are recorded to one file; the child knows nothing of that, and lives on."""
    path = tmp_path / "t.jsonl"
    reading, writing = os.pipe()
    with TraceWriter(path) as writer:
        record_program(load_code("x = 1\n"), writer)
        child = os.fork()
        if child == 0:
            os.close(writing)
            os.read(reading, 1)
            os._exit(0)
    try:
        TraceWriter(path).close()
    finally:
        os.close(writing)
        os.waitpid(child, 0)
        os.close(reading)


@EACH
def test_where_memory_ends_only_the_events_are_lost_for_which_it_is_too_small(
    tmp_path: Path, recorder: str
) -> None:
    """Also what they would have shown is in the trace, as soon as there is memory again."""
    path, script = tmp_path / "t.jsonl", tmp_path / "program.py"
    script.write_text("""
import resource

def pair():
    return [text, text]

hard = resource.getrlimit(resource.RLIMIT_AS)[1]
text = "a" * 6_000_000
size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + 3_000_000, hard))
two = pair()
small = 1
resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
for i in range(100):
    last = i
print("went on")
""")
    command = [sys.executable, "-m", "cwm_trace", "run", "--recorder", recorder, "-o", str(path), str(script)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=HANGS, cwd=ROOT)
    assert (done.returncode, done.stdout) == (0, "went on\n"), done.stderr
    trace = read_trace(path)
    assert trace.outcome is Outcome.RETURNED
    shown = {name: slot.text for frame in trace.frames for name, slot in frame.changed.items() if slot}
    assert len(shown.pop("two")) == 2 * 6_000_000 + 8
    assert (shown["small"], shown["last"]) == ("1", "99")
    assert trace.frames[-1].depth == 0  # though the RETURN of `pair` is not there


@EACH
def test_a_process_leaves_though_its_file_takes_nothing(recorder: str) -> None:
    """What waits for a pipe is written when `os._exit` is called: that it cannot be is no reason to stay."""
    code = """
import os
os.dup2(os.open(os.devnull, os.O_RDONLY), [int(n) for n in os.listdir("/proc/self/fd") if int(n) > 500][0])
os._exit(3)
"""
    command = [
        sys.executable,
        "-m",
        "cwm_trace",
        "run",
        "--recorder",
        recorder,
        "-o",
        "/dev/stdout",
        "-c",
        code,
    ]
    done = subprocess.run(command, capture_output=True, timeout=HANGS, cwd=ROOT)
    assert (done.returncode, done.stderr) == (3, b"")
